from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from data.record import Tally
from data.transform.chat_formatter import Row as WrittenRow
from data.transform.chunker import LEFT_OUT, NO_START
from data.validate import stats
from data.validate.stats import LARGEST, Stats, collect
from data.validate.tables import show
from data.validate.tally import BIN, Known, Part, Tallier, facts_of, spread
from tests.dataset_rows import CALL, Row, balanced_build, make_row, turn, write_build


@given(st.lists(st.integers(0, 50), min_size=1))
def test_percentiles_are_exact(values: list[int]) -> None:
    ordered, found = sorted(values), spread(Counter(values))
    for share, value in ((10, found.p10), (50, found.p50), (90, found.p90), (100, found.max)):
        assert sum(v <= value for v in ordered) * 100 >= share * len(ordered)
        assert sum(v < value for v in ordered) * 100 < share * len(ordered)


rows = st.lists(
    st.builds(
        lambda role, session, tokens, score: {
            "role": role,
            "session_id": session,
            "tokens": tokens,
            "quality_score": score,
        },
        st.sampled_from(["mayor", "crew"]),
        st.sampled_from(["s1", "s2", "s3"]),
        st.integers(10, 2000),
        st.floats(0, 1),
    ),
    max_size=10,
)


@given(rows, rows)
def test_splits_and_roles_add_up_to_the_whole(
    tmp_path_factory: pytest.TempPathFactory, train: list[Row], val: list[Row]
) -> None:
    build = {"train": train, "val": val}
    made = {split: [make_row(f"{split}-{n}", **m) for n, m in enumerate(many)] for split, many in build.items()}
    found = collect(write_build(tmp_path_factory.mktemp("build"), made))
    for parts in (found.splits.values(), found.roles.values()):
        for quantity in ("rows", "tokens", "trained_tokens", "messages", "replies"):
            assert sum(getattr(part, quantity) for part in parts) == getattr(found.total, quantity)
    assert found.total.rows == sum(found.total.histogram) == sum(found.total.quality) == len(train) + len(val)
    assert found.total.sessions == len({row["session_id"] for row in (*train, *val)})
    assert sum(count for by_split in found.role_rows.values() for count in by_split.values()) == found.total.rows


def part_of(*made: Row) -> Part:
    tallier = Tallier()
    for row in (msgspec.convert(one, WrittenRow) for one in made):
        tallier.add(row, facts_of(row))
    return tallier.part()


def test_only_the_calls_of_trained_replies_are_counted_by_tool() -> None:
    row = make_row()
    row["conversations"][-1] = turn("gpt", "\n".join((CALL, CALL.replace("Bash", 'the "best"'), CALL)), train=True)
    row["conversations"][-1]["value"] = row["conversations"][-1]["value"].replace('"the "best""', '"the \\"best\\""')
    part = part_of(row)
    assert part.calls == {"Bash": 2, 'the \\"best\\"': 1}
    assert (part.replies, part.messages) == (1, 5)


def test_rows_are_counted_in_bins_of_length_and_score() -> None:
    part = part_of(*(make_row(tokens=n, quality_score=s) for n, s in ((1, 0.0), (BIN, 0.05), (BIN + 1, 1.0))))
    assert part.histogram == (2, 1)
    assert part.quality == (2, 0, 0, 0, 0, 0, 0, 0, 0, 1)


def test_rows_in_which_something_is_left_out_are_counted_once() -> None:
    whole, cut = make_row("whole"), make_row("cut")
    cut["conversations"][1] = turn("human", f"a\n[... 7 characters left out ...]\nb\n\n{LEFT_OUT}")
    cut["conversations"][3] = turn("human", NO_START)
    assert part_of(whole, cut, cut).cut == 2


def test_only_rows_with_evidence_count_in_a_part_of_the_score() -> None:
    nothing = dict.fromkeys(("results", "people", "tests", "landed", "beads"), 0.5)
    part = part_of(
        make_row(quality_parts=nothing),
        make_row(quality_parts=nothing | {"tests": 1.0, "beads": 0.0}),
        make_row(quality_parts=nothing | {"tests": 0.25}),
    )
    assert part.known == dict.fromkeys(("results", "people", "landed"), Known(0, 0.0)) | {
        "tests": Known(2, 0.625),
        "beads": Known(1, 0.0),
    }


def test_the_largest_sessions_come_first_and_are_bounded(tmp_path: Path) -> None:
    rows = [make_row(f"{s}-{n}", session_id=f"s{s:02}", tokens=100 + s) for s in range(LARGEST + 5) for n in (0, 1)]
    found = collect(write_build(tmp_path / "build", {"train": rows})).sessions
    assert [one.id for one in found] == [f"s{s:02}" for s in reversed(range(5, LARGEST + 5))]
    assert found[0].weight == stats.Weight(rows=2, tokens=2 * (100 + LARGEST + 4), trained_tokens=20)
    assert (found[0].role, found[0].source, found[0].split) == ("mayor", "sessions", "train")


def test_rows_are_weighed_by_their_source(tmp_path: Path) -> None:
    rows = [make_row("a"), make_row("b", source="beads", tokens=50), make_row("c")]
    assert collect(write_build(tmp_path / "build", {"train": rows})).sources == {
        "beads": stats.Weight(1, 50, 10),
        "sessions": stats.Weight(2, 200, 20),
    }


def test_what_balancing_took_is_told_by_role(tmp_path: Path) -> None:
    found = collect(balanced_build(tmp_path / "build"))
    assert found.balanced == {"mayor": Tally(conversations=2, replies=4, calls=2, said=18, chars=18, tokens=60)}
    console = Console(width=80, record=True, file=(tmp_path / "console.txt").open("w"))
    show(found, console)
    assert ["mayor", "3", "1", "60"] in [line.split() for line in console.export_text().splitlines()]


@pytest.fixture
def build(tmp_path: Path) -> Path:
    return write_build(
        tmp_path / "build",
        {
            "train": [make_row(f"t{n}", tokens=100 + n, session_id=f"s{n // 2}") for n in range(6)],
            "val": [make_row("v0", role="crew")],
            "test": [],
        },
    )


def test_the_ledger_says_what_was_left_out_and_why(build: Path) -> None:
    found = collect(build)
    assert [(loss.stage, loss.reason, loss.tally.replies) for loss in found.losses] == [
        ("quality", "too_short", 8),
        ("extract", "synthetic", 2),
    ]
    assert found.changes == {"redact": {"secret": 4}}
    assert found.records["sessions"] == {"used": 90, "progress": 10}


def test_the_numbers_survive_being_written_as_json(build: Path) -> None:
    found = collect(build)
    assert msgspec.json.decode(msgspec.json.encode(found), type=Stats) == found


def test_the_tables_say_it_within_80_columns(build: Path) -> None:
    console = Console(width=80, record=True, file=(build / "console.txt").open("w"))
    show(collect(build), console)
    said = console.export_text()
    assert "…" not in said
    assert " ".join(said.splitlines()[-1].split()) == ("7 rows from 4 sessions: 715 tokens, 70 of them trained (9.8 %)")
    words = [line.split() for line in said.splitlines()]
    assert ["mayor", "6", "0", "0", "3", "615", "60", "9.8", "%", "0.75"] in words
    assert ["crew", "0", "1", "0", "1", "100", "10", "10.0", "%", "0.75"] in words
    assert ["quality", "too", "short", "8", "2", "960", "10.7", "%"] in words
    assert ["sessions", "100", "90", "progress", "10"] in words
    assert ["redact", "secret", "4"] in words
    assert ["people", "7", "100.0", "%", "1.00"] in words
    assert ["s2", "train", "2", "209", "20", "28.6", "%"] in words


def test_the_command_prints_the_tables_and_says_when_the_rows_are_a_sample(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_build(tmp_path / "build", {"train": [make_row()]}, sample=True)
    assert stats.main([str(folder)]) == 0
    said = capsys.readouterr().out
    assert said.startswith("These rows come from the built-in sample town")
    assert "1 rows from 1 sessions: 100 tokens" in said


def native_row(messages: str) -> Row:
    return {"messages": messages, "tools": "[]", "metadata": make_row()["metadata"]}


def _break(folder: Path, name: str, content: str) -> Path:
    (folder / name).write_text(content)
    return folder


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("manifest.json", "{", "manifest.json: damaged"),
        ("ledger.json", '{"records": 7}', "ledger.json: damaged"),
        ("gastown_train.jsonl", '{"conversations": []}\n', "gastown_train.jsonl:1: not a row"),
        ("gastown_val.jsonl", json.dumps(make_row()) + "\n{broken\n", "gastown_val.jsonl:2: not a row"),
        ("gastown_val.jsonl", json.dumps(native_row("[7]")), "Row row-1: its messages cannot be read"),
    ],
)
def test_a_damaged_build_is_one_sentence_with_the_file(
    build: Path, capsys: pytest.CaptureFixture[str], name: str, content: str, sentence: str
) -> None:
    assert stats.main([str(_break(build, name, content))]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert sentence in captured.err


@pytest.mark.parametrize(
    ("gone", "sentence"),
    [
        ("manifest.json", "the build did not finish"),
        ("ledger.json", "it is not the output of a build"),
        ("gastown_val.jsonl", "lacks gastown_val.jsonl"),
    ],
)
def test_an_unfinished_build_is_one_sentence_with_the_fix(
    build: Path, capsys: pytest.CaptureFixture[str], gone: str, sentence: str
) -> None:
    (build / gone).unlink()
    assert stats.main([str(build)]) == 1
    said = capsys.readouterr().err
    assert sentence in said
    assert "make all" in said


def test_a_folder_that_does_not_exist_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert stats.main([str(tmp_path / "nowhere")]) == 1
    assert "is not a folder. Give the output folder of a build" in capsys.readouterr().err
