"""The gateway's benchmark: its client reads streams as they are, and its table holds what was measured."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.serve.engine_process import free_port
from scripts.load import Answer, _pieces, _unchunked, ask
from scripts.release_steps import count, need
from scripts.serving import kill_engine
from tests.conftest import ROOT


def event(text: str) -> bytes:
    return b"data: " + json.dumps({"choices": [{"delta": {"content": text}}]}).encode() + b"\n\n"


def chunked(body: bytes, cuts: Sequence[int]) -> bytes:
    """The body in chunks that end at `cuts`, as a server may send it."""
    ends = sorted({min(cut, len(body)) for cut in cuts} | {len(body)})
    parts = [body[start:end] for start, end in zip([0, *ends], ends, strict=False) if end > start]
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


@given(texts=st.lists(st.text(min_size=1)), cuts=st.lists(st.integers(0, 400)))
def test_a_stream_says_the_same_wherever_its_chunks_end(texts: list[str], cuts: list[int]) -> None:
    body = b"".join(map(event, texts)) + b"data: [DONE]\n\n"
    assert _unchunked(chunked(body, cuts)) == body
    assert _pieces(body) == texts


@given(cut=st.integers(0, 300))
def test_a_stream_that_breaks_off_keeps_what_came(cut: int) -> None:
    body = event("one") + event("two") + event("three")
    whole = chunked(body, [40, 90])
    assert body.startswith(_unchunked(whole[:cut]))


def test_a_broken_connection_is_an_answer_without_status() -> None:
    answer = asyncio.run(ask("http://127.0.0.1:9", "mayor", {}, "go", 1))
    assert (answer.status, answer.whole, answer.good) == (0, False, False)


@pytest.mark.parametrize(
    ("status", "whole", "text", "good"),
    [(200, True, "yes", True), (200, False, "ye", False), (200, True, "", False), (503, True, "yes", False)],
)
def test_only_a_whole_answer_is_good(status: int, whole: bool, text: str, good: bool) -> None:
    assert Answer(status, "mayor@v1", text, 1, whole, 0.0, 0.1, 0.2).good is good


@pytest.mark.slow
def test_no_request_fails_or_mixes_while_versions_change_and_the_engine_dies(
    llama_server: Path, tmp_path: Path
) -> None:
    """The benchmark with short rounds: what must be exact is checked, what depends on the machine is not."""
    done = subprocess.run(
        [sys.executable, "-m", "scripts.bench_serve", "--seconds", "2", "--json", str(tmp_path / "found.json")],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    found = {line[0]: line[1] for line in json.loads((tmp_path / "found.json").read_text("utf-8"))}
    assert (found["failed"], found["mixed"]) == ("0", "0")
    assert int(found["requests during the changes"].split()[0].replace(",", "")) >= 500
    assert int(found["engine killed: requests in flight that failed"]) <= 20
    assert all(int(number) > 0 for number in found["swaps, rollbacks, refused swaps"].split(", "))


def test_a_free_port_is_free_and_no_engine_is_killed_where_there_is_none() -> None:
    assert 1024 < free_port() < 65536
    assert kill_engine(os.getpid()) == 0


def test_an_empty_answer_is_no_release() -> None:
    with pytest.raises(RuntimeError, match="empty"):
        need(False, "the client got an empty answer")
    with pytest.raises(RuntimeError, match="not what a swap"):
        count([Answer(200, "mayor@v1", "yes", 1, True, 0.0, 0.1, 0.2)], "mayor")
