"""Builds from questions and answers and from merged changes: nothing is lost, and the account balances."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from data.extract import qna_lines
from data.sample.qna import invent
from tests.git_town import Town
from tests.small_build import build, lines, rows

PAIRS = [{"input": pair.input, "output": pair.output, "metadata": pair.metadata} for pair in invent("legal", 12)]


def made(folder: Path, *sources: dict[str, Any]) -> dict[str, Any]:
    """The records in the ledger of a build of some sources."""
    (folder / "projects").mkdir(exist_ok=True)
    assert build(folder, sources=list(sources)) == 0
    records: dict[str, Any] = json.loads((folder / "out" / "ledger.json").read_text())["records"]
    return records


def test_pairs_become_rows_and_every_other_line_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In small parts, with copies in the same part, in another one and in another file."""
    monkeypatch.setattr(qna_lines, "PART", 3000)
    folder = tmp_path / "answers"
    (folder / "more").mkdir(parents=True)
    texts = [*map(json.dumps, PAIRS), '{"input": "Why?"}', json.dumps(PAIRS[11]), json.dumps(PAIRS[0]), "{"]
    (folder / "a.jsonl").write_text("\n".join(texts) + "\n")
    (folder / "more" / "a.jsonl").write_text(json.dumps(PAIRS[5]) + "\n")
    records = made(tmp_path, {"kind": "qna", "path": str(folder), "role": "crew"})
    assert records == {"qna": {"used": 14, "no answer": 1, "copy of a pair read before": 1, "malformed line": 1}}
    kept = {json.loads(row["metadata"]["about"])["number"] for row in rows(tmp_path)}
    assert len(rows(tmp_path)) == 12 and kept == {str(number) for number in range(12)}
    drops = lines(tmp_path, "drops.jsonl")
    assert [(drop["reason"], drop["line"]) for drop in drops if drop["stage"] == "qna"] == [
        ("no answer", 13), ("copy of a pair read before", 14), ("malformed line", 16),
    ]  # fmt: skip
    assert drops[0]["detail"] == 'The line has no "output". Add the answer, or remove the line.'
    assert drops[0]["file"].endswith("answers/a.jsonl")
    assert [drop["reason"] for drop in drops if drop["stage"] == "dedup"] == ["exact duplicate"] * 2


def test_another_commit_makes_other_rows_and_the_same_ones_stay(tmp_path: Path) -> None:
    town = Town(tmp_path / "town")
    source = {"kind": "pulls", "path": str(town.folder), "role": "crew"}
    town.commit("Count the rows only once", {"rows.py": "rows = 1\n", "package-lock.json": "{}\n"})
    assert made(tmp_path, source) == {
        "pulls": {"used": 1, "first commit": 1},
        "files of pulls": {"file that leave_out names": 1},
    }
    before = rows(tmp_path)
    assert json.loads(before[0]["metadata"]["about"])["files"] == "rows.py"
    town.commit("Count the columns as well", {"columns.py": "columns = 1\n"})
    assert made(tmp_path, source)["pulls"] == {"used": 2, "first commit": 1}
    assert [row for row in rows(tmp_path) if row in before] == before and len(rows(tmp_path)) == 2


def test_sources_that_hold_the_same_are_no_reason_to_fail(tmp_path: Path) -> None:
    """Also under the same names, as when what was mined is copied to the other answers."""
    for folder in ("answers", "mined"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.jsonl").write_text(json.dumps(PAIRS[0]) + "\n")
        town = Town(tmp_path / folder / "town")
        town.commit("Count the rows only once", {"rows.py": "rows = 1\n"})
    sources = [
        {"kind": kind, "path": str(tmp_path / folder / name), "role": "crew"}
        for folder in ("answers", "mined")
        for kind, name in (("qna", "a.jsonl"), ("pulls", "town"))
    ]
    records = made(tmp_path, *sources)
    assert (records["qna"]["used"], records["pulls"]["used"]) == (2, 2)
    assert len(rows(tmp_path)) == 2
    assert [drop["reason"] for drop in lines(tmp_path, "drops.jsonl") if drop["stage"] == "dedup"] == [
        "exact duplicate"
    ] * 2
