from __future__ import annotations

import html
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.extract import observers
from data.extract.jsonl import LineReason
from data.extract.observation import Observation, Unfit, parse_learned, parse_observations, why_drop
from data.extract.observers import Reason
from data.extract.unit import SourceError
from data.record import Assistant, Conversation, Drop, Tally, User

LASTING = Observation(
    type="discovery",
    title="Rows keep their session",
    subtitle="A split never divides one",
    facts=("Groups are hashed", "The seed is part of the hash"),
    narrative="The splitter hashes the group of a session.",
    concepts=("how-it-works",),
    files=("data/splitter.py",),
)

texts = st.text(st.characters(codec="utf-8", exclude_characters="\x00\r"), max_size=40).map(str.strip)
words = texts.filter(bool)


def as_xml(seen: Observation) -> str:
    def element(tag: str, content: str) -> str:
        return f"<{tag}>{content}</{tag}>"

    def items(parent: str, child: str, values: tuple[str, ...]) -> str:
        return element(parent, "\n".join(element(child, html.escape(value)) for value in values))

    fields = (element(tag, html.escape(getattr(seen, tag))) for tag in ("type", "title", "subtitle", "narrative"))
    lists = (
        items("facts", "fact", seen.facts),
        items("concepts", "concept", seen.concepts),
        items("files_read", "file", seen.files[:1]),
        items("files_modified", "file", seen.files[1:]),
    )
    return element("observation", "\n".join((*fields, *lists)))


def line(kind: str, text: str, uuid: str, **more: Any) -> dict[str, Any]:
    message = {"content": [{"type": "text", "text": text}]} | more.pop("message", {})
    return {"type": kind, "uuid": uuid, "sessionId": "watcher-1", "message": message} | more


def event(uuid: str, folder: str = "/home/dana/rigs/lantern") -> dict[str, Any]:
    text = (
        "<observed_from_primary_session><what_happened>Read</what_happened>"
        f"<working_directory>{folder}</working_directory></observed_from_primary_session>"
    )
    return line("user", text, uuid)


def write_session(projects: Path, *records: Any, name: str = "watcher-1") -> Path:
    folder = projects / "-home-dana--claude-mem-observer-sessions"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.jsonl"
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in records), "utf-8")
    return path


def read_all(projects: Path) -> tuple[list[Conversation], list[Drop]]:
    outcomes = [outcome for unit in observers.units(projects, "") for outcome in observers.read(unit)]
    made = [outcome for outcome in outcomes if isinstance(outcome, Conversation)]
    return made, [outcome for outcome in outcomes if isinstance(outcome, Drop)]


def fates(drops: list[Drop]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for drop in drops:
        counts[drop.reason] = counts.get(drop.reason, 0) + drop.records
    return counts


@given(
    title=texts,
    subtitle=texts,
    narrative=texts,
    facts=st.lists(words, max_size=3).map(tuple),
    concepts=st.lists(st.sampled_from(["gotcha", "pattern"]), max_size=2, unique=True).map(tuple),
    files=st.lists(words, max_size=3, unique=True).map(tuple),
)
def test_an_observation_is_read_as_it_was_written(**fields: Any) -> None:
    seen = Observation(type="feature", **fields)
    assert list(parse_observations(f"```xml\n{as_xml(seen)}\n```")) == [seen]


@given(st.text(st.sampled_from("<>/abcdefghinorstuvy &;![]-\n"), max_size=200))
def test_any_text_is_read_without_an_error(text: str) -> None:
    list(parse_observations(f"<observation>{text}"))
    list(parse_learned(f"<summary>{text}"))


@given(st.lists(st.sampled_from(["event", "lasting", "thin", "prose", "snapshot", "broken", "again"]), max_size=12))
def test_every_record_has_exactly_one_fate(tmp_path_factory: pytest.TempPathFactory, kinds: list[str]) -> None:
    made = {
        "event": lambda uuid: event(uuid),
        "lasting": lambda uuid: line("assistant", as_xml(LASTING), uuid, message={"id": f"m-{uuid}"}),
        "thin": lambda uuid: line("assistant", as_xml(Observation(title="x", concepts=("gotcha",))), uuid),
        "prose": lambda uuid: line("assistant", "Nothing worth noting.", uuid),
        "snapshot": lambda _: {"type": "file-history-snapshot"},
        "broken": lambda _: '{"type": "user"',
        "again": lambda _: event("same"),
    }
    projects = tmp_path_factory.mktemp("projects")
    write_session(projects, *(made[kind](f"u{index}") for index, kind in enumerate(kinds)))
    conversations, drops = read_all(projects)
    assert sum(drop.records for drop in drops) == len(kinds)
    assert fates(drops).get("used", 0) == len(conversations) == min(kinds.count("lasting"), 1)


def test_a_lasting_observation_becomes_a_question_and_its_answer(tmp_path: Path) -> None:
    path = write_session(tmp_path, event("u1"), line("assistant", as_xml(LASTING), "a1", message={"id": "msg_1"}))
    (made,), drops = read_all(tmp_path)
    asked, told = made.messages
    assert isinstance(asked, User)
    assert isinstance(told, Assistant)
    assert asked.text == (
        "In lantern: Rows keep their session\nA split never divides one\nFiles: data/splitter.py\nHow does this work?"
    )
    assert told.text == f"{LASTING.narrative}\n\n- Groups are hashed\n- The seed is part of the hash"
    assert (told.train, told.chars, told.line, told.file) == (True, len(told.text), 2, str(path))
    assert (made.role, made.origin.source, made.origin.session) == ("knowledge", "observers", "watcher-1")
    assert fates(drops) == {"event that the observer was shown": 1, "used": 1}


def test_the_lines_of_one_message_are_one_reply_even_with_other_records_between_them(tmp_path: Path) -> None:
    whole = as_xml(LASTING)
    write_session(
        tmp_path,
        line("assistant", "", "a1", message={"id": "m", "content": [{"type": "thinking", "thinking": "..."}]}),
        {"type": "file-history-snapshot"},
        line("assistant", whole, "a2", message={"id": "m"}),
    )
    (made,), drops = read_all(tmp_path)
    assert made.origin.lines == (1, 3)
    assert fates(drops) == {"not a message": 1, "used": 2}


def test_copies_of_a_session_are_read_once(tmp_path: Path) -> None:
    records = (event("u1"), line("assistant", as_xml(LASTING), "a1"))
    write_session(tmp_path, *records)
    write_session(tmp_path, *records, name="watcher-1.copy1")
    made, drops = read_all(tmp_path)
    assert len(made) == 1
    assert fates(drops)["copy of a record read before"] == 2


def test_two_objects_glued_on_one_line_are_both_read(tmp_path: Path) -> None:
    write_session(tmp_path, json.dumps(event("u1")) + json.dumps(line("assistant", as_xml(LASTING), "a1")))
    made, drops = read_all(tmp_path)
    assert len(made) == 1
    assert fates(drops) == {"event that the observer was shown": 1, "used": 1}


def test_the_events_of_old_versions_name_the_project_too(tmp_path: Path) -> None:
    old = line("user", "<tool_used><tool_cwd>C:\\rigs\\lantern\\</tool_cwd></tool_used>", "u1")
    write_session(tmp_path, old, line("assistant", as_xml(LASTING), "a1"))
    (made,), _ = read_all(tmp_path)
    assert isinstance(made.messages[0], User)
    assert made.messages[0].text.startswith("In lantern: ")


def test_facts_that_hold_only_for_a_day_are_left_out_with_a_note(tmp_path: Path) -> None:
    seen = Observation(
        "decision", "Two queues", facts=("One is slow", "One is fast", "Broken as of today"), concepts=("trade-off",)
    )
    write_session(tmp_path, line("assistant", as_xml(seen), "a1"))
    (made,), _ = read_all(tmp_path)
    assert isinstance(made.messages[1], Assistant)
    assert made.messages[1].text == "- One is slow\n- One is fast"
    assert [(note.reason, note.count) for note in made.notes] == [("time-bound observation", 1)]


def test_what_a_summary_says_was_learned_is_an_answer_and_its_next_steps_are_not(tmp_path: Path) -> None:
    learned = "The queue keeps its order because each worker takes a lease. " * 5
    text = (
        f"<summary><request>Queue order</request><learned>{learned}</learned><next_steps>Go on</next_steps></summary>"
    )
    write_session(tmp_path, line("assistant", text, "a1"))
    (made,), _ = read_all(tmp_path)
    assert [m.text for m in made.messages if not isinstance(m, str)] == [
        "Queue order\nWhat is worth knowing about this?",
        learned.strip(),
    ]


UNFIT = {
    Unfit.EMPTY: Observation(),
    Unfit.NO_SUBJECT: Observation("discovery", facts=("a", "b"), concepts=("gotcha",)),
    Unfit.SENSITIVE: Observation("security_alert", "t", facts=("a", "b"), concepts=("gotcha",)),
    Unfit.PASSING_TYPE: Observation("change", "t", facts=("a", "b"), concepts=("gotcha",)),
    Unfit.NO_LASTING_CONCEPT: Observation("discovery", "t", facts=("a", "b"), concepts=("what-changed",)),
    Unfit.TIME_BOUND: Observation("discovery", "Fails today", facts=("a", "b"), concepts=("gotcha",)),
    Unfit.TOO_THIN: Observation("discovery", "t", facts=("a",), narrative="n" * 200, concepts=("gotcha",)),
}


@pytest.mark.parametrize("reason", [reason for reason in Unfit if reason is not Unfit.DUPLICATE])
def test_an_observation_that_is_no_lasting_knowledge_is_dropped_by_name(tmp_path: Path, reason: Unfit) -> None:
    assert why_drop(UNFIT[reason]) is reason
    write_session(tmp_path, line("assistant", as_xml(UNFIT[reason]), "a1"))
    made, drops = read_all(tmp_path)
    assert not made
    assert fates(drops) == {reason.value: 1}


def test_an_observation_made_twice_is_kept_once_and_the_loss_is_weighed(tmp_path: Path) -> None:
    write_session(tmp_path, line("assistant", as_xml(LASTING) * 2, "a1"))
    (made,), drops = read_all(tmp_path)
    (duplicate,) = [drop for drop in drops if drop.reason == Unfit.DUPLICATE]
    told = made.messages[1]
    assert isinstance(told, Assistant)
    assert duplicate.tally == Tally(conversations=1, replies=1, said=told.chars, chars=told.chars)
    assert fates(drops) == {"repeated observation": 0, "used": 1}


RECORDS = {
    Reason.NOT_A_MESSAGE: {"type": "summary", "summary": "x"},
    Reason.WATCHED_EVENT: event("u1"),
    Reason.SYNTHETIC: line("assistant", as_xml(LASTING), "a1", message={"model": "<synthetic>"}),
    Reason.NO_OBSERVATION: line("assistant", "<skip_summary reason='nothing'/>", "a1"),
    LineReason.BROKEN_LINE: "{",
    LineReason.NOT_AN_OBJECT: "[1]",
}


@pytest.mark.parametrize("reason", RECORDS)
def test_a_record_without_knowledge_is_set_aside_by_name_with_its_line(tmp_path: Path, reason: Reason) -> None:
    path = write_session(tmp_path, RECORDS[reason])
    made, (drop,) = read_all(tmp_path)
    assert not made
    assert (drop.stage, drop.reason, drop.file, drop.line, drop.records) == (
        "observers",
        reason.value,
        str(path),
        1,
        1,
    )


def test_only_the_folders_of_observers_are_read_and_a_missing_folder_is_named(tmp_path: Path) -> None:
    write_session(tmp_path, event("u1"))
    (tmp_path / "-home-dana-rigs-lantern").mkdir()
    (tmp_path / "-home-dana-rigs-lantern" / "s.jsonl").write_text("{}\n")
    assert [Path(file).name for unit in observers.units(tmp_path, "") for file in unit.files] == ["watcher-1.jsonl"]
    with pytest.raises(SourceError, match="is not a folder"):
        list(observers.units(tmp_path / "nowhere", ""))
