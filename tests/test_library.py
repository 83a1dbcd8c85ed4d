"""The archive and the live folder are read as one: nothing that was ever archived is lost, nothing is read twice."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.extract import observers, sessions
from data.extract.archive import archive
from data.extract.archive_index import ArchiveError
from data.extract.library import NOTHING, Archived, only_archived
from data.record import Assistant, Conversation, Drop
from tests.transcripts import SESSION, Script, shape

EXCHANGES = 8
COPY = "5e551011-0000-4000-8000-000000000002"


class Change(NamedTuple):
    """What happens to a live file: it then holds the records from `start` to `end`, or is gone, or an archive runs."""

    what: Literal["write", "delete", "archive"]
    name: str
    start: int
    end: int


changes = st.builds(
    Change,
    st.sampled_from(["write", "write", "delete", "archive"]),
    st.sampled_from([SESSION, COPY]),
    st.sampled_from([0, 0, 0, 2, 6]),
    st.integers(1, 2 * EXCHANGES),
)


def script() -> list[str]:
    """The lines of a session in which every reply has its own id."""
    s = Script()
    for number in range(EXCHANGES):
        s.human(f"question {number}")
        s.says(f"answer {number}", f"msg_{number}")
    return [json.dumps(line) + "\n" for line in s.lines]


@contextmanager
def folders() -> Iterator[tuple[Path, Path]]:
    with TemporaryDirectory() as folder:
        live, store = Path(folder, "projects"), Path(folder, "store")
        (live / "-home-ann-work").mkdir(parents=True)
        yield live, store


def live_out(live: Path, store: Path, history: list[Change]) -> set[str]:
    """Let the history happen. Returns the records that were ever archived or are live in the end."""
    lines, kept = script(), set()
    now: dict[str, list[str]] = {}
    for time, change in enumerate(history, 1):
        path = live / "-home-ann-work" / f"{change.name}.jsonl"
        if change.what == "archive":
            archive(live, store)
            kept |= {line for content in now.values() for line in content}
        elif change.what == "delete":
            path.unlink(missing_ok=True)
            now.pop(change.name, None)
        else:
            now[change.name] = lines[change.start : change.end]
            path.write_text("".join(now[change.name]))
            os.utime(path, (time, time))
    return kept | {line for content in now.values() for line in content}


def outcomes(live: Path, archived: Archived) -> list[Conversation | Drop]:
    return [item for unit in sessions.units(live, archived=archived) for item in sessions.read(unit)]


@given(st.lists(changes, max_size=10))
def test_what_was_ever_archived_or_is_live_is_read(history: list[Change]) -> None:
    with folders() as (live, store):
        expected = live_out(live, store, history)
        archived = only_archived(live, store)
        files = [*sessions.transcripts(live), *archived.pick(sessions.transcripts)]
        assert {line for path in files for line in path.read_text().splitlines(keepends=True)} == expected


@given(st.lists(changes, max_size=10))
def test_every_reply_of_it_trains_exactly_once(history: list[Change]) -> None:
    with folders() as (live, store):
        lines = live_out(live, store, history)
        records = [json.loads(line) for line in lines]
        told = Counter(
            message.id
            for item in outcomes(live, only_archived(live, store))
            if isinstance(item, Conversation)
            for message in item.messages
            if isinstance(message, Assistant) and message.train
        )
        assert told == Counter(r["message"]["id"] for r in records if r["type"] == "assistant")


@given(st.lists(changes, max_size=10))
def test_no_archived_file_is_read_that_the_live_one_begins_with(history: list[Change]) -> None:
    with folders() as (live, store):
        live_out(live, store, history)
        for path in only_archived(live, store).files:
            there = live / path.parent.name / f"{path.name.partition('.')[0]}.jsonl"
            assert not there.exists() or not there.read_bytes().startswith(path.read_bytes())


@given(st.lists(changes, max_size=8))
def test_a_lost_folder_is_read_from_its_archive_as_it_was(history: list[Change]) -> None:
    with folders() as (live, store):
        live_out(live, store, [*history, Change("archive", "", 0, 0)])

        def read_again() -> list[list[str]]:
            items = outcomes(live, only_archived(live, store))
            return sorted(shape(item) for item in items if isinstance(item, Conversation))

        before = read_again()
        shutil.rmtree(live if before else live / "-home-ann-work")
        assert read_again() == before


@pytest.fixture
def town(tmp_path: Path) -> tuple[Path, Path]:
    s = Script()
    s.human("go")
    s.says("One.", "m1")
    s.save(tmp_path / "projects")
    return tmp_path / "projects", tmp_path / "store"


def test_without_an_archive_there_is_nothing_to_read_from_it(town: tuple[Path, Path]) -> None:
    live, store = town
    assert only_archived(live, store) == NOTHING


def test_an_archive_is_read_with_the_folder_that_it_was_made_from_and_no_other(
    town: tuple[Path, Path], tmp_path: Path
) -> None:
    live, store = town
    archive(live, store)
    (tmp_path / "other").mkdir()
    assert only_archived(tmp_path / "other", store) == NOTHING
    archive(tmp_path / "other", store)
    assert len(only_archived(tmp_path / "other", store).files) == 1


def test_a_file_of_the_same_size_with_other_content_is_no_copy(town: tuple[Path, Path]) -> None:
    live, store = town
    archive(live, store)
    [path] = live.rglob("*.jsonl")
    path.write_text(path.read_text().replace("One.", "Two."))
    [lacking] = only_archived(live, store).files
    assert "One." in lacking.read_text()


def test_side_files_of_an_archived_session_are_read_beside_it(tmp_path: Path) -> None:
    live, store = tmp_path / "projects", tmp_path / "store"
    s = Script()
    s.human("go")
    s.calls("t1", "m1")
    s.result("t1", "<persisted-output>\nOutput too large\n</persisted-output>")
    s.says("Long.", "m2")
    path = s.save(live)
    stored = path.parent / s.session / "tool-results" / "t1.txt"
    stored.parent.mkdir(parents=True)
    stored.write_text("all of it")
    archive(live, store)
    shutil.rmtree(path.parent)
    [conversation] = [i for i in outcomes(live, only_archived(live, store)) if isinstance(i, Conversation)]
    assert "t1 ok: all of it" in shape(conversation)


def test_a_subagent_of_an_archived_session_is_found(tmp_path: Path) -> None:
    live, store = tmp_path / "projects", tmp_path / "store"
    s = Script()
    s.human("look", isSidechain=True, agentId="a1")
    s.says("Seen.", "m1", isSidechain=True, agentId="a1")
    path = live / "-home-ann-work" / SESSION / "subagents" / "agent-a1.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text(s.text())
    archive(live, store)
    path.unlink()
    [conversation] = [i for i in outcomes(live, only_archived(live, store)) if isinstance(i, Conversation)]
    assert conversation.origin.agent == "a1"


def test_versions_of_an_observer_session_are_one_unit(tmp_path: Path) -> None:
    live, store = tmp_path / "projects", tmp_path / "store"
    path = live / "-home-ann-observer-sessions" / "watcher.jsonl"
    path.parent.mkdir(parents=True)
    for content in ('{"type":"user"}\n', '{"type":"assistant"}\n'):
        path.write_text(content)
        archive(live, store)
    [unit] = observers.units(live, "", only_archived(live, store))
    assert [Path(file).name.partition(".")[0] for file in unit.files] == ["watcher", "watcher"]
    assert not list(sessions.units(live, archived=only_archived(live, store)))


def test_a_damaged_view_is_one_sentence_and_no_silent_loss(town: tuple[Path, Path]) -> None:
    live, store = town
    archive(live, store)
    shutil.rmtree(live / "-home-ann-work")
    [shown] = (store / "view").rglob("*.jsonl")
    shown.unlink()
    with pytest.raises(ArchiveError, match=r"^[^\n]+ is missing or damaged\. `python -m data\.pipeline archive`"):
        only_archived(live, store)
    archive(live, store)
    assert only_archived(live, store).files == {shown}


def test_a_damaged_list_of_folders_is_one_sentence(town: tuple[Path, Path]) -> None:
    live, store = town
    archive(live, store)
    (store / "folders.json").write_text("{nonsense")
    with pytest.raises(ArchiveError, match=r"^[^\n]+folders\.json cannot be read\. Remove it and run"):
        only_archived(live, store)
