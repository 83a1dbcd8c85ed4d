"""The command that writes captures: what is in a pair, what is never on disk, and what a crash leaves."""

from __future__ import annotations

import base64
import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.capture import arriving, capture
from data.capture_clean import Cleaner, Fate
from data.capture_file import Busy, DayFiles
from data.chat_log import Answer, NotChat, read_answer
from data.config import load_config
from data.extract import pairs
from data.plain import writable
from data.record import Conversation
from tests.conftest import ROOT

TOKEN = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
HOME = "/home/kimberly/work/petals"
DAY = "2026-11-29"


@pytest.fixture(scope="module")
def clean() -> Cleaner:
    return Cleaner(load_config(ROOT / "configs/data.yml"))


def body(text: str = "It left.", finish: str = "stop", **message: Any) -> bytes:
    told = {"role": "assistant", "content": text} | message
    usage = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}
    return json.dumps({"choices": [{"message": told, "finish_reason": finish}], "usage": usage}).encode()


def stream(*deltas: dict[str, Any], end: str = "data: [DONE]\n\n") -> bytes:
    events = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    return ("".join(f"data: {json.dumps(event)}\n\n" for event in events) + end).encode()


def line(answer: bytes = body(), text: str = "Where is the convoy?", **facts: Any) -> bytes:
    """An exchange as the gateway sends it."""
    given = {
        "at": f"{DAY}T10:00:00.123+00:00",
        "role": "mayor",
        "version": 3,
        "key": "alice",
        "request": {"model": "mayor", "messages": [{"role": "user", "content": text}]},
        "answer": base64.b64encode(answer).decode(),
        "streamed": answer.startswith(b"data:"),
        "ending": "complete",
        "status": 200,
        "seconds": 1.25,
    }
    return json.dumps(given | facts).encode()


def written(folder: Path) -> list[Any]:
    files = sorted(folder.glob("captures-*.jsonl"))
    return [json.loads(row) for file in files for row in file.read_bytes().splitlines()]


def fates(folder: Path, clean: Cleaner, *lines: bytes | None) -> list[Fate]:
    files = DayFiles(folder)
    try:
        return list(capture(iter(lines), clean, files))
    finally:
        files.close()


def test_a_pair_has_request_answer_version_and_times(tmp_path: Path, clean: Cleaner) -> None:
    assert fates(tmp_path, clean, line()) == [Fate.WRITTEN]
    (pair,) = written(tmp_path)
    assert pair.pop("id").startswith("pair-") and pair.pop("key").startswith("key-")
    assert pair == {
        "at": f"{DAY}T10:00:00.123+00:00",
        "role": "mayor",
        "version": 3,
        "model": "mayor@v3",
        "made_by": "own-adapter",
        "messages": [{"role": "user", "content": "Where is the convoy?"}],
        "tools": [],
        "answer": {"content": "It left."},
        "ending": "complete",
        "finish": "stop",
        "usage": {"prompt_tokens": 9, "completion_tokens": 4},
        "seconds": 1.25,
    }


PLACES = [
    {"text": f"it is {TOKEN}"},
    {"answer": body(f"it is {TOKEN}")},
    {"answer": body("", reasoning_content=f"it is {TOKEN}", tool_calls=[{"function": {"name": "f"}}])},
    {"answer": body("", tool_calls=[{"function": {"name": "f", "arguments": json.dumps({"x": [TOKEN]})}}])},
    {"answer": body("", tool_calls=[{"id": TOKEN, "function": {"name": "f", "arguments": "{}"}}])},
    {"answer": stream({"content": TOKEN[:9]}, {"content": TOKEN[9:]})},
    {"request": {"messages": [{"role": "user", "content": "a"}], "tools": [{"function": {"description": TOKEN}}]}},
    {"request": {"messages": [{"role": "user", "content": "a"}], "tools": [{TOKEN: 1}]}},
    {"request": {"messages": [{"role": "user", "content": "a", "name": TOKEN}]}},
    {"request": {"messages": [{"role": "user", "content": [{"type": "text", "text": TOKEN}]}]}},
    {"request": {"messages": [{"role": "user", "content": [{"type": TOKEN, TOKEN: TOKEN}, {"text": "a"}]}]}},
    {"request": {"messages": [{"role": "user", "content": "a"}], "user": TOKEN, "metadata": {"x": TOKEN}}},
    {"request": {"messages": [{"role": "user", "content": "a"}, {"role": "tool", "tool_call_id": TOKEN}]}},
    {"key": TOKEN},
    {"answer": body(finish=TOKEN)},
    {"role": TOKEN},
]  # fmt: skip


@pytest.mark.parametrize("where", PLACES)
def test_a_secret_is_never_on_disk_wherever_it_stands(tmp_path: Path, clean: Cleaner, where: dict[str, Any]) -> None:
    assert fates(tmp_path, clean, line(**where)) == [Fate.WRITTEN]
    assert all(TOKEN.encode() not in path.read_bytes() for path in tmp_path.iterdir())


def test_names_go_from_all_texts_once_a_path_tells_them(tmp_path: Path, clean: Cleaner) -> None:
    fates(tmp_path, clean, line(body("Kimberly has it."), f"look into {HOME}"))
    assert "kimberly" not in (tmp_path / next(p.name for p in tmp_path.glob("captures-*"))).read_text().lower()


def test_what_the_second_scanner_still_sees_is_not_written(tmp_path: Path, clean: Cleaner) -> None:
    call = {"function": {"name": "AKIA" + "QW3ERTY7UIOP2ASD", "arguments": "{}"}}
    assert fates(tmp_path, clean, line(body("", tool_calls=[call]))) == [Fate.FLAGGED]
    assert written(tmp_path) == []


@pytest.mark.parametrize(
    ("facts", "fate", "ending"),
    [
        ({"answer": stream({"content": "It "}, {"content": "left."})}, Fate.WRITTEN, "complete"),
        ({"answer": stream({"content": "It "}, end=""), "ending": "interrupted"}, Fate.WRITTEN, "interrupted"),
        ({"answer": stream({"content": "It "}, end="")}, Fate.WRITTEN, "interrupted"),
        ({"answer": stream({"role": "assistant"}), "ending": "interrupted"}, Fate.NO_ANSWER, ""),
        ({"answer": b"", "ending": "failed", "status": 502}, Fate.NO_ANSWER, ""),
        ({"answer": b"", "ending": "interrupted", "status": 499}, Fate.NO_ANSWER, ""),
        ({"answer": b'{"error": {}}', "status": 400}, Fate.NO_ANSWER, ""),
        ({"answer": b"<html>"}, Fate.NOT_CHAT, ""),
        ({"request": {"prompt": "x"}}, Fate.NOT_CHAT, ""),
        ({"version": "three"}, Fate.BROKEN, ""),
    ],
)
def test_each_exchange_has_one_fate(
    tmp_path: Path, clean: Cleaner, facts: dict[str, Any], fate: Fate, ending: str
) -> None:
    assert fates(tmp_path, clean, line(**facts)) == [fate]
    assert [pair["ending"] for pair in written(tmp_path)] == ([ending] if ending else [])


def test_calls_that_a_stream_sends_in_pieces_are_put_together() -> None:
    pieces = [
        {"tool_calls": [{"index": 1, "id": "b", "function": {"name": "Read", "arguments": "{}"}}]},
        {"tool_calls": [{"index": 0, "id": "a", "function": {"name": "Bash", "arguments": '{"comm'}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": 'and": "ls"}'}}]},
    ]
    answer = read_answer(stream(*pieces), streamed=True)
    assert [(call.id, call.name, call.arguments) for call in answer.calls] == [
        ("a", "Bash", '{"command": "ls"}'),
        ("b", "Read", "{}"),
    ]


@given(st.text(max_size=40), st.lists(st.integers(1, 400), max_size=6), st.sampled_from(["\n", "\r\n"]))
def test_a_stream_says_the_same_however_it_was_cut_into_events(text: str, cuts: list[int], end: str) -> None:
    places = [0, *sorted({min(cut, len(text)) for cut in cuts}), len(text)]
    pieces = [{"content": text[a:b]} for a, b in pairwise(places)]
    content = stream(*pieces).replace(b"\n", end.encode())
    assert read_answer(content, streamed=True) == Answer(text)
    cut = read_answer(content[: len(content) // 2], streamed=True)
    assert not cut.ended and text.startswith(cut.text)


@given(st.binary(max_size=300), st.booleans())
def test_any_bytes_are_an_answer_or_none(content: bytes, streamed: bool) -> None:
    with suppress(NotChat):
        read_answer(content, streamed)


@settings(max_examples=15)
@given(st.lists(st.tuples(st.text(max_size=30), st.text(min_size=1, max_size=30)), min_size=1, max_size=4))
def test_what_is_captured_is_read_again_by_the_source(
    tmp_path_factory: pytest.TempPathFactory, clean: Cleaner, said: list[tuple[str, str]]
) -> None:
    folder = tmp_path_factory.mktemp("captures")
    fates(folder, clean, *(line(body(answer), question) for question, answer in said))
    outcomes = list(pairs.read(next(pairs.units(folder, "")))) if list(folder.glob("*.jsonl")) else []
    assert not any(isinstance(outcome, Conversation) for outcome in outcomes)  # our own answers
    lines = sum(outcome.records for outcome in outcomes if not isinstance(outcome, Conversation))
    assert lines == len(written(folder)) == sum(bool(writable(answer).strip()) for _, answer in said)


def test_files_are_for_their_owner_alone_and_one_for_each_day(tmp_path: Path) -> None:
    folder = tmp_path / "deep/captures"
    files = DayFiles(folder)
    for day in ("2026-11-29", "2026-11-30", "2026-11-29"):
        files.append(day, b'{"a": 1}')
    files.close()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    sizes = {path.name: (path.stat().st_size, stat.S_IMODE(path.stat().st_mode)) for path in folder.glob("*.jsonl")}
    assert sizes == {"captures-2026-11-29.jsonl": (18, 0o600), "captures-2026-11-30.jsonl": (9, 0o600)}


@settings(max_examples=40)
@given(st.lists(st.binary(min_size=1, max_size=20).filter(lambda b: b"\n" not in b), max_size=4), st.binary(max_size=9))
def test_half_a_line_is_cut_off_at_the_next_start_and_the_others_stay(
    tmp_path_factory: pytest.TempPathFactory, whole: list[bytes], half: bytes
) -> None:
    folder = tmp_path_factory.mktemp("captures")
    half = half.replace(b"\n", b" ")
    path = folder / f"captures-{DAY}.jsonl"
    content = b"".join(one + b"\n" for one in whole)
    path.write_bytes(content + half)
    files = DayFiles(folder)
    assert files.repaired == ((path,) if half else ())
    files.append(DAY, b"next")
    files.close()
    assert path.read_bytes() == content + b"next\n"


def test_half_a_line_that_is_longer_than_a_block_is_found(tmp_path: Path) -> None:
    path = tmp_path / f"captures-{DAY}.jsonl"
    path.write_bytes(b"whole\n" + b"x" * 200_000)
    DayFiles(tmp_path).close()
    assert path.read_bytes() == b"whole\n"


def test_a_full_disk_leaves_whole_lines_and_is_counted(
    tmp_path: Path, clean: Cleaner, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.write
    monkeypatch.setattr("data.capture_file.os.write", lambda file, content: real(file, content[:10]))
    assert fates(tmp_path, clean, line()) == [Fate.DISK]
    monkeypatch.undo()
    assert fates(tmp_path, clean, line()) == [Fate.WRITTEN]
    assert len(written(tmp_path)) == 1


def test_only_one_process_writes_into_a_folder(tmp_path: Path) -> None:
    files = DayFiles(tmp_path)
    with pytest.raises(Busy, match="another gateway"):
        DayFiles(tmp_path)
    files.close()
    DayFiles(tmp_path).close()


@given(st.lists(st.binary(max_size=30).map(lambda b: b.replace(b"\n", b"")), max_size=6), st.integers(1, 7))
def test_lines_arrive_whole_however_the_pipe_cuts_them(lines: list[bytes], size: int) -> None:
    source, to = os.pipe()
    content = b"".join(one + b"\n" for one in lines) + b"half"
    for at in range(0, len(content), size):
        os.write(to, content[at : at + size])
    os.close(to)
    assert list(arriving(source)) == lines
    os.close(source)


@contextmanager
def command(folder: Path, config: str = "configs/data.yml") -> Iterator[subprocess.Popen[bytes]]:
    """The command as the gateway starts it."""
    pipe = subprocess.PIPE
    options = [sys.executable, "-m", "data.capture", "--out", str(folder), "--config", config]
    with subprocess.Popen(options, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe) as child:
        try:
            yield child
        finally:
            child.kill()


@pytest.mark.slow
def test_the_command_answers_for_each_line_and_survives_nothing_but_loses_no_line(tmp_path: Path) -> None:
    with command(tmp_path) as child:
        assert child.stdin and child.stdout
        assert child.stdout.readline() == b"ready\n"
        for fate, sent in [(b"written\n", line()), (b"broken\n", b"{"), (b"written\n", line(text=f"it is {TOKEN}"))]:
            child.stdin.write(sent + b"\n")
            child.stdin.flush()
            assert child.stdout.readline() == fate
        child.kill()
        child.wait()
        assert child.stderr and TOKEN.encode() not in (said := child.stderr.read()) and b"MsgspecError" not in said
    assert len(written(tmp_path)) == 2
    with command(tmp_path) as child:
        out, _ = child.communicate(line() + b"\n" + line()[:40], timeout=60)
        assert (child.returncode, out) == (0, b"ready\nwritten\n")
    assert len(written(tmp_path)) == 3


@pytest.mark.slow
def test_the_command_says_in_one_sentence_why_it_cannot_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder, config, problem in [
        (tmp_path / "file", "configs/data.yml", b"cannot be written"),
        (tmp_path / "captures", "nowhere.yml", b"nowhere.yml: cannot be read"),
    ]:
        with command(folder, config) as child:
            out, err = child.communicate(b"", timeout=60)
            assert (child.returncode, out) == (1, b"")
            assert problem in err and b"Traceback" not in err
