"""The gateway's side of capturing: nobody waits for it, and whatever is not written is counted."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.adapter import Refusal
from deploy.serve import capture
from deploy.serve.capture import LIMIT, LOST, NO_ROOM, Capture
from deploy.serve.types import Ending, Exchange
from tests.conftest import ROOT

# A stand-in for data.capture: it answers `written` for each line, after doing what the line says.
CHILD = """
import json, os, sys, time
print("ready", flush=True)
for line in sys.stdin.buffer:
    said = json.loads(line)["request"].get("do", "")
    if said == "die": os._exit(3)
    if said == "sleep": time.sleep(600)
    with open(sys.argv[1], "ab") as file: file.write(line)
    print("written" if said != "odd" else "what?", flush=True)
"""


def exchange(do: str = "", text: str = "Where?", key: str = "ci") -> Exchange:
    request = {"do": do, "messages": [{"role": "user", "content": text}]}
    answer = json.dumps({"choices": [{"message": {"role": "assistant", "content": "There."}}]}).encode()
    return Exchange("2026-11-29T10:00:00Z", "mayor", 3, key, request, answer, False, Ending.COMPLETE, 200, 0.5)


def run(use: Callable[[Capture, Counter[str]], Awaitable[None]], *command: str, limit: int = LIMIT) -> Counter[str]:
    """What became of the exchanges that `use` notes, after the recorder was stopped."""

    async def whole() -> Counter[str]:
        fates: Counter[str] = Counter()
        recorder = Capture(Path("unused"), Path("unused"), lambda fate, number: fates.update({fate: number}), limit)
        recorder.command = command
        await recorder.start()
        await use(recorder, fates)
        await recorder.stop()
        return fates

    return asyncio.run(whole())


async def until(holds: Callable[[], Any]) -> None:
    end = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < end, "it never came"
        await asyncio.sleep(0.01)


def test_everything_noted_before_the_end_is_written(tmp_path: Path) -> None:
    async def use(recorder: Capture, fates: Counter[str]) -> None:
        for number in range(200):
            recorder.note(exchange(text=f"{number} \ud800 ü"))

    fates = run(use, sys.executable, "-c", CHILD, str(tmp_path / "out"))
    assert fates == {"written": 200}
    lines = [json.loads(line) for line in (tmp_path / "out").read_bytes().splitlines()]
    assert [line["request"]["messages"][0]["content"] for line in lines] == [f"{n} ? ü" for n in range(200)]
    assert lines[0]["key"] == "ci" and lines[0]["ending"] == "complete"


def test_nobody_waits_for_a_child_that_hangs_and_what_does_not_fit_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capture, "_DRAINS_WITHIN", 0.2)
    monkeypatch.setattr(capture, "_ENDS_WITHIN", 0.1)

    async def use(recorder: Capture, fates: Counter[str]) -> None:
        recorder.note(exchange("sleep"))
        await asyncio.sleep(0.1)
        start = time.perf_counter()
        for _ in range(1000):
            recorder.note(exchange(text="x" * 10_000))
        assert time.perf_counter() - start < 5

    fates = run(use, sys.executable, "-c", CHILD, str(tmp_path / "out"), limit=1_000_000)
    assert fates[NO_ROOM] > 800
    assert fates.total() == 1001 and set(fates) == {NO_ROOM, LOST}


def test_a_child_that_dies_is_started_again_and_only_what_was_under_way_is_lost(tmp_path: Path) -> None:
    async def use(recorder: Capture, fates: Counter[str]) -> None:
        recorder.note(exchange())
        await until(lambda: fates["written"] == 1)
        recorder.note(exchange("die"))
        await until(lambda: fates[LOST] == 1)
        recorder.note(exchange())
        recorder.note(exchange("odd"))
        await until(lambda: fates["written"] == 2)

    fates = run(use, sys.executable, "-c", CHILD, str(tmp_path / "out"))
    assert fates == {"written": 2, LOST: 1, "broken": 1}


def test_a_gateway_does_not_start_where_captures_cannot_be_written() -> None:
    async def use(recorder: Capture, fates: Counter[str]) -> None: ...

    with pytest.raises(Refusal, match=r"capture\.enabled: false"):
        run(use, sys.executable, "-c", "print('no')")


def test_the_child_sees_none_of_the_gateways_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FORGE_API_KEYS", "sk-forge-0000000000000000000000")
    file = tmp_path / "env"
    script = f"import os; open({str(file)!r}, 'w').write(repr(dict(os.environ))); print('ready', flush=True); input()"

    async def use(recorder: Capture, fates: Counter[str]) -> None: ...

    run(use, sys.executable, "-c", script)
    assert "sk-forge" not in file.read_text()


@pytest.mark.slow
def test_the_real_command_writes_redacted_pairs_and_is_started_again_after_a_kill(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    token = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
    folder, pids = tmp_path / "captures", []

    async def use(recorder: Capture, fates: Counter[str]) -> None:
        recorder.note(exchange(text=f"it is {token}"))
        await until(lambda: fates["written"] == 1)
        pids.extend(int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit() and is_child(path))
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        await asyncio.sleep(0.2)
        recorder.note(exchange(text="And now?"))
        await until(lambda: fates["written"] == 2)

    def is_child(path: Path) -> bool:
        try:
            return str(folder).encode() in (path / "cmdline").read_bytes()
        except OSError:
            return False

    command = Capture(folder, ROOT / "configs/data.yml", lambda fate, number: None).command
    fates = run(use, *command)
    assert fates == {"written": 2} and len(pids) == 1
    (file,) = folder.glob("captures-*.jsonl")
    content = file.read_text("utf-8")
    assert token not in content and "[SECRET:github-pat:" in content and content.count("\n") == 2
    assert token not in "".join(capfd.readouterr())


@pytest.mark.slow
def test_what_a_gateway_was_asked_becomes_rows_that_say_who_answered(tmp_path: Path) -> None:
    from deploy.serve.config import CaptureConfig, ServeConfig
    from tests.engine_double import engine_double, served
    from tests.small_build import build, lines
    from tests.transcripts import Script

    folder = tmp_path / "captures"
    config = ServeConfig(root=str(tmp_path), capture=CaptureConfig(True, str(folder), str(ROOT / "configs/data.yml")))
    first = [{"role": "user", "content": "say the convoy of petals has left the depot"}]
    second = [
        *first,
        {"role": "assistant", "content": "the convoy of petals has left the depot"},
        {"role": "user", "content": "say it took the northern road this time"},
    ]
    cut = [{"role": "user", "content": "die after 3"}]
    with engine_double() as engine, served(config, engine, captures=True) as gateway:
        for messages in (first, second, cut):
            body = {"model": "mayor", "messages": messages, "stream": True}
            httpx.post(f"{gateway.url}/v1/chat/completions", json=body, timeout=30)
        numbers = gateway.gateway.metrics
    assert numbers.snapshot().captures == {"written": 3}
    pairs = [json.loads(line) for file in folder.glob("*.jsonl") for line in file.read_bytes().splitlines()]
    assert [(pair["model"], pair["ending"]) for pair in pairs] == [
        ("mayor@v2", "complete"), ("mayor@v2", "complete"), ("mayor@v2", "interrupted"),
    ]  # fmt: skip
    Script().save(tmp_path / "projects")
    source = {"kind": "pairs", "path": str(folder), "own_answers": "train"}
    assert build(tmp_path, sources=[source]) == 0
    (trace,) = lines(tmp_path, "origins.jsonl")
    assert (trace["role"], trace["origin"]["model"], len(trace["trained"])) == ("mayor", "mayor@v2", 2)
    assert [drop["reason"] for drop in lines(tmp_path, "drops.jsonl")] == [
        "interrupted answer", "continued by a later request",
    ]  # fmt: skip
