"""The store of decisions: it only grows, undo goes back step by step, and nothing that was confirmed is lost."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.config import ConfigError, DataConfig, RoleConfig
from data.curate import argilla, finding
from data.curate.apply import apply_file, apply_one
from data.curate.change import Change, Refused
from data.curate.forgetting import forget
from data.curate.guards import Guards
from data.curate.loading import load
from data.curate.similar import differences, similar
from data.curate.store import Store, current_of
from data.curate.turns import key_of, turns_of
from data.curate.values import Conflict, Filters
from data.validate.rows import DatasetError
from tests.conftest import ROOT
from tests.curated import dataset, many, window
from tests.killed import killed_at

CONFIG = DataConfig("Qwen/Qwen2.5-7B-Instruct", (), {"unknown": RoleConfig("x")})
ONE = "one:0.0#0"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    opened = Store(tmp_path / "curation.db")
    load(opened, dataset(tmp_path / "rows", [window(ONE, replies=4), *many(8)]))
    return opened


def opened(folder: Path, examples: int = 4) -> Store:
    """A store with some examples; copied, because reading them takes longer than what is tested."""
    folder.mkdir(exist_ok=True)
    (folder / "curation.db").write_bytes(filled(examples))
    return Store(folder / "curation.db")


@cache
def filled(examples: int) -> bytes:
    with TemporaryDirectory() as folder:
        with Store(Path(folder, "curation.db")) as store:
            load(store, dataset(Path(folder, "rows"), [window(ONE, replies=4), *many(examples)]))
        return Path(folder, "curation.db").read_bytes()


steps = st.one_of(
    st.tuples(st.sampled_from(["approve", "reject", "undo"]), st.none()),
    st.tuples(
        st.just("edit"), st.dictionaries(st.sampled_from([1, 2, 4]), st.sampled_from(["a", "b", "c d"]), min_size=1)
    ),
    st.tuples(st.just("trim"), st.sampled_from([2, 4, 6, 8])),
)


def take(store: Store, name: str, step: tuple[str, Any]) -> bool:
    """Whether a step was taken."""
    action, value = step
    change = Change(value) if action == "edit" else Change(last=value) if action == "trim" else None
    try:
        if action == "undo":
            store.undo(store.example(name).entry.key, author="ann")
        else:
            store.decide(name, action, change, author="ann")
    except Refused:
        return False
    return True


@settings(max_examples=30)
@given(st.lists(steps, max_size=12))
def test_whatever_is_decided_the_history_only_grows_and_the_original_stays(taken: list[tuple[str, Any]]) -> None:
    with TemporaryDirectory() as folder, opened(Path(folder)) as store:
        before = store.example(ONE)
        history = store.history(before.entry.key)
        for step in taken:
            grown = take(store, ONE, step)
            now = store.history(before.entry.key)
            assert now[: len(history)] == history and len(now) == len(history) + grown
            history = now
        assert store.example(ONE).turns == before.turns
        assert store.example(ONE).current == current_of(history)


@settings(max_examples=30)
@given(st.lists(steps, max_size=8))
def test_undoing_everything_leads_back_to_the_beginning(taken: list[tuple[str, Any]]) -> None:
    with TemporaryDirectory() as folder, opened(Path(folder)) as store:
        states = []
        for step in taken:
            states.append(store.example(ONE).current)
            if not take(store, ONE, step):
                states.pop()
            elif step[0] == "undo":
                del states[-2:]
        for expected in reversed(states):
            assert take(store, ONE, ("undo", None))
            assert store.example(ONE).current == expected
        assert not take(store, ONE, ("undo", None)) and store.example(ONE).entry.state == "undecided"


@settings(max_examples=30)
@given(st.data())
def test_decisions_about_different_examples_may_come_in_any_order(data: st.DataObject) -> None:
    by_example = {f"s0:0.0#{n}": data.draw(st.lists(steps, max_size=3)) for n in range(3)}
    pairs = [(name, n) for name, taken in by_example.items() for n in range(len(taken))]
    mixed = data.draw(st.permutations(pairs))
    ends = []
    for order in (pairs, mixed):
        with TemporaryDirectory() as folder, opened(Path(folder)) as store:
            waiting = {name: list(taken) for name, taken in by_example.items()}
            for name, _ in order:
                take(store, name, waiting[name].pop(0))
            ends.append({name: (store.example(name).entry.state, store.example(name).change) for name in by_example})
    assert ends[0] == ends[1]


@settings(max_examples=30)
@given(st.lists(st.tuples(st.sampled_from([ONE, "s0:0.0#1", "s0:0.0#2"]), steps), max_size=8))
def test_what_is_exported_comes_back_the_same(taken: list[tuple[str, tuple[str, Any]]]) -> None:
    with TemporaryDirectory() as folder:
        first, second = Path(folder, "a"), Path(folder, "b")
        with opened(first) as store:
            for name, step in taken:
                take(store, name, step)
            argilla.export(store, first / "records.jsonl")
        with opened(second) as store:
            report = argilla.import_file(store, first / "records.jsonl", "bob")
            assert report.problems == ()
            argilla.export(store, second / "records.jsonl")
            assert set(argilla.import_file(store, first / "records.jsonl", "bob").done) <= {
                "unchanged",
                "without a response",
            }
        assert without_times(first / "records.jsonl") == without_times(second / "records.jsonl")


def without_times(path: Path) -> list[Any]:
    records = [json.loads(line) for line in path.read_text().splitlines()]
    for record in records:
        record["metadata"].pop("decided_at", None)
    return records


def test_an_edit_and_a_trim_stand_together_and_approving_keeps_both(store: Store) -> None:
    store.decide(ONE, "edit", Change({6: "gone later"}), author="ann")
    store.decide(ONE, "edit", Change({1: "Look."}), author="ann")
    store.decide(ONE, "trim", Change(last=4), author="ann")
    store.decide(ONE, "approve", author="bob")
    now = store.example(ONE)
    assert (now.entry.state, now.change) == ("edited", Change({1: "Look."}, 4))
    store.undo(now.entry.key, author="bob")
    store.undo(now.entry.key, author="bob")
    assert store.example(ONE).change == Change({1: "Look.", 6: "gone later"})


def test_a_decision_made_meanwhile_by_somebody_else_is_told_and_not_overwritten(store: Store, tmp_path: Path) -> None:
    seen = store.example(ONE).entry.decision
    with Store(tmp_path / "curation.db") as other:
        other.decide(ONE, "reject", author="bob", why="dull")
    with pytest.raises(Conflict, match=r"bob rejected it \(dull\)"):
        store.decide(ONE, "approve", author="ann", saw=seen)
    with pytest.raises(Conflict):
        store.undo(store.example(ONE).entry.key, author="ann", saw=seen)
    assert [one.author for one in store.history(store.example(ONE).entry.key)] == ["bob"]


def test_nobody_can_change_or_delete_a_decision(store: Store) -> None:
    store.decide(ONE, "reject", author="ann")
    for statement in ("UPDATE decisions SET author = 'x'", "DELETE FROM decisions"):
        with pytest.raises(sqlite3.IntegrityError, match="decision"):
            store.database.execute(statement)


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        ({1: 'password = "hT7#kq9Zr2xLw5Vb"'}, "looks like a secret"),
        ({1: f"Log in with ghp_{'a1B2' * 9}."}, r"looks like a secret \(GitHub Token\)"),  # the second scan alone
        ({4: "It stands in /home/hT7gert/notes.txt."}, "a personal name"),  # the redactor alone
        ({1: "word " * 5000}, "tokens; 4096 fit"),
    ],
)
def test_an_edit_with_a_secret_or_without_room_is_refused_without_repeating_it(
    store: Store, tmp_path: Path, texts: dict[int, str], says: str
) -> None:
    with Store(tmp_path / "curation.db", Guards(CONFIG)) as guarded:
        with pytest.raises(Refused, match=says) as refused:
            guarded.decide(ONE, "edit", Change(texts), author="ann")
        assert "hT7" not in str(refused.value) and guarded.history(guarded.example(ONE).entry.key) == []
        guarded.decide(ONE, "edit", Change({1: "Look at <tool_call> again."}), author="ann")


def test_an_edit_that_repeats_the_evaluation_is_refused(tmp_path: Path, store: Store) -> None:
    from data.transform.overlap import load_runs

    run = max(load_runs(CONFIG.overlap), key=len)
    with Store(tmp_path / "curation.db", Guards(CONFIG)) as guarded, pytest.raises(Refused, match="scenario"):
        guarded.decide(ONE, "edit", Change({1: run}), author="ann")


def test_rows_of_the_native_form_are_the_same_examples(tmp_path: Path, store: Store) -> None:
    store.decide(ONE, "reject", author="ann")
    load(store, dataset(tmp_path / "native", [window(ONE, replies=4), *many(8)], native=True))
    assert finding.progress(store.database)["examples"] == 9
    assert store.example(ONE).entry.state == "rejected"


def test_a_dataset_is_read_once_and_what_it_lost_leaves_the_queue_unless_it_was_decided(
    tmp_path: Path, store: Store
) -> None:
    rows = tmp_path / "rows"
    assert load(store, rows).unchanged
    store.decide("s0:0.0#0", "reject", author="ann")
    assert load(store, dataset(rows, many(8)[2:])).new == 0
    assert finding.progress(store.database) == {
        "examples": 7, "undecided": 6, "approved": 0, "rejected": 1, "edited": 0, "trimmed": 0,
    }  # fmt: skip
    load(store, dataset(rows, [window(ONE, replies=4), *many(8)]))
    assert finding.progress(store.database)["undecided"] == 8


def test_an_unfinished_or_a_damaged_dataset_is_refused(tmp_path: Path, store: Store) -> None:
    rows = dataset(tmp_path / "other", many(3))
    (rows / "gastown_train.jsonl").write_text("{}\n")
    with pytest.raises(DatasetError, match="Build the dataset again"):
        load(store, rows)
    (rows / "manifest.json").unlink()
    with pytest.raises(DatasetError, match="did not finish"):
        load(store, rows)


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        (Filters(), 9),
        (Filters(role="crew"), 3),
        (Filters(split="val"), 1),
        (Filters(search="number 3"), 1),
        (Filters(search="numb"), 8),
        (Filters(search='"(*'), 9),
        (Filters(search="nowhere"), 0),
        (Filters(length="short"), 9),
        (Filters(length="long"), 0),
        (Filters(decision="rejected"), 1),
        (Filters(decision="decided", role="mayor"), 1),
        (Filters(decision="undecided", role="mayor"), 3),
    ],
)
@pytest.mark.parametrize("indexed", [True, False])
def test_filters_and_the_search_find(store: Store, filters: Filters, count: int, indexed: bool) -> None:
    store.decide(ONE, "reject", author="ann")
    if not indexed:
        store.database.execute("DROP TABLE words")
    assert finding.count(store.database, filters) == count == len(finding.page(store.database, filters))


def test_near_duplicates_are_found_and_their_differences_are_words(tmp_path: Path) -> None:
    said = many(1)[0].messages[1].text
    alike = [window("a:0.0#0", said), window("b:0.0#0", said.replace("river", "ocean", 1))]
    with Store(tmp_path / "curation.db") as store:
        load(store, dataset(tmp_path / "rows", [*alike, *many(6, seed=5)]))
        example = store.example("a:0.0#0")
        [(likeness, other)] = similar(store, example.entry, example.turns)
        assert other.id == "b:0.0#0" and 0.6 <= likeness < 1
    left, right = differences("the river is wide", "the ocean is wide")
    assert [text for kind, text in left if kind == "only"] == ["river"]
    assert [text for kind, text in right if kind == "only"] == ["ocean"]


@given(st.text(), st.text())
def test_differences_lose_no_character(one: str, other: str) -> None:
    left, right = differences(one, other)
    assert ("".join(text for _, text in left), "".join(text for _, text in right)) == (one, other)
    assert [text for kind, text in left if kind == "same"] == [text for kind, text in right if kind == "same"]


def test_what_is_forgotten_is_gone_from_the_file(tmp_path: Path, store: Store) -> None:
    store.decide("s0:0.0#1", "edit", Change({1: "zanzibar zanzibar"}), author="ann")
    store.decide(ONE, "reject", author="ann")
    assert forget(store.database, {"s0"}) == (4, 1)
    assert forget(store.database, {"s0"}) == (0, 0)
    assert finding.progress(store.database)["examples"] == 5 and store.example(ONE).entry.state == "rejected"
    assert finding.count(store.database, Filters(search="number 1")) == 0
    indexed = store.database.execute("SELECT count(*) FROM words WHERE words MATCH 'number'").fetchone()[0]
    assert indexed == 4
    content = b"".join(path.read_bytes() for path in tmp_path.glob("curation.db*"))  # with its log, still open
    store.database.close()
    assert b"zanzibar" not in content and b"Number 1:" not in content and b"Number 5:" in content
    with Store(tmp_path / "curation.db") as again:
        assert load(again, dataset(tmp_path / "rows", [*many(8), window(ONE, replies=3)]), {"s0"}).forgotten == 4


def test_a_decision_follows_the_text_and_not_the_row(tmp_path: Path, store: Store) -> None:
    store.decide("s0:0.0#1", "reject", author="ann")
    moved = msgspec.structs.replace(many(8)[1], id="s0:0.0#77")
    load(store, dataset(tmp_path / "rows", [moved]))
    assert store.example("s0:0.0#77").entry.state == "rejected"


def test_a_script_that_ran_before_a_build_can_run_after_it(tmp_path: Path, store: Store) -> None:
    script = tmp_path / "decisions.jsonl"
    script.write_text('{"id": "s0:0.0#1", "action": "reject"}\n')
    assert apply_file(store, script, "ann").done == {"reject": 1}
    load(store, dataset(tmp_path / "rows", [one for one in many(8) if one.id != "s0:0.0#1"]))
    assert apply_file(store, script, "ann").done == {"unchanged": 1}
    load(store, dataset(tmp_path / "rows", [window("s0:0.0#1", "Another text under that id.")]))
    assert apply_file(store, script, "ann").done == {"reject": 1}


def test_every_line_of_a_script_is_taken_or_named(store: Store, tmp_path: Path) -> None:
    script = tmp_path / "decisions.jsonl"
    lines = [
        {"id": ONE, "action": "approve"},
        {"key": key_of("crew", turns_of(many(8)[1].messages)), "action": "reject", "why": "dull", "author": "eve"},
        {"id": "s0:0.0#2", "action": "edit", "texts": {"1": "Look."}},
        {"id": "s0:0.0#3", "action": "trim", "last": 2},
        {"id": ONE, "action": "undo"},
        {"id": "nobody", "action": "approve"},
        {"id": ONE, "action": "praise"},
        {"action": "approve"},
        {"id": ONE, "action": "edit", "texts": {"x": 1}},
        {"id": ONE, "action": "trim", "last": 1},
        [],
    ]
    script.write_text("\n".join(json.dumps(line) for line in lines) + "\nno json\n\n")
    report = apply_file(store, script, "ann")
    assert report.done == {"approve": 1, "reject": 1, "edit": 1, "trim": 1, "undo": 1}
    said = "\n".join(report.problems)
    assert len(report.problems) == 7
    for problem in (
        "no example nobody",
        "'praise' is no action",
        "names no example",
        "cannot be read",
        "last: an exam",
    ):
        assert problem in said
    assert f"{script}:12: This is no JSON object" in said
    states = finding.progress(store.database)
    assert (states["approved"], states["rejected"], states["edited"], states["trimmed"]) == (0, 1, 1, 1)
    again = apply_one(store, {"id": "s0:0.0#3", "action": "trim", "last": 2}, "ann")
    assert again == "unchanged" and len(store.history(store.example("s0:0.0#3").entry.key)) == 1


@pytest.mark.parametrize(
    ("responses", "says"),
    [
        ({"decision": [{"value": "approve", "user_id": "1"}, {"value": "reject", "user_id": "2"}]}, "several people"),
        ({"decision": [{"value": "praise", "user_id": "1"}]}, "no decision"),
        ({"decision": [{"value": "edit", "user_id": "1"}]}, "says no change"),
        (
            {"decision": [{"value": "edit", "user_id": "1"}], "change": [{"value": "[", "user_id": "1"}]},
            "change is no JSON",
        ),
    ],
)
def test_a_response_that_is_no_decision_is_named(store: Store, tmp_path: Path, responses: Any, says: str) -> None:
    record = {"id": store.example(ONE).entry.key, "fields": {}, "responses": responses}
    path = tmp_path / "records.jsonl"
    path.write_text(json.dumps(record) + "\n")
    assert says in argilla.import_file(store, path, "ann").problems[0]


def test_the_json_list_of_argilla_is_read_and_an_unknown_person_keeps_their_number(
    store: Store, tmp_path: Path
) -> None:
    user = "11111111-2222-4333-8444-555555555555"
    record = {
        "id": store.example(ONE).entry.key,
        "fields": {"conversation": []},
        "metadata": {},
        "suggestions": {},
        "responses": {"decision": [{"value": "reject", "user_id": user}], "why": [{"value": "dull", "user_id": user}]},
        "vectors": {},
        "status": "completed",
        "_server_id": "x",
    }
    path = tmp_path / "records.json"
    path.write_text(json.dumps([record]))
    assert argilla.import_file(store, path, "ann").done == {"reject": 1}
    current = store.example(ONE).current
    assert current and (current.author, current.why) == (f"argilla/{user}", "dull")


def test_a_killed_curator_loses_nothing_that_was_confirmed(tmp_path: Path) -> None:
    store = opened(tmp_path, 12)
    names = [f"s{n // 4}:0.0#{n % 4}" for n in range(8)]
    store.database.close()
    told = tmp_path / "told"

    def work() -> None:
        with Store(tmp_path / "curation.db") as mine:
            for name in names:
                done = mine.decide(name, "reject", author="ann")
                with told.open("a") as file:
                    file.write(f"{done.key}\n")

    moment, killed = 1, True
    while killed:
        told.unlink(missing_ok=True)
        killed = killed_at(moment, work)
        confirmed = told.read_text().split() if told.exists() else []
        with Store(tmp_path / "curation.db") as after:
            assert after.database.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
            for key in confirmed:
                assert after.example(key).entry.state == "rejected"
            for row in after.database.execute("SELECT key, decision FROM examples").fetchall():
                current = current_of(after.history(row["key"]))
                assert row["decision"] == (current.id if current else 0)
        moment += 9


def decide_many(path: Path, author: str, names: list[str]) -> None:
    """In a process of its own: decides about every example, unless the other one did already."""
    with Store(path) as store:
        for name in names:
            try:
                store.decide(name, "approve" if author == "ann" else "reject", author=author, saw=0)
            except Conflict:
                continue


def test_two_curators_at_once_decide_about_each_example_once(tmp_path: Path) -> None:
    store = opened(tmp_path, 40)
    names = [row["key"] for row in store.database.execute("SELECT key FROM examples")]
    program = (
        "import sys; from tests.test_curate_store import *; decide_many(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])"
    )
    words = [sys.executable, "-c", program, str(tmp_path / "curation.db")]
    both = [subprocess.Popen([*words, who, *names[::way]], cwd=ROOT) for who, way in (("ann", 1), ("bob", -1))]
    assert [one.wait(60) for one in both] == [0, 0]
    decisions = [store.history(name) for name in names]
    assert [len(history) for history in decisions] == [1] * len(names)
    assert finding.progress(store.database)["undecided"] == 0


def test_a_file_that_is_no_database_or_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "curation.db"
    path.write_text("no database at all, but a text that somebody put here")
    with pytest.raises(ConfigError, match="cannot be opened"):
        Store(path)
    path.unlink()
    with Store(path) as store:
        store.database.execute("PRAGMA user_version = 99")
    with pytest.raises(ConfigError, match="newer lora-forge"):
        Store(path)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be opened"):
        Store(tmp_path / "file" / "curation.db")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
