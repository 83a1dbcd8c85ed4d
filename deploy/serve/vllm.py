"""vLLM with adapters that are loaded while it runs: on the engine, a version is an adapter by the name mayor@v3.

Each version has a name and a folder of its own, never loaded in place of another: vLLM would answer from the prefix
cache of the old one. vLLM needs a GPU; here it has only been tested against a double that keeps the rules of its API.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploy.adapter import CONFIG, Refusal, read_object
from deploy.registry import Export, Registry, Version
from deploy.serve import engine_config
from deploy.serve.backend import Address, Artefact, EngineError, ask, said
from deploy.serve.engine_process import EngineProcess

if TYPE_CHECKING:
    import httpx

# What --max-lora-rank may be.
RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
ANSWER_SECONDS = 20.0


class Vllm:
    """The backend of `kind: vllm`: one that runs somewhere, or a process of ours."""

    def __init__(self, config: engine_config.Vllm, root: Path) -> None:
        self._config = config
        self._root = root
        self._wanted: dict[str, Artefact] = {}
        self._client: httpx.AsyncClient | None = None
        self._key = os.environ.get("VLLM_API_KEY", "") if config.url else secrets.token_urlsafe(32)
        self._process: EngineProcess | None = None
        if not config.url:
            more = {"VLLM_API_KEY": self._key, "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1"}
            log = root / "serve" / "engine.log"
            self._process = EngineProcess(self._words, more, log, config.start_seconds, self._restored)

    async def start(self) -> None:
        import httpx

        self._client = httpx.AsyncClient(
            trust_env=False, timeout=ANSWER_SECONDS, verify=self._config.url.startswith("https:")
        )
        if self._process is not None:
            await self._process.start()
        elif (reply := await self._request("GET", "/v1/models")).status_code != 200:
            raise EngineError(f"vLLM at {self._config.url} answers with {reply.status_code}: {said(reply)}.")

    async def stop(self) -> None:
        """What runs somewhere else goes on, with the adapters that it has."""
        if self._process is not None:
            await self._process.stop()
        if self._client is not None:
            await self._client.aclose()

    def artefact(self, version: Version, exports: Mapping[str, Export]) -> Artefact:
        """The registered adapter as PEFT wrote it; no export is needed."""
        return Artefact(version.name, None, version.folder.resolve())

    async def ensure(self, artefact: Artefact) -> None:
        if artefact.name not in await self._there(self._url()):
            await self._load(self._url(), artefact)
        self._wanted[artefact.name] = artefact

    async def probe(self, name: str) -> None:
        await ask(self._open_client(), self.address(), name, self._config.probe_seconds)

    async def unload(self, name: str) -> None:
        self._wanted.pop(name, None)
        if name in await self._there(self._url()):
            reply = await self._request("POST", "/v1/unload_lora_adapter", {"lora_name": name})
            if reply.status_code not in (200, 404):
                raise EngineError(f"vLLM does not unload {name}: {said(reply)}.")

    def address(self) -> Address:
        return Address(self._url(), {"Authorization": f"Bearer {self._key}"} if self._key else {})

    def restarts(self) -> int:
        """An engine that somebody else started is theirs to watch."""
        return 0 if self._process is None else self._process.restarts

    async def check(self) -> None:
        """A vLLM that was started again, by us or by somebody else, has lost its adapters."""
        there = await self._there(self._url())
        for name, artefact in list(self._wanted.items()):
            if name not in there:
                with contextlib.suppress(EngineError):
                    await self._load(self._url(), artefact)

    async def _restored(self, url: str) -> None:
        """The adapters are back before the first request is."""
        for artefact in list(self._wanted.values()):
            with contextlib.suppress(EngineError):
                await self._load(url, artefact)

    async def _load(self, url: str, artefact: Artefact) -> None:
        body = {"lora_name": artefact.name, "lora_path": str(artefact.adapter)}
        seconds = self._config.load_seconds
        reply = await self._request("POST", "/v1/load_lora_adapter", body, url, seconds)
        # 400 is both "already loaded", by a check or by another gateway, and "no such adapter".
        if reply.status_code != 200 and artefact.name not in await self._there(url):
            raise EngineError(f"vLLM does not load {artefact.name}: {said(reply)}.")

    async def _there(self, url: str) -> set[str]:
        reply = await self._request("GET", "/v1/models", url=url)
        try:
            return {model["id"] for model in reply.json()["data"]}
        except (ValueError, LookupError, TypeError):
            raise EngineError(f"vLLM does not list its models: {said(reply)}.") from None

    async def _request(
        self, method: str, path: str, body: Any = None, url: str = "", seconds: float = ANSWER_SECONDS
    ) -> httpx.Response:
        import httpx

        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        try:
            return await self._open_client().request(
                method, (url or self._url()) + path, json=body, headers=headers, timeout=seconds
            )
        except httpx.HTTPError as problem:
            raise EngineError(f"vLLM does not answer ({type(problem).__name__}).") from None

    def _url(self) -> str:
        return self._config.url.rstrip("/") if self._process is None else self._process.url

    def _open_client(self) -> httpx.AsyncClient:
        if self._client is None:
            raise EngineError("vLLM has not been asked to start.")
        return self._client

    def _words(self, port: int) -> list[str]:
        config = self._config
        rank = config.max_lora_rank or greatest_rank(self._root)
        words = [*config.command, config.base, "--host", "127.0.0.1", "--port", str(port), "--enable-lora"]
        words += ["--max-loras", str(config.max_loras), "--max-lora-rank", str(rank)]
        return [*words, "--max-model-len", str(config.context), *config.options]


def greatest_rank(root: Path) -> int:
    """The smallest value of --max-lora-rank that all registered adapters fit in. Raises `Refusal`."""
    with Registry.open(root) as registry:
        ranks = [int(read_object(version.folder / CONFIG).get("r", 0)) for version in registry.versions()]
    most = max(ranks, default=16)
    for rank in RANKS:
        if rank >= most:
            return rank
    raise Refusal(f"an adapter has rank {most}, and vLLM takes at most {RANKS[-1]}. Train one of a smaller rank.")
