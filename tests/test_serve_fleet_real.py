"""The fleet on the real llama-server: versions that say who they are, under load, while they change and die."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.adapter import Refusal
from deploy.registry import Registry
from deploy.serve.backend import Artefact, EngineError
from deploy.serve.engine_config import LlamaServer
from deploy.serve.fleet import EngineFleet
from deploy.serve.llama_router import LlamaRouter
from deploy.serve.types import Unavailable
from tests.gguf_town import (
    TOOL_CALL,
    ServedTown,
    answer_of,
    served_town,
    write_cut_off,
    write_lora,
    write_model,
    write_silent,
)
from tests.test_serve_backends import alive

pytestmark = pytest.mark.slow

# What the router says of a request that it could give to nobody.
NOT_TAKEN = "Could not establish connection"
CONFIG = LlamaServer(threads=1, slots=8, context=2048)
BROKEN: dict[int, tuple[Callable[[Path], object], str]] = {
    4: (write_cut_off, r"mayor@v4 cannot be loaded \(code 1\): read the end of .*engine.log"),
    5: (write_silent, "mayor@v5 ends its answer before the first word"),
    6: (lambda path: write_model(path, "never said", weight=float("nan")), "mayor@v6 computes probabilities that are"),
}


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> ServedTown:
    """v1 is live; v2 and v3 are good; v4 to v6 are broken, each in its way."""
    town = served_town(tmp_path_factory.mktemp("town"), versions=1, words=40)
    for number in range(2, 7):
        town.add("mayor", BROKEN[number][0] if number in BROKEN else None, judged=False)
    return town


@pytest.fixture
def start(town: ServedTown, llama_server: Path) -> None:
    """v1 is live, and there is an engine."""
    with Registry.open(town.root) as registry:
        if registry.roles()[0].live != 1:
            registry.promote("mayor", 1, by="test", force=True, why="where the test begins")


def router(llama_server: Path, folder: Path, **other: Any) -> LlamaRouter:
    return LlamaRouter(LlamaServer(threads=1, **other), llama_server, folder)


def with_fleet(town: ServedTown, server: Path, work: Callable[[EngineFleet, LlamaRouter], Awaitable[None]]) -> None:
    async def run() -> None:
        backend = LlamaRouter(CONFIG, server, town.root / "serve")
        fleet = EngineFleet(backend, town.root, "gastown")
        await fleet.start()
        try:
            await work(fleet, backend)
        finally:
            await fleet.stop()

    asyncio.run(asyncio.wait_for(run(), 120))


async def reload(fleet: EngineFleet, number: int) -> float:
    return (await fleet.reload("mayor", number, "test", force=True, why="for the test")).seconds


async def ask(client: httpx.AsyncClient, fleet: EngineFleet, model: str = "mayor") -> tuple[int, str]:
    """The version that was leased, and what the engine said; "" where it broke off."""
    with fleet.lease(model) as lease:
        body = {"model": lease.model, "messages": [{"role": "user", "content": "Say it."}], "stream": True}
        try:
            async with client.stream(
                "POST", f"{lease.url}/v1/chat/completions", json=body, headers={**lease.headers, "Connection": "close"}
            ) as reply:
                lines = [line async for line in reply.aiter_lines()]
        except httpx.ConnectError:
            raise Unavailable("nobody is there yet") from None
        except httpx.HTTPError:
            return lease.version, ""
    if reply.status_code == 500 and NOT_TAKEN in "".join(lines):
        raise Unavailable("the router has not seen yet that its child is gone")
    whole = reply.status_code == 200 and "data: [DONE]" in lines
    return lease.version, "".join(map(word, lines)) if whole else ""


def word(line: str) -> str:
    import json

    if not line.startswith("data: {"):
        return ""
    return json.loads(line[6:])["choices"][0]["delta"].get("content") or ""


@contextlib.asynccontextmanager
async def load(fleet: EngineFleet, clients: int) -> AsyncIterator[Counter[tuple[int, str]]]:
    """Clients that ask one question after the other; counts (version, answer)."""
    answers: Counter[tuple[int, str]] = Counter()
    stop = asyncio.Event()

    async def client(http: httpx.AsyncClient) -> None:
        while not stop.is_set():
            try:
                answers[await ask(http, fleet)] += 1
            except Unavailable:
                await asyncio.sleep(0.02)

    async with httpx.AsyncClient(timeout=60, verify=False, limits=httpx.Limits(max_connections=None)) as http:
        running = [asyncio.create_task(client(http)) for _ in range(clients)]
        try:
            yield answers
        finally:
            stop.set()
            await asyncio.gather(*running)


def failed(answers: Counter[tuple[int, str]]) -> int:
    return sum(count for (_, text), count in answers.items() if not text)


def mixed(answers: Counter[tuple[int, str]], words: int) -> int:
    return sum(count for (v, text), count in answers.items() if text and text != answer_of("mayor", v, words))


def test_versions_change_under_load_and_no_answer_is_lost_or_mixed(
    town: ServedTown, llama_server: Path, start: None
) -> None:
    async def work(fleet: EngineFleet, backend: LlamaRouter) -> None:
        async with load(fleet, 8) as answers:
            await asyncio.sleep(0.3)
            assert await reload(fleet, 2) < 10
            await asyncio.sleep(0.3)
            assert await reload(fleet, 3) < 10
            while not any(version == 3 for version, _ in answers):
                await asyncio.sleep(0.02)
            assert (await fleet.rollback("mayor", "test")).seconds < 10
            for number, (_, said) in BROKEN.items():
                with pytest.raises(Refusal, match=said):
                    await reload(fleet, number)
            assert (await fleet.rollback("mayor", "test")).version == 1
            await asyncio.sleep(0.3)
        assert failed(answers) == mixed(answers, 40) == 0
        assert {version for version, _ in answers} == {1, 2, 3}
        while fleet.state()[0].loaded != (1,):
            await asyncio.sleep(0.02)
        assert {name for name, state in (await backend._states()).items() if state["value"] == "loaded"} == {"mayor@v1"}

    with_fleet(town, llama_server, work)


def test_a_killed_child_and_a_killed_router_cut_only_what_they_were_answering(
    town: ServedTown, llama_server: Path, start: None
) -> None:
    """Until the router sees that a child is gone, some 40 ms, it also refuses new requests; no model has seen those."""

    async def work(fleet: EngineFleet, backend: LlamaRouter) -> None:
        process = backend._process._process
        assert process is not None
        for victims in (children(process.pid), [process.pid]):
            async with load(fleet, 8) as answers:
                await asyncio.sleep(0.3)
                for victim in victims:
                    os.kill(victim, signal.SIGKILL)
                assert await seconds_until_an_answer(fleet) < 20
                await asyncio.sleep(0.3)
            assert failed(answers) <= 8 and mixed(answers, 40) == 0 and answers.total() > 20

    with_fleet(town, llama_server, work)


async def seconds_until_an_answer(fleet: EngineFleet) -> float:
    start = time.monotonic()
    async with httpx.AsyncClient(timeout=60, verify=False) as client:
        while True:
            with contextlib.suppress(Unavailable):
                if (await ask(client, fleet))[1]:
                    return time.monotonic() - start
            await asyncio.sleep(0.02)


def children(process: int) -> list[int]:
    found = Path(f"/proc/{process}/task").glob("*/children")
    return [int(child) for listed in found for child in listed.read_text().split()]


def test_the_engine_and_its_children_are_gone_after_a_stop_and_after_a_kill_of_the_gateway(
    town: ServedTown, llama_server: Path, start: None
) -> None:
    for way in (signal.SIGTERM, signal.SIGKILL):
        gateway = subprocess.Popen(
            [sys.executable, "-c", GATEWAY, str(town.root), str(llama_server)], stdout=subprocess.PIPE, text=True
        )
        assert gateway.stdout is not None
        gateway.stdout.readline()
        (engine,) = children(gateway.pid)
        processes = [engine, *children(engine)]
        assert len(processes) == 2
        gateway.send_signal(way)
        gateway.wait(30)
        until = time.monotonic() + 20
        while any(map(alive, processes)) and time.monotonic() < until:
            time.sleep(0.02)
        assert not any(map(alive, processes))
    assert [path.name for path in (town.root / "serve").glob("*.ini")] == [f"engine-{gateway.pid}.ini"]
    with_fleet(town, llama_server, lambda fleet, backend: asyncio.sleep(0))
    assert not list((town.root / "serve").glob("*.ini"))


GATEWAY = """
import asyncio, signal, sys
from pathlib import Path
from deploy.serve.engine_config import LlamaServer
from deploy.serve.fleet import EngineFleet
from deploy.serve.llama_router import LlamaRouter

async def main():
    root = Path(sys.argv[1])
    fleet = EngineFleet(LlamaRouter(LlamaServer(threads=1), Path(sys.argv[2]), root / "serve"), root, "gastown")
    await fleet.start()
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    print("up", flush=True)
    await stopped.wait()
    await fleet.stop()

asyncio.run(main())
"""


def test_the_key_of_the_engine_is_in_no_argument_and_no_file_and_its_children_want_it_too(
    town: ServedTown, llama_server: Path, start: None
) -> None:
    async def work(fleet: EngineFleet, backend: LlamaRouter) -> None:
        key = backend._key.encode()
        process = backend._process._process
        assert process is not None
        for each in (process.pid, *children(process.pid)):
            assert key not in Path(f"/proc/{each}/cmdline").read_bytes()
        for path in (town.root / "serve").rglob("*"):
            assert not path.is_file() or key not in path.read_bytes()
        port = (await backend._states())["mayor@v1"]["args"]
        child = f"http://127.0.0.1:{port[port.index('--port') + 1]}"
        body = {"messages": [{"role": "user", "content": "Say it."}]}
        async with httpx.AsyncClient(verify=False) as client:
            for url in (child, backend.address().url):
                assert (await client.post(f"{url}/v1/chat/completions", json=body)).status_code == 401

    with_fleet(town, llama_server, work)


def test_adapters_on_one_base_answer_each_with_its_own_words(llama_server: Path, tmp_path: Path) -> None:
    said = [answer_of("mayor", number) for number in (1, 2)]
    base = write_model(tmp_path / "base.gguf", answer_of("base", 0), others=said)

    async def run() -> None:
        backend = router(llama_server, tmp_path / "serve", artefact="gguf-lora")
        await backend.start()
        try:
            for number, text in enumerate(said, 1):
                lora = write_lora(tmp_path / f"v{number}.gguf", answer_of("base", 0), text, said)
                await backend.ensure(Artefact(f"mayor@v{number}", base, lora))
                assert await greedy(backend, f"mayor@v{number}") == text
        finally:
            await backend.stop()

    asyncio.run(run())


def test_a_tool_call_in_the_words_of_the_base_model_comes_as_a_tool_call(llama_server: Path, tmp_path: Path) -> None:
    async def run() -> None:
        backend = router(llama_server, tmp_path / "serve")
        await backend.start()
        try:
            await backend.ensure(Artefact("mayor@v1", write_model(tmp_path / "tool.gguf", TOOL_CALL)))
            tool = {"type": "function", "function": {"name": "Bash", "parameters": {"type": "object"}}}
            message = await complete(backend, "mayor@v1", tools=[tool])
            assert message["tool_calls"][0]["function"] == {"name": "Bash", "arguments": '{"command": "gt ready"}'}
        finally:
            await backend.stop()

    asyncio.run(run())


async def greedy(backend: LlamaRouter, name: str) -> str:
    return str((await complete(backend, name, temperature=0))["content"])


async def complete(backend: LlamaRouter, name: str, **other: Any) -> dict[str, Any]:
    body = {"model": name, "messages": [{"role": "user", "content": "Say it."}], **other}
    address = backend.address()
    async with httpx.AsyncClient(timeout=60, verify=False) as client:
        reply = await client.post(f"{address.url}/v1/chat/completions", json=body, headers=address.headers)
    message: dict[str, Any] = reply.json()["choices"][0]["message"]
    return message


def test_a_router_that_started_again_knows_only_what_is_served(llama_server: Path, tmp_path: Path) -> None:
    async def run() -> None:
        backend = router(llama_server, tmp_path / "serve")
        await backend.start()
        try:
            for number in (1, 2):
                path = write_model(tmp_path / f"v{number}.gguf", answer_of("mayor", number))
                await backend.ensure(Artefact(f"mayor@v{number}", path))
            await backend.unload("mayor@v1")
            process = backend._process._process
            assert process is not None
            process.kill()
            await asyncio.sleep(0)
            await process.wait()
            while True:
                with contextlib.suppress(Unavailable, EngineError):
                    await backend.check()
                    break
                await asyncio.sleep(0.02)
            assert set(await backend._states()) == {"mayor@v2"}
            await backend.ensure(Artefact("mayor@v2", tmp_path / "v2.gguf"))
            assert await greedy(backend, "mayor@v2") == answer_of("mayor", 2)
        finally:
            await backend.stop()

    asyncio.run(run())
