"""The gateway as a process: how it starts, why it does not, and how it ends; and what it keeps where that is wanted."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from deploy.adapter import Refusal
from deploy.serve.__main__ import bound, main
from deploy.serve.admin import folder_of_version
from deploy.serve.config import CaptureConfig, ServeConfig, TimeoutsConfig
from deploy.serve.errors import ApiError
from deploy.serve.types import Ending, Exchange
from tests.conftest import ROOT
from tests.engine_double import EngineDouble, Served, engine_double, served

CLIENT = httpx.Client(verify=False, trust_env=False, timeout=10)
# What `python -m deploy.serve` does once it has read its configuration, with a fleet that has no engine of its own.
PROGRAM = """
import asyncio, sys
from deploy.adapter import Refusal
from deploy.serve.__main__ import run
from deploy.serve.config import ServeConfig, TimeoutsConfig
from tests.engine_double import FakeFleet

class Fleet(FakeFleet):
    async def start(self):
        self.started = False
        await asyncio.sleep(float(sys.argv[3]))
        if sys.argv[4:]:
            raise Refusal(sys.argv[4])
        self.started = True

    async def stop(self):
        print("the engine is stopped", flush=True)

try:
    code = run(ServeConfig(port=int(sys.argv[2]), timeouts=TimeoutsConfig(drain=2)), Fleet(sys.argv[1]))
except Refusal as refusal:
    sys.exit(f"refused: {refusal}")
sys.exit(code)
"""


@pytest.fixture(scope="module")
def engine() -> Iterator[EngineDouble]:
    with engine_double() as double:
        yield double


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(engine: EngineDouble, port: int, *how: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", PROGRAM, engine.url, str(port), *how]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def health(port: int) -> int:
    """The status of /health; 0 where nobody listens."""
    try:
        return CLIENT.get(f"http://127.0.0.1:{port}/health").status_code
    except httpx.ConnectError:
        return 0


def until_health(port: int, status: int) -> None:
    end = time.monotonic() + 30
    while health(port) != status:
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.slow
def test_it_listens_at_once_and_ends_after_what_is_under_way(engine: EngineDouble, port: int) -> None:
    process = start(engine, port, "1.0")
    until_health(port, 503)
    until_health(port, 200)
    body = {"model": "mayor", "stream": True, "messages": [{"role": "user", "content": "wait 0.3 a b c"}]}
    with CLIENT.stream("POST", f"http://127.0.0.1:{port}/v1/chat/completions", json=body) as answer:
        parts = answer.iter_text()
        got = next(parts)
        process.send_signal(signal.SIGTERM)
        got += "".join(parts)
    out, err = process.communicate(timeout=20)
    assert "[DONE]" in got and process.returncode == 0
    assert out == "the engine is stopped\n"
    assert "the versions are being loaded" in err and "Answering: crew@v1, mayor@v2." in err and "Traceback" not in err


@pytest.mark.slow
def test_an_answer_that_takes_too_long_does_not_hold_up_the_end(engine: EngineDouble, port: int) -> None:
    process = start(engine, port, "0")
    until_health(port, 200)
    body = {"model": "mayor", "stream": True, "messages": [{"role": "user", "content": "wait 0.3 " + "a " * 100}]}
    with (
        pytest.raises(httpx.RemoteProtocolError),
        CLIENT.stream("POST", f"http://127.0.0.1:{port}/v1/chat/completions", json=body) as answer,
    ):
        for _ in answer.iter_text():
            process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=20)
    assert process.returncode == 0 and out == "the engine is stopped\n"


@pytest.mark.slow
def test_it_can_be_stopped_while_it_is_still_loading(engine: EngineDouble, port: int) -> None:
    process = start(engine, port, "60")
    until_health(port, 503)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (0, "the engine is stopped\n") and "Traceback" not in err


@pytest.mark.slow
def test_an_engine_that_does_not_start_is_one_sentence(engine: EngineDouble, port: int) -> None:
    process = start(engine, port, "0.1", "There is no llama-server here.")
    out, err = process.communicate(timeout=30)
    assert process.returncode == 1 and out == "the engine is stopped\n"
    assert err.endswith("refused: There is no llama-server here.\n") and "Traceback" not in err


def test_a_port_that_is_taken_is_one_sentence() -> None:
    with bound("127.0.0.1", 0) as first:
        first.listen()
        with pytest.raises(Refusal, match="Another gateway may run there"):
            bound("127.0.0.1", first.getsockname()[1])


def test_a_broken_configuration_is_told_before_anything_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--config", str(tmp_path / "none.yml")]) == 1
    (tmp_path / "serve.yml").write_text("port: x\nhots: a\n")
    assert main(["--config", str(tmp_path / "serve.yml")]) == 1
    assert capsys.readouterr().err.count("serve.yml: ") == 2


# --- what is kept -----------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def keeping(engine: EngineDouble) -> Iterator[Served]:
    config = ServeConfig(
        capture=CaptureConfig(enabled=True), timeouts=TimeoutsConfig(first_byte=0.4, idle=0.4, total=1.0)
    )
    with served(config, engine) as running:
        yield running


def kept_of(keeping: Served, words: str, stream: bool, leave_after: str = "") -> Exchange:
    """What is kept of one request; the client hangs up when it has seen `leave_after`."""
    before = len(keeping.kept.exchanges)
    body = {"model": "mayor", "stream": stream, "messages": [{"role": "user", "content": words}], "user": "me"}
    with CLIENT.stream("POST", f"{keeping.url}/v1/chat/completions", json=body) as answer:
        got = ""
        for part in answer.iter_text():
            got += part
            if leave_after and leave_after in got:
                break
    end = time.monotonic() + 5
    while len(keeping.kept.exchanges) == before and time.monotonic() < end:
        time.sleep(0.01)
    (exchange,) = keeping.kept.exchanges[before:]
    return exchange


def test_a_whole_answer_is_kept_with_its_version(keeping: Served) -> None:
    exchange = kept_of(keeping, "say good morning", stream=False)
    assert (exchange.role, exchange.version, exchange.key, exchange.status) == ("mayor", 2, "local", 200)
    assert exchange.ending is Ending.COMPLETE and not exchange.streamed
    assert json.loads(exchange.answer)["choices"][0]["message"]["content"] == "good morning"
    assert exchange.request == {
        "model": "mayor",
        "stream": False,
        "messages": [{"role": "user", "content": "say good morning"}],
    }
    assert exchange.first_byte_seconds is not None and exchange.first_byte_seconds <= exchange.seconds


def test_a_long_stream_is_kept_from_its_first_part_to_its_last(keeping: Served) -> None:
    exchange = kept_of(keeping, "say " + "word " * 300, stream=True)
    assert exchange.ending is Ending.COMPLETE and exchange.streamed
    assert exchange.answer.count(b"data: ") == 302 and exchange.answer.endswith(b"[DONE]\n\n")


@pytest.mark.parametrize(
    ("words", "leave", "ending"),
    [
        ("wait 0.2 a b c d", " b", Ending.INTERRUPTED),
        ("die after 2", "", Ending.INTERRUPTED),
        ("end after 2", "", Ending.INTERRUPTED),
        ("wait 0.3 a b c d e f g", "", Ending.INTERRUPTED),
        ("say a", "[DONE]", Ending.COMPLETE),
        ("wait 3 a", "", Ending.FAILED),
        ("die at once", "", Ending.FAILED),
        ("status 500", "", Ending.FAILED),
    ],
)
def test_how_an_answer_ended_is_kept_with_it(keeping: Served, words: str, leave: str, ending: Ending) -> None:
    exchange = kept_of(keeping, words, stream=True, leave_after=leave)
    assert exchange.ending is ending
    assert (exchange.status == 200) == (ending is not Ending.FAILED)


def test_what_no_version_saw_is_not_kept(keeping: Served) -> None:
    before = len(keeping.kept.exchanges)
    body = {"model": "alderman", "messages": [{"role": "user", "content": "say hi"}]}
    assert CLIENT.post(f"{keeping.url}/v1/chat/completions", json=body).status_code == 404
    assert len(keeping.kept.exchanges) == before


# --- folders ----------------------------------------------------------------------------------------------------------
def test_only_the_folder_of_a_registered_version_is_a_model_path(tmp_path: Path) -> None:
    root, outside = tmp_path / "output", tmp_path / "elsewhere" / "adapters" / "mayor" / "v3"
    version = root / "adapters" / "mayor" / "v3"
    draft, export = root / "adapters" / "mayor" / "draft", root / "exports" / "mayor" / "v3"
    for folder in (version / "inner", outside, draft, export):
        folder.mkdir(parents=True)
    (root / "adapters" / "mayor" / "v4").symlink_to(outside)
    (root / "adapters" / "mayor" / "v5").symlink_to(version)
    (tmp_path / "link").symlink_to(version)
    for same in (version, tmp_path / "link", root / "adapters" / "mayor" / "v5", version / "inner" / ".."):
        assert folder_of_version(root, str(same)) == ("mayor", 3)
    refused = [outside, version / "inner", version.parent, root / "adapters", root / "adapters" / "mayor" / "v4"]
    refused += [draft, export, version.parent / "v9"]
    for other in (*map(str, refused), "/", "..", "\0", "x" * 900, f"{version}/../../../../elsewhere/adapters/mayor/v3"):
        with pytest.raises(ApiError) as problem:
            folder_of_version(root, other)
        assert problem.value.status == 400 and str(tmp_path) not in problem.value.message
