"""Engines behind the gateway: vLLM by a double of its API, and what is true of any engine's process and answers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.adapter import Refusal
from deploy.registry import Registry
from deploy.serve import engine_config, engine_process
from deploy.serve.backend import Artefact, EngineError, why_not
from deploy.serve.engine_process import DEATHS_ALLOWED, EngineProcess, environment
from deploy.serve.fleet import EngineFleet
from deploy.serve.types import Unavailable
from deploy.serve.vllm import Vllm, greatest_rank
from tests.registry_town import Town, make_town
from tests.vllm_server_double import Engine, digest_of, vllm_server

BASE = "Qwen/Qwen2.5-7B-Instruct"
DOUBLE = (sys.executable, "-m", "tests.vllm_server_double", "serve")


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Town:
    """Two versions of the mayor, the first of them live."""
    made = make_town(tmp_path_factory.mktemp("town"), ["mayor"])
    with Registry.open(made.root) as registry:
        for seed in (1, 2):
            made.registered(seed=seed)
        registry.promote("mayor", 1, by="test", force=True, why="nobody scored it")
    return made


def adapter(town: Town, number: int) -> Artefact:
    return Artefact(f"mayor@v{number}", None, town.root / "adapters" / "mayor" / f"v{number}")


def remote(url: str, **more: Any) -> engine_config.Vllm:
    return engine_config.Vllm(url=url, **more)


def started(backend: Any, work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """What `work` returns while the backend runs."""

    async def run() -> Any:
        await backend.start()
        try:
            return await work()
        finally:
            await backend.stop()

    return asyncio.run(run())


def test_vllm_holds_versions_side_by_side_under_names_of_their_own(town: Town) -> None:
    engine = Engine(BASE)
    with vllm_server(engine) as url:
        backend = Vllm(remote(url), town.root)

        async def work() -> None:
            for number in (1, 2, 1):
                await backend.ensure(adapter(town, number))
                await backend.probe(f"mayor@v{number}")
            assert engine.loaded == {f"mayor@v{n}": digest_of(adapter(town, n).adapter or Path()) for n in (1, 2)}
            await backend.unload("mayor@v1")
            await backend.unload("mayor@v1")

        started(backend, work)
    assert engine.log == [("load", "mayor@v1"), ("load", "mayor@v2"), ("unload", "mayor@v1")]


def test_adapters_that_vllm_lost_are_loaded_again(town: Town) -> None:
    engine = Engine(BASE)
    with vllm_server(engine) as url:
        backend = Vllm(remote(url), town.root)

        async def work() -> None:
            await backend.ensure(adapter(town, 1))
            engine.loaded.clear()
            await backend.check()
            await backend.probe("mayor@v1")

        started(backend, work)


@pytest.mark.parametrize(
    ("engine", "said"),
    [
        (Engine(BASE, max_lora_rank=4), "vLLM does not load mayor@v1: LoRA rank 8 is greater than max_lora_rank 4."),
        (Engine(BASE, adapters_change=False), "vLLM does not load mayor@v1: {'detail': 'Not Found'}."),
    ],
)
def test_what_vllm_refuses_is_told_in_its_words(town: Town, engine: Engine, said: str) -> None:
    with vllm_server(engine) as url:
        backend = Vllm(remote(url), town.root)
        with pytest.raises(EngineError) as fault:
            started(backend, lambda: backend.ensure(adapter(town, 1)))
    assert str(fault.value) == said


def test_a_vllm_with_a_key_gets_it_from_the_environment(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    with vllm_server(Engine(BASE, key="secret-1")) as url:
        without = Vllm(remote(url), town.root)
        with pytest.raises(EngineError, match=f"vLLM at {url} answers with 401: Unauthorized."):
            started(without, lambda: asyncio.sleep(0))
        monkeypatch.setenv("VLLM_API_KEY", "secret-1")
        backend = Vllm(remote(url), town.root)
        started(backend, lambda: backend.ensure(adapter(town, 1)))


def test_a_vllm_of_our_own_starts_with_the_rank_of_the_adapters_and_is_restored_when_it_dies(town: Town) -> None:
    config = engine_config.Vllm(base=BASE, command=DOUBLE)
    backend = Vllm(config, town.root)
    assert backend._words(1)[5:] == [
        "--host", "127.0.0.1", "--port", "1", "--enable-lora", "--max-loras", "4", "--max-lora-rank", "8",
        "--max-model-len", "4096",
    ]  # fmt: skip

    async def work() -> float:
        await backend.ensure(adapter(town, 1))
        await backend.probe("mayor@v1")
        return await seconds_until_back(backend)

    assert started(backend, work) < 5


async def seconds_until_back(backend: Any) -> float:
    """Kills the engine, and waits until mayor@v1 answers again."""
    backend._process._process.kill()
    start = time.monotonic()
    while True:
        try:
            await backend.probe("mayor@v1")
        except (EngineError, Unavailable):
            await asyncio.sleep(0.02)
        else:
            return time.monotonic() - start


def test_a_fleet_on_vllm_serves_registered_adapters_as_they_are(town: Town) -> None:
    engine = Engine(BASE)
    with vllm_server(engine) as url:
        fleet = EngineFleet(Vllm(remote(url), town.root), town.root, "gastown")

        async def work() -> None:
            with fleet.lease("mayor") as lease:
                assert (lease.url, lease.model) == (url, "mayor@v1")

        started(fleet, work)
    assert engine.log == [("load", "mayor@v1")]


def test_a_rank_that_vllm_does_not_have_is_rounded_up(town: Town, tmp_path: Path) -> None:
    assert greatest_rank(town.root) == 8
    assert greatest_rank(tmp_path) == 16


class Script:
    """An engine process that runs a Python program with the port as its argument."""

    def __init__(self, folder: Path, program: str, start_seconds: float = 60) -> None:
        self.log = folder / "engine.log"
        self.process = EngineProcess(
            lambda port: [sys.executable, "-c", program, str(port)], {"LLAMA_API_KEY": "k-1"}, self.log, start_seconds,
            self._restored,
        )  # fmt: skip

    async def _restored(self, url: str) -> None:
        pass


HEALTHY = (
    "import http.server, os, subprocess, sys\n"
    "class H(http.server.BaseHTTPRequestHandler):\n"
    "    def do_GET(self): self.send_response(200); self.end_headers()\n"
    "    def do_POST(self): os._exit(3)\n"
    "print(subprocess.Popen(['sleep', '60']).pid, flush=True)\n"
    "http.server.HTTPServer(('127.0.0.1', int(sys.argv[1])), H).serve_forever()\n"
)


def alive(process: int) -> bool:
    """Whether it runs; a dead process that nobody has buried does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def ends(process: int) -> bool:
    """Whether it is gone within a few seconds: a busy machine takes a moment after the signal."""
    until = time.monotonic() + 10
    while alive(process) and time.monotonic() < until:
        time.sleep(0.02)
    return not alive(process)


@pytest.mark.parametrize(
    ("program", "seconds", "said"),
    [
        ("import sys; sys.exit(3)", 60, "The engine ended at once, with code 3: read the end of {}."),
        ("import time; time.sleep(60)", 0.5, "The engine did not start within 0.5 s: read the end of {}."),
    ],
)
def test_an_engine_that_does_not_start_is_one_sentence(tmp_path: Path, program: str, seconds: float, said: str) -> None:
    script = Script(tmp_path, program, seconds)
    with pytest.raises(EngineError) as fault:
        asyncio.run(script.process.start())
    assert str(fault.value) == said.format(script.log)


def test_a_program_that_is_not_installed_is_one_sentence(tmp_path: Path, town: Town) -> None:
    backend = Vllm(engine_config.Vllm(base=BASE, command=("no-such-vllm", "serve")), town.root)
    with pytest.raises(EngineError, match=r"no-such-vllm is not installed here. Install it"):
        asyncio.run(backend.start())


def test_a_stopped_engine_leaves_no_child_behind(tmp_path: Path) -> None:
    script = Script(tmp_path, HEALTHY)
    started(script.process, lambda: asyncio.sleep(0))
    assert ends(int(script.log.read_text().split()[0]))


def test_an_engine_that_dies_again_and_again_is_left_alone(tmp_path: Path) -> None:
    script = Script(tmp_path, HEALTHY)

    async def work() -> str:
        import httpx

        deaths = 0
        async with httpx.AsyncClient(verify=False) as client:
            while deaths < DEATHS_ALLOWED:
                try:
                    url = script.process.url
                except Unavailable:
                    await asyncio.sleep(0.02)
                    continue
                with pytest.raises(httpx.HTTPError):
                    await client.post(url)
                deaths += 1
                while not script.process._problem:
                    await asyncio.sleep(0.01)
        while "left alone" not in script.process._problem:
            await asyncio.sleep(0.01)
        with pytest.raises(Unavailable) as fault:
            script.process.url  # noqa: B018
        return str(fault.value)

    assert started(script.process, work) == (
        f"The engine does not answer: it died 5 times within a minute and is left alone; read the end of {script.log}."
    )
    children = [int(line) for line in script.log.read_text().splitlines() if line.isdecimal()]
    assert len(children) == DEATHS_ALLOWED and not any(map(alive, children))


def test_an_engine_that_hangs_is_killed_and_started_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_process, "HEALTH_EVERY", 0.05)
    script = Script(tmp_path, HEALTHY)

    async def work() -> None:
        process, url = script.process._process, script.process.url
        assert process is not None
        process.send_signal(signal.SIGSTOP)
        while True:
            with contextlib.suppress(Unavailable):
                if script.process.url != url:
                    return
            await asyncio.sleep(0.02)

    started(script.process, work)


def test_an_engine_stops_though_its_watcher_missed_the_first_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script, lost, asked = Script(tmp_path, HEALTHY), asyncio.Event(), asyncio.Event()

    async def deaf(url: str, seconds: float) -> bool:
        try:
            asked.set()
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            if lost.is_set():
                raise
            lost.set()
        return True

    async def run() -> float:
        monkeypatch.setattr(engine_process, "HEALTH_EVERY", 0.01)
        await script.process.start()
        monkeypatch.setattr(engine_process, "answers", deaf)
        await asked.wait()
        begun = time.monotonic()
        await script.process.stop()
        return time.monotonic() - begun

    # The time limit would be a second word.
    assert asyncio.run(asyncio.wait_for(run(), 30)) < 20
    assert lost.is_set() and ends(int(script.log.read_text().split()[0]))


GATEWAY = """
import asyncio, sys
from pathlib import Path
from tests.test_serve_backends import HEALTHY, Script

async def main():
    await Script(Path(sys.argv[1]), HEALTHY).process.start()
    print(1, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
def test_an_engine_does_not_outlive_a_gateway_that_was_killed(tmp_path: Path) -> None:
    async def run() -> None:
        gateway = await asyncio.create_subprocess_exec(
            sys.executable, "-c", GATEWAY, str(tmp_path), stdout=asyncio.subprocess.PIPE
        )
        assert gateway.stdout is not None
        await gateway.stdout.readline()
        (engine,) = [int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit() and parent(p) == gateway.pid]
        gateway.kill()
        await gateway.wait()
        while alive(engine):
            await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(run(), 20))


def parent(process: Path) -> int:
    try:
        return int((process / "stat").read_text().rsplit(")", 1)[1].split()[1])
    except FileNotFoundError:
        return 0


def test_an_engine_sees_no_key_of_ours_and_no_option_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FORGE_API_KEYS", "HF_TOKEN", "LLAMA_ARG_MODEL", "LLAMA_API_KEY", "XDG_SECRET", "VLLM_API_KEY"):
        monkeypatch.setenv(name, "not for the engine")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    known = environment({"LLAMA_API_KEY": "ours"})
    assert "not for the engine" not in known.values()
    assert (known["CUDA_VISIBLE_DEVICES"], known["PATH"], known["LLAMA_API_KEY"]) == ("1", os.environ["PATH"], "ours")


def completion(content: Any, chances: list[float | None]) -> str:
    logprobs = {"content": [{"token": "x", "logprob": chance} for chance in chances]}
    return json.dumps({"choices": [{"message": {"content": content}, "logprobs": logprobs}]})


@given(st.text(), st.lists(st.none() | st.floats(max_value=0), max_size=4))
def test_an_answer_is_text_and_finite_probabilities(content: str, chances: list[float | None]) -> None:
    finite = all(chance is not None and abs(chance) != float("inf") for chance in chances)
    assert (why_not(completion(content, chances)) is None) == (finite and bool(content.strip()))


@given(
    st.recursive(
        st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_whatever_an_engine_says_the_probe_has_a_verdict(value: Any) -> None:
    for body in (
        json.dumps(value),
        json.dumps({"choices": value}),
        json.dumps({"choices": [{"message": value}]}),
        str(value),
    ):
        assert isinstance(why_not(body), str)


@pytest.mark.parametrize(
    ("engine", "found"),
    [
        (engine_config.LlamaServer(), []),
        (
            engine_config.LlamaServer(options=("--n-gpu-layers", "99", "--port=1", "--api-key", "x")),
            [
                "engine.options: --api-key is set by the gateway itself. Take it out.",
                "engine.options: --port is set by the gateway itself. Take it out.",
            ],
        ),
        (
            engine_config.Vllm(),
            ["engine: give either url (a vLLM that runs) or base (the model that we start one for)."],
        ),
        (engine_config.Vllm(url="gpu:8000"), ["engine.url: gpu:8000 does not begin with http:// or https://."]),
    ],
)
def test_what_the_types_of_the_configuration_cannot_say(engine: engine_config.EngineConfig, found: list[str]) -> None:
    assert engine_config.problems(engine) == found


def test_an_export_that_is_not_there_is_refused_with_the_command(town: Town, tmp_path: Path) -> None:
    from deploy.serve.llama_router import LlamaRouter

    router = LlamaRouter(engine_config.LlamaServer(), tmp_path / "llama-server", tmp_path)
    with Registry.open(town.root) as registry:
        version = registry.version("mayor", 1)
        with pytest.raises(
            Refusal, match=r"mayor@v1 has no gguf-q4_k_m export.*python -m deploy.gguf mayor 1 --kind gguf-q4_k_m"
        ):
            router.artefact(version, {})
        gone = registry.add_export("mayor", 1, "gguf-q4_k_m", town.manifest, None, {})
    for path, said in ((tmp_path / "gone.gguf", "no longer the file"), (tmp_path / "a;b.gguf", "Rename the folder")):
        if ";" in path.name:
            path.touch()
        with pytest.raises(Refusal, match=said):
            router.artefact(version, {"gguf-q4_k_m": type(gone)(gone.kind, path, None, "", 0, {}, "")})
