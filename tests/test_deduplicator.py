"""Windows that train the same, or nearly the same, are kept once, and the drop names the survivor."""

from __future__ import annotations

import os
import subprocess
import sys
from array import array
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.config import DedupConfig
from data.record import Assistant, Conversation, Message, Origin, Tool, ToolCall, User
from data.transform.deduplicator import (
    MIN_SHINGLES,
    RECALL,
    Candidate,
    Deduplicator,
    DropReason,
    Fingerprint,
    Verdict,
    bands_and_rows,
    fingerprints,
    jaccard,
    rivals,
    trained_parts,
)

CONFIG = DedupConfig()
words = st.lists(st.sampled_from(["alpha", "beta", "gamma", "delta", "eps", "zeta", "eta", "theta"]), max_size=60)
texts = words.map(" ".join)


def window(name: str, *messages: Message, role: str = "mayor") -> Conversation:
    return Conversation(name, Origin("sessions", "s"), messages, role=role)


def long_text(start: int, count: int) -> str:
    return " ".join(f"word{number * 7919 % 10007}" for number in range(start, start + count))


def fingerprint(one: Conversation, config: DedupConfig) -> Fingerprint:
    return fingerprints([one], config)[0]


def judged(*windows: Conversation, config: DedupConfig = CONFIG) -> list[Verdict | None]:
    prints = [fingerprint(one, config) for one in windows]
    judge = Deduplicator(config, rivals(array("Q", b"".join(mark.bands for mark in prints))))
    return [
        judge.judge(Candidate(one.id, one.role, mark.exact, keys(mark), lambda mark=mark: mark.shingles))
        for one, mark in zip(windows, prints, strict=True)
    ]


def keys(mark: Fingerprint) -> tuple[int, ...]:
    return tuple(array("Q", mark.bands))


def reasons(*windows: Conversation, config: DedupConfig = CONFIG) -> list[str]:
    return [verdict.reason if verdict else "" for verdict in judged(*windows, config=config)]


@given(texts, texts, texts, texts)
@settings(deadline=None)
def test_the_context_does_not_count(first: str, second: str, human: str, reply: str) -> None:
    trained = (User(human), Assistant(reply))
    one = window("a", User(first), Assistant(first, train=False), *trained)
    two = window("b", User(second), Assistant(second, train=False), *trained)
    assert fingerprint(one, CONFIG) == fingerprint(two, CONFIG)


@given(st.lists(st.tuples(texts, texts), min_size=1, max_size=4))
@settings(deadline=None)
def test_an_exact_copy_is_dropped_and_names_the_first(pairs: list[tuple[str, str]]) -> None:
    messages = [message for human, reply in pairs for message in (User(human), Assistant(reply, chars=3))]
    first, second = judged(window("first", *messages), window("second", *messages))
    assert first is None
    assert second == Verdict(DropReason.EXACT, "same as first")


@given(st.integers(0, 50), st.integers(0, 50), st.integers(60, 200))
@settings(deadline=None)
def test_a_near_duplicate_is_one_whose_true_similarity_passes(first: int, second: int, count: int) -> None:
    one = window("one", User("x"), Assistant(long_text(first, count)))
    two = window("two", User("x"), Assistant(long_text(second, count)))
    prints = [fingerprint(one, CONFIG), fingerprint(two, CONFIG)]
    similarity = jaccard(prints[0].shingles, prints[1].shingles)
    proposed = set(keys(prints[0])) & set(keys(prints[1]))
    near = DropReason.NEAR if similarity >= 0.9 and proposed else ""
    expected = DropReason.EXACT if first == second else near
    assert reasons(one, two) == ["", expected]


@given(st.lists(st.integers(0, 10**9), max_size=40), st.lists(st.integers(0, 10**9), max_size=40))
def test_jaccard_is_that_of_the_sets(first: list[int], second: list[int]) -> None:
    one, two = set(first), set(second)
    packed = [np.array(sorted(side), "<u4").tobytes() for side in (one, two)]
    assert jaccard(*packed) == len(one & two) / (len(one | two) or 1)


@pytest.mark.parametrize("threshold", [0.5, 0.7, 0.8, 0.9, 0.95, 1.0])
def test_the_index_proposes_nearly_every_pair_at_the_threshold(threshold: float) -> None:
    bands, rows = bands_and_rows(DedupConfig(threshold=threshold))
    assert bands * rows <= 128
    assert 1 - (1 - threshold**rows) ** bands >= RECALL


def test_few_words_changed_in_a_long_reply_is_near_and_says_how_near() -> None:
    text = long_text(0, 300)
    changed = window("again", User("do it"), Assistant(text.replace("word0", "other", 1)))
    assert judged(window("kept", User("do it"), Assistant(text)), changed) == [
        None,
        Verdict(DropReason.NEAR, "0.98 like kept"),
    ]


def test_tiny_windows_match_only_exactly() -> None:
    short = " ".join(f"w{n}" for n in range(MIN_SHINGLES))
    assert fingerprint(window("a", User("u"), Assistant(short)), CONFIG).bands == b""
    assert reasons(*(window(str(n), User(f"u{n}"), Assistant(short)) for n in range(3))) == ["", "", ""]


def test_the_same_text_in_another_role_is_no_duplicate() -> None:
    messages = (User("u"), Assistant(long_text(0, 100)))
    assert reasons(window("a", *messages), window("b", *messages, role="crew")) == ["", ""]


def test_near_duplicates_can_be_left_in() -> None:
    one, two = long_text(0, 300), long_text(1, 300)
    windows = [window("a", User("u"), Assistant(one)), window("b", User("u"), Assistant(two))]
    assert reasons(*windows) == ["", DropReason.NEAR]
    assert reasons(*windows, config=DedupConfig(near=False)) == ["", ""]


def test_calls_results_and_the_human_text_before_a_reply_count() -> None:
    call = ToolCall("t", "Bash", '{"command": "ls"}')
    base = (User("a"), Assistant("b", calls=(call,)), Tool("t", "Bash", "out"), Assistant("c"))
    assert list(trained_parts(base)) == [
        ("a", 'b\n<tool_call>\n{"name": "Bash", "arguments": {"command": "ls"}}\n</tool_call>'),
        ("<tool_result>\nout\n</tool_result>", "c"),
    ]
    other = msgspec.structs.replace(call, arguments='{"command": "pwd"}')
    changed = (User("a"), Assistant("b", calls=(other,)), Tool("t", "Bash", "out"), Assistant("c"))
    assert reasons(window("1", *base), window("2", *changed)) == ["", ""]


def test_a_fingerprint_is_the_same_in_every_process_and_can_be_stored(root: Path) -> None:
    print_ = fingerprint(window("a", User("u"), Assistant(long_text(0, 50))), CONFIG)
    assert msgspec.json.decode(msgspec.json.encode(print_), type=Fingerprint) == print_
    program = (
        "import msgspec, sys; from tests.test_deduplicator import *; "
        "one = window('a', User('u'), Assistant(long_text(0, 50))); "
        "sys.stdout.buffer.write(msgspec.json.encode(fingerprint(one, CONFIG)))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    other = subprocess.run([sys.executable, "-c", program], cwd=root, env=environment, capture_output=True)
    assert other.stdout == msgspec.json.encode(print_)
