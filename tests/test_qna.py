from __future__ import annotations

import csv
import json
import os
import re
import tracemalloc
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.extract import jsonl, qna, qna_csv, qna_lines
from data.extract.jsonl import LineReason
from data.extract.qna_csv import CsvReason
from data.extract.qna_lines import Reason
from data.extract.unit import SourceError
from data.record import Assistant, Conversation, Drop, User

texts = st.text(st.characters(codec="utf-8"), max_size=30)


def write(path: Path, *lines: Any) -> Path:
    raw = (i if isinstance(i, bytes) else i.encode() if isinstance(i, str) else json.dumps(i).encode() for i in lines)
    path.write_bytes(b"".join(line + b"\n" for line in raw))
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
    whole = dict.fromkeys((q.strip(), a.strip()) for q, a in pairs if q.strip() and a.strip())
    assert [tuple(said(conversation)) for conversation in made] == list(whole)
    assert sum(drop.records for drop in drops) == len(pairs)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_without_an_error(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("qna") / "a.jsonl"
    path.write_bytes(content)
    read_all(path)
    read_all(path.rename(path.with_suffix(".csv")))


@given(st.permutations(range(6)), st.integers(0, 6))
def test_a_pair_keeps_its_name_and_group_when_the_file_is_reordered_or_grows(
    tmp_path_factory: pytest.TempPathFactory, order: list[int], kept: int
) -> None:
    folder = tmp_path_factory.mktemp("qna")
    lines = [{"input": f"question {n % 4}", "output": f"answer {n}"} for n in range(6)]
    before, _ = read_all(write(folder / "a.jsonl", *lines))
    after, _ = read_all(write(folder / "a.jsonl", *(lines[n] for n in order[:kept])))
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


@given(
    st.lists(st.tuples(texts, texts, st.booleans()), max_size=20),
    st.integers(1, 200),
    st.sampled_from([".jsonl", ".csv"]),
)
def test_a_file_in_parts_is_the_file(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, bool]], size: int, suffix: str
) -> None:
    """Also with lines that are broken, in either form: the same pairs and drops with the same line numbers."""
    path = (tmp_path_factory.mktemp("qna") / "a").with_suffix(suffix)
    with path.open("w", encoding="utf-8", newline="") as file:
        if suffix == ".csv":
            table = csv.writer(file)
            table.writerow(["input", "output"])
        for question, answer, whole in rows:
            if not whole:
                file.write(f'{question},"\r\n')
            elif suffix == ".csv":
                table.writerow([question, answer])
            else:
                file.write(json.dumps({"input": question, "output": answer}) + "\n")
    with mock.patch.object(qna_lines, "PART", size):
        parts = list(qna_lines.parts(path))
    assert [(part.start, part.before) for part in parts[:1]] == [(0, 0)]
    apart = [item for part in parts for item in qna_lines.pairs(path, part)]
    assert apart == list(qna_lines.pairs(path))


FATES: dict[LineReason | Reason, Any] = {
    Reason.NO_QUESTION: {"output": "a"},
    Reason.NO_ANSWER: {"input": "q"},
    Reason.EMPTY_QUESTION: {"input": " ", "output": "a"},
    Reason.EMPTY_ANSWER: {"input": "q", "output": ""},
    Reason.NOT_TEXT: {"input": "q", "output": ["a"]},
    Reason.NOT_UTF8: b'{"input": "caf\xe9", "output": "a"}',
    LineReason.NOT_AN_OBJECT: "[1, 2]",
    LineReason.BROKEN_LINE: '{"input": "q"',
    LineReason.LINE_TOO_LONG: {"input": "q" * 500, "output": "a"},
}


def test_every_reason_has_a_line() -> None:
    assert set(FATES) | {LineReason.UNREADABLE_FILE} == {*Reason, *LineReason}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        *((line, reason) for reason, line in FATES.items()),
        ({"other": 1}, Reason.NO_QUESTION),
        ({"prompt": "q", "response": None}, Reason.NO_ANSWER),
        ({"input": 5, "output": "a"}, Reason.NOT_TEXT),
        ('{"input": "\\ud800", "output": "a"}{"input": "q", "output": "a"}', LineReason.BROKEN_LINE),
        ("[" * 100 + "]" * 100, LineReason.NOT_AN_OBJECT),
    ],
)
def test_a_line_that_is_no_pair_is_set_aside_by_name_and_the_others_are_used(
    tmp_path: Path, line: Any, reason: LineReason | Reason, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jsonl, "MAX_LINE", 400)
    path = write(tmp_path / "a.jsonl", {"input": "q", "output": "a"}, line, {"input": "q2", "output": "a"})
    made, (drop, used) = read_all(path)
    assert len(made) == used.records == 2
    assert (drop.reason, drop.file, drop.line, drop.records) == (reason.value, str(path), 2, 1)
    assert re.fullmatch(r"[^{].*\. [A-Z].*\.", drop.detail)  # what is wrong, then what to do


def test_a_line_without_an_answer_is_one_clear_sentence(tmp_path: Path) -> None:
    _, (drop,) = read_all(write(tmp_path / "a.jsonl", {"input": "q"}))
    assert drop.detail == 'The line has no "output". Add the answer, or remove the line.'
    assert (drop.subject, drop.line) == ("a.jsonl:1", 1)


def test_a_deep_line_is_set_aside(tmp_path: Path) -> None:
    _, (drop,) = read_all(write(tmp_path / "a.jsonl", "[" * 100_000 + "]" * 100_000))
    assert drop.reason == LineReason.BROKEN_LINE


def test_a_pair_that_stands_twice_is_used_once(tmp_path: Path) -> None:
    lines = [{"input": "q", "output": "a", "metadata": {"n": n}} for n in range(3)]
    made, drops = read_all(write(tmp_path / "a.jsonl", *lines))
    assert [conversation.about for conversation in made] == [{"n": "0"}]
    copied = [("copy of a pair read before", 2), ("copy of a pair read before", 3), ("used", 0)]
    assert [(drop.reason, drop.line) for drop in drops] == copied


def test_files_and_parts_that_hold_the_same_pair_name_it_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that stood twice would stop the build; the dedup stage is there for copies."""
    monkeypatch.setattr(qna_lines, "PART", 1)
    for name in ("a.jsonl", "b.jsonl"):
        write(tmp_path / name, *[{"input": "q", "output": "a"}] * 2)
    made, _ = read_all(tmp_path)
    assert len({conversation.id for conversation in made}) == 4
    assert len({conversation.origin.group for conversation in made}) == 1


def test_what_else_a_pair_says_goes_with_it_as_texts(tmp_path: Path) -> None:
    metadata = {"topic": "rain", "page": 3, "tags": ["a", "ü"], "none": None}
    (made,), _ = read_all(write(tmp_path / "a.jsonl", {"input": "q", "output": "a", "metadata": metadata}))
    assert made.about == {"topic": "rain", "page": "3", "tags": '["a","ü"]', "none": "null"}


def table(path: Path, content: str) -> Path:
    path.write_bytes(content.encode())
    return path


def test_a_table_gives_the_same_pairs_with_its_other_columns_beside(tmp_path: Path) -> None:
    content = '\ufefftopic,Input,OUTPUT,page\r\nrain,"Why, today?","So:\r\n""clouds"".",\r\n\r\nsun,When?,Noon.,7\r\n'
    made, (used,) = read_all(table(tmp_path / "a.csv", content))
    assert [said(one) for one in made] == [["Why, today?", 'So:\r\n"clouds".'], ["When?", "Noon."]]
    assert [one.about for one in made] == [{"topic": "rain"}, {"topic": "sun", "page": "7"}]
    assert [one.origin.lines[0] for one in made] == [2, 5]
    assert (used.reason, used.records) == ("used", 2)


@pytest.mark.parametrize(
    ("content", "reason", "line"),
    [
        ("question;answer\nq;a\n", CsvReason.NO_HEADER, 1),
        ("", CsvReason.NO_HEADER, 1),
        ("input,output\nq,a\nq,a,b\n", CsvReason.TOO_MANY_CELLS, 3),
        ("input,output\nq,a\nq\n", Reason.NO_ANSWER, 3),
        ("input,output\nq,a\nq,\n", Reason.EMPTY_ANSWER, 3),
        ('input,output\nq,a\nq2,"a\nq3,a\n', LineReason.BROKEN_LINE, 3),
        (f"input,output\nq,a\nq2,{'a' * 600}\nq3,a\n", LineReason.LINE_TOO_LONG, 3),
    ],
)
def test_a_row_that_is_no_pair_is_set_aside_alone(
    tmp_path: Path, content: str, reason: CsvReason | Reason | LineReason, line: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(qna_csv, "MAX_ROW", 500)
    path = table(tmp_path / "a.csv", content)
    made, (drop, *_) = read_all(path)
    assert (drop.reason, drop.line, drop.records) == (reason.value, line, 1)
    rows = {"q,a", "q3,a"} & set(content.splitlines())
    assert len(made) == (0 if reason is CsvReason.NO_HEADER else len(rows))
    assert re.fullmatch(r".*\. [A-Z].*\.", drop.detail)


def test_a_row_that_is_not_utf8_is_set_aside_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"input,output\ncaf\xe9,a\nq,a\n")
    made, (drop, _) = read_all(path)
    assert (drop.reason, drop.line, len(made)) == (Reason.NOT_UTF8, 2, 1)


def test_a_line_beyond_the_limit_is_skipped_and_the_next_one_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jsonl, "MAX_LINE", 100)
    path = write(tmp_path / "a.jsonl", {"input": "q" * 500, "output": "a"}, {"input": "q", "output": "a"})
    made, drops = read_all(path)
    assert [drop.reason for drop in drops] == ["line too long", "used"]
    assert made[0].origin.lines == (2, 2)


def test_a_file_is_read_in_memory_that_does_not_grow_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qna_lines, "PART", 50_000)

    def peak(lines: int) -> int:
        path = write(tmp_path / f"{lines}.jsonl", *({"input": f"q{n}", "output": "a" * 500} for n in range(lines)))
        tracemalloc.start()
        for unit in qna.units(path, ""):
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
    assert drop.reason == "unreadable file" and "Permission denied" in drop.detail


def test_a_file_that_vanished_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", {"input": "q", "output": "a"})
    (unit,) = qna.units(path, "")
    path.unlink()
    (drop,) = qna.read(unit)
    assert isinstance(drop, Drop)
    assert (drop.reason, drop.file) == ("unreadable file", str(path))


def test_a_folder_gives_one_unit_a_file_and_a_missing_path_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"holds no \.jsonl or \.csv file"):
        list(qna.units(tmp_path, ""))
    write(tmp_path / "a.jsonl")
    write(tmp_path / "b.jsonl")
    assert [unit.name for unit in qna.units(tmp_path, "")] == ["a.jsonl", "b.jsonl"]
    with pytest.raises(SourceError, match="does not exist"):
        list(qna.units(tmp_path / "nowhere", ""))
