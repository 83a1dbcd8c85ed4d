from __future__ import annotations

import json
import os
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.extract import jsonl, qna
from data.extract.jsonl import LineReason
from data.extract.qna import Reason
from data.extract.unit import SourceError
from data.record import Assistant, Conversation, Drop, User

texts = st.text(st.characters(codec="utf-8"), max_size=30)


def write(path: Path, *lines: Any) -> Path:
    path.write_text("".join((i if isinstance(i, str) else json.dumps(i)) + "\n" for i in lines), "utf-8")
    return path


def read_all(path: Path, role: str = "") -> tuple[list[Conversation], list[Drop]]:
    outcomes = [outcome for unit in qna.units(path, role) for outcome in qna.read(unit)]
    made = [outcome for outcome in outcomes if isinstance(outcome, Conversation)]
    return made, [outcome for outcome in outcomes if isinstance(outcome, Drop)]


def said(conversation: Conversation) -> list[str]:
    return [m.text for m in conversation.messages if isinstance(m, User | Assistant)]


@given(st.lists(st.tuples(texts, texts), max_size=8))
def test_every_line_is_a_pair_or_has_a_named_fate(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[str, str]]
) -> None:
    path = write(tmp_path_factory.mktemp("qna") / "a.jsonl", *({"input": q, "output": a} for q, a in pairs))
    made, drops = read_all(path)
    whole = [[q.strip(), a.strip()] for q, a in pairs if q.strip() and a.strip()]
    assert [said(conversation) for conversation in made] == whole
    assert sum(drop.records for drop in drops) == len(pairs)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_without_an_error(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("qna") / "a.jsonl"
    path.write_bytes(content)
    read_all(path)


@given(st.permutations(range(6)), st.integers(0, 6))
def test_a_pair_keeps_its_name_and_group_when_the_file_is_reordered_or_grows(
    tmp_path_factory: pytest.TempPathFactory, order: list[int], kept: int
) -> None:
    folder = tmp_path_factory.mktemp("qna")
    lines = [{"input": f"question {n % 4}", "output": f"answer {n}"} for n in range(6)]
    before, _ = read_all(write(folder / "a.jsonl", *lines))
    after, _ = read_all(write(folder / "b.jsonl", *(lines[n] for n in order[:kept])))
    known = {(conversation.id, conversation.origin.group) for conversation in before}
    assert len({conversation.id for conversation in before}) == 6
    assert {(conversation.id, conversation.origin.group) for conversation in after} <= known


def test_the_same_question_is_always_in_one_group(tmp_path: Path) -> None:
    lines = ({"input": "Why?", "output": "Because."}, {"input": "Why?", "output": "Who knows."})
    made, _ = read_all(write(tmp_path / "a.jsonl", *lines))
    assert made[0].origin.group == made[1].origin.group
    assert made[0].id != made[1].id


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"input": " Why? ", "output": "So."}, ["Why?", "So."]),
        ({"prompt": "Why?", "response": "So."}, ["Why?", "So."]),
        ({"input": "Why?", "output": "So.", "metadata": {"session_id": "s1"}}, ["Why?", "So."]),
        ({"input": "Why?", "output": "So.", "metadata": [1]}, ["Why?", "So."]),
    ],
)
def test_the_usual_forms_of_a_pair_are_understood(tmp_path: Path, record: Any, expected: list[str]) -> None:
    (made,), (used,) = read_all(write(tmp_path / "a.jsonl", record), role="crew")
    assert said(made) == expected
    assert (made.role, made.origin.source, used.reason, used.records) == ("crew", "qna", "used", 1)


def test_pairs_that_name_a_session_share_its_group(tmp_path: Path) -> None:
    lines = ({"input": f"q{n}", "output": "a", "metadata": {"session_id": "s1"}} for n in range(2))
    made, _ = read_all(write(tmp_path / "a.jsonl", *lines))
    assert {conversation.origin.group for conversation in made} == {"s1"}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ({"input": "", "output": "a"}, Reason.NO_QUESTION),
        ({"output": "a"}, Reason.NO_QUESTION),
        ({"other": 1}, Reason.NO_QUESTION),
        ({"input": "q", "output": ["a"]}, Reason.NO_ANSWER),
        ("[1, 2]", LineReason.NOT_AN_OBJECT),
        ('{"input": "q"', LineReason.BROKEN_LINE),
        ('{"input": "\\ud800", "output": "a"}{"input": "q", "output": "a"}', LineReason.BROKEN_LINE),
        ("[" * 100_000 + "]" * 100_000, LineReason.BROKEN_LINE),
    ],
)
def test_a_line_that_is_no_pair_is_set_aside_by_name(tmp_path: Path, line: Any, reason: Reason) -> None:
    path = write(tmp_path / "a.jsonl", {"input": "q", "output": "a"}, line)
    made, (drop, used) = read_all(path)
    assert len(made) == used.records == 1
    assert (drop.reason, drop.file, drop.line, drop.records) == (reason.value, str(path), 2, 1)


def test_a_line_beyond_the_limit_is_skipped_and_the_next_one_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jsonl, "MAX_LINE", 100)
    path = write(tmp_path / "a.jsonl", {"input": "q" * 500, "output": "a"}, {"input": "q", "output": "a"})
    made, drops = read_all(path)
    assert [drop.reason for drop in drops] == ["line too long", "used"]
    assert made[0].origin.lines == (2, 2)


def test_a_file_is_read_in_memory_that_does_not_grow_with_it(tmp_path: Path) -> None:
    def peak(lines: int) -> int:
        path = write(tmp_path / f"{lines}.jsonl", *({"input": f"q{n}", "output": "a" * 500} for n in range(lines)))
        (unit,) = qna.units(path, "")
        tracemalloc.start()
        for _ in qna.read(unit):
            pass
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    peak(10)
    assert peak(4000) < 1.5 * peak(400)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_must_not_be_read_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", {"input": "q", "output": "a"})
    path.chmod(0)
    _, (drop,) = read_all(path)
    assert (drop.reason, drop.detail) == ("unreadable file", "Permission denied")


def test_a_file_that_vanished_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", {"input": "q", "output": "a"})
    (unit,) = qna.units(path, "")
    path.unlink()
    (drop,) = qna.read(unit)
    assert isinstance(drop, Drop)
    assert (drop.reason, drop.file) == ("unreadable file", str(path))


def test_a_folder_gives_one_unit_a_file_and_a_missing_path_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"holds no \.jsonl file"):
        list(qna.units(tmp_path, ""))
    write(tmp_path / "a.jsonl")
    write(tmp_path / "b.jsonl")
    assert [unit.name for unit in qna.units(tmp_path, "")] == ["a.jsonl", "b.jsonl"]
    with pytest.raises(SourceError, match="does not exist"):
        list(qna.units(tmp_path / "nowhere", ""))
