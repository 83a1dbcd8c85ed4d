"""An unmodified llama-server in router mode: each version is a child process, and `model` chooses among them.

The router reads its models from an INI file. Sections are only added, and none changes while it is loaded, because the
router cuts the requests of a section that changes; aliases are never used. Each child has the same random key as the
router, so that nobody else on the machine can ask it directly.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploy.adapter import Refusal
from deploy.registry import Export, Version
from deploy.serve.backend import Address, Artefact, EngineError, ask, said
from deploy.serve.engine_config import LlamaServer
from deploy.serve.engine_process import EngineProcess

if TYPE_CHECKING:
    import httpx

PRESETS = re.compile(r"engine-([0-9]+)\.ini")
# How long the router may take for what it does at once, and for a child that ends by itself within 10 s.
ANSWER_SECONDS = 20.0


class LlamaRouter:
    """The backend of `kind: llama-server`. Its files lie in `folder`: engine.log, and the INI file while it runs."""

    def __init__(self, config: LlamaServer, server: Path, folder: Path) -> None:
        self._config = config
        self._server = server
        self._preset = folder / f"engine-{os.getpid()}.ini"
        self._key = secrets.token_urlsafe(32)
        self._sections: dict[str, Artefact] = {}
        self._wanted: set[str] = set()
        self._writing = asyncio.Lock()
        self._waking = asyncio.Lock()
        self._client: httpx.AsyncClient | None = None
        # The key reaches the children in the same way; the empty cache keeps models of other programs out of the list.
        more = {"LLAMA_API_KEY": self._key, "LLAMA_CACHE": str(folder / "no-models")}
        self._process = EngineProcess(self._words, more, folder / "engine.log", config.start_seconds, self._restored)

    async def start(self) -> None:
        import httpx

        self._preset.parent.mkdir(parents=True, exist_ok=True)
        remove_left_over(self._preset.parent)
        self._client = httpx.AsyncClient(trust_env=False, timeout=ANSWER_SECONDS, verify=False)  # loopback, no TLS
        await self._process.start()

    async def stop(self) -> None:
        await self._process.stop()
        self._preset.unlink(missing_ok=True)
        if self._client is not None:
            await self._client.aclose()

    def artefact(self, version: Version, exports: Mapping[str, Export]) -> Artefact:
        kind = self._config.artefact
        again = f"Make it: python -m deploy.gguf {version.role} {version.number} --kind {kind}"
        export = exports.get(kind)
        if export is None:
            raise Refusal(f"{version.name} has no {kind} export, which engine.artefact asks for. {again}")
        if not export.path.is_file() or export.path.stat().st_size != export.size:
            raise Refusal(f"{export.path} is no longer the file that was exported of {version.name}. {again}")
        if kind != "gguf-lora":
            return Artefact(version.name, readable(export.path))
        if export.base is None or not export.base.is_file():
            raise Refusal(f"{version.name} has no base beside its {kind} export. {again}")
        return Artefact(version.name, readable(export.base), readable(export.path))

    async def ensure(self, artefact: Artefact) -> None:
        self._wanted.add(artefact.name)
        try:
            if not _runs(await self._states(), artefact.name):
                await self._add(artefact)
                await self._post("load", artefact.name)
            await self._loaded(artefact.name)
        except BaseException:
            self._wanted.discard(artefact.name)
            raise

    async def probe(self, name: str) -> None:
        await ask(self._open_client(), self.address(), name, self._config.probe_seconds)

    async def unload(self, name: str) -> None:
        """The section stays in the file until the router starts again: taking it out gains nothing."""
        async with self._waking:  # a `check` on its way would load it again behind our back
            self._wanted.discard(name)
        if not _runs(await self._states(), name):
            return
        await self._post("unload", name)
        until = time.monotonic() + ANSWER_SECONDS
        while _runs(await self._states(), name):
            if time.monotonic() > until:
                raise EngineError(f"{name} could not be unloaded within {ANSWER_SECONDS:g} s.")
            await asyncio.sleep(0.05)

    def address(self) -> Address:
        return Address(self._process.url, {"Authorization": f"Bearer {self._key}"})

    def restarts(self) -> int:
        return self._process.restarts

    async def check(self) -> None:
        """A child that died is loaded again by the next request; this does it before one comes."""
        states = await self._states()
        for name in [name for name in self._wanted if states.get(name, {}).get("value") == "unloaded"]:
            async with self._waking:
                if name in self._wanted:
                    with contextlib.suppress(EngineError):
                        await self._post("load", name)

    def _words(self, port: int) -> list[str]:
        """The command line for a port. A new router knows only what is wanted."""
        self._sections = {name: section for name, section in self._sections.items() if name in self._wanted}
        self._write()
        config = self._config
        words = [str(self._server), "--host", "127.0.0.1", "--port", str(port), "--models-preset", str(self._preset)]
        words += [
            "--models-max",
            "0",
            "--parallel",
            str(config.slots),
            "--ctx-size",
            str(config.slots * config.context),
        ]
        words += ["--threads", str(config.threads)] if config.threads else []
        return [*words, "--offline", *config.options]

    def _write(self) -> None:
        lines = []
        for name, section in sorted(self._sections.items()):
            lines += [f"[{name}]", f"model = {section.model}"]
            lines += [f"lora = {section.adapter}"] if section.adapter else []
        replace_text(self._preset, "\n".join((*lines, "")))

    async def _add(self, artefact: Artefact) -> None:
        """Tells the router of a section, which is not loaded now."""
        async with self._writing:
            before = dict(self._sections)
            self._sections[artefact.name] = artefact
            self._write()
            reply = await self._request("GET", "/models?reload=1")
            if reply.status_code != 200:
                self._sections = before
                self._write()
                raise EngineError(f"llama-server does not take {artefact.name}: {said(reply)}.")

    async def _loaded(self, name: str) -> None:
        """Returns when the child is up. Raises `EngineError` where it ends first or takes too long; it is gone then."""
        until = time.monotonic() + self._config.load_seconds
        while (state := (await self._states()).get(name, {})).get("value") not in ("loaded", "sleeping"):
            if state.get("value") == "unloaded":
                log = self._preset.with_name("engine.log")
                raise EngineError(f"{name} cannot be loaded (code {state.get('exit_code')}): read the end of {log}.")
            if time.monotonic() > until:
                await self.unload(name)
                raise EngineError(f"{name} was not loaded within {self._config.load_seconds:g} s.")
            await asyncio.sleep(0.02)

    async def _restored(self, url: str) -> None:
        """Nothing to do: a router that started again loads what it is asked for, and `check` asks."""

    async def _states(self) -> dict[str, dict[str, Any]]:
        reply = await self._request("GET", "/models")
        try:
            return {model["id"]: model["status"] for model in reply.json()["data"]}
        except (ValueError, LookupError, TypeError):
            raise EngineError(f"llama-server does not list its models: {said(reply)}.") from None

    async def _post(self, what: str, name: str) -> None:
        reply = await self._request("POST", f"/models/{what}", {"model": name})
        # Somebody else was faster: a request loads what it needs, a child may have ended by itself.
        if reply.status_code != 200 and "running" not in said(reply):
            raise EngineError(f"llama-server does not {what} {name}: {said(reply)}.")

    async def _request(self, method: str, path: str, body: Any = None) -> httpx.Response:
        import httpx

        address = self.address()
        try:
            return await self._open_client().request(method, address.url + path, json=body, headers=address.headers)
        except httpx.HTTPError as problem:
            raise EngineError(f"llama-server does not answer ({type(problem).__name__}).") from None

    def _open_client(self) -> httpx.AsyncClient:
        if self._client is None:
            raise EngineError("llama-server has not been started.")
        return self._client


def readable(path: Path) -> Path:
    """The whole path, if an INI file can hold it; raises `Refusal`."""
    whole = path.resolve()
    if re.search(r"[;#\r\n]", str(whole)):
        raise Refusal(
            f"{path} has a ; or # in its name, which ends a line of llama-server's INI file. Rename the folder."
        )
    return whole


def _runs(states: Mapping[str, Mapping[str, Any]], name: str) -> bool:
    return states.get(name, {}).get("value") in ("loaded", "loading", "sleeping")


def replace_text(path: Path, text: str) -> None:
    """A whole file or the old one: the router may read it at any moment."""
    unfinished = path.with_suffix(".part")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(path)


def remove_left_over(folder: Path) -> None:
    """The INI files of gateways that were killed."""
    for path in folder.iterdir():
        found = PRESETS.fullmatch(path.name)
        if found and not _alive(int(found[1])):
            path.unlink(missing_ok=True)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
