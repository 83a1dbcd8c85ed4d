"""A forgotten session is in no conversation, and neither are its copies in other sessions."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from data.extract.sessions import read, units
from data.extract.transcript import Reason
from data.record import Conversation, Drop
from tests.transcripts import SESSION, Script, reasons, shape

OTHER = "5e551011-0000-4000-8000-00000000beef"


def read_without(folder: Path, *forgotten: str) -> tuple[list[Conversation], list[Drop]]:
    """What a build makes of a folder when some sessions are forgotten."""
    items = [
        item for unit in units(folder) for item in read(msgspec.structs.replace(unit, forgotten=frozenset(forgotten)))
    ]
    conversations = [item for item in items if isinstance(item, Conversation)]
    return conversations, [item for item in items if isinstance(item, Drop)]


def forked(folder: Path, turns: int, shared: int, same_ids: bool) -> None:
    """A session and another that began with a copy of its first turns, as a resume or a branch writes it."""
    one = Script()
    for turn in range(turns):
        one.human(f"asked {turn}")
        one.says(f"told {turn}", f"msg_{turn}")
    one.save(folder)
    other = Script(session=OTHER, start=50)
    if same_ids:
        other.lines = [json.loads(json.dumps(line)) | {"sessionId": OTHER} for line in one.lines[: 2 * shared]]
        other.last = one.lines[2 * shared - 1]["uuid"]
    else:
        for turn in range(shared):
            other.human(f"asked {turn}")
            other.says(f"told {turn}", f"msg_{turn}")
    other.human("asked apart")
    other.says("told apart", "msg_apart")
    other.save(folder)


@given(st.integers(1, 5), st.integers(1, 5), st.booleans())
def test_nothing_of_a_forgotten_session_is_left_in_a_copy_of_it(turns: int, shared: int, same_ids: bool) -> None:
    with TemporaryDirectory() as folder:
        forked(Path(folder), turns, min(turns, shared), same_ids)
        conversations, _ = read_without(Path(folder), SESSION)
        assert [shape(c) for c in conversations] == [["prompt: asked apart", "reply: told apart"]]
        everything, _ = read_without(Path(folder))
        assert {c.origin.group for c in conversations} == {c.origin.group for c in everything}


@given(st.integers(1, 5), st.integers(1, 5), st.booleans())
def test_every_record_is_accounted_for_whatever_is_forgotten(turns: int, shared: int, same_ids: bool) -> None:
    with TemporaryDirectory() as folder:
        forked(Path(folder), turns, min(turns, shared), same_ids)
        total = sum(len(path.read_text().splitlines()) for path in Path(folder).rglob("*.jsonl"))
        for forgotten in ((), (SESSION,), (OTHER,), (SESSION, OTHER), ("nobody",)):
            conversations, drops = read_without(Path(folder), *forgotten)
            assert sum(reasons(drops).values()) == total
            assert not {c.origin.session for c in conversations} & set(forgotten)
            assert (Reason.FORGOTTEN in reasons(drops)) == (forgotten not in ((), ("nobody",)))


def test_what_a_session_went_on_with_stays_when_only_its_continuation_is_forgotten(tmp_path: Path) -> None:
    s = Script()
    s.human("go")
    s.says("One.", "m1")
    s.session = OTHER
    s.human("more")
    s.says("Two.", "m2")
    s.save(tmp_path)
    conversations, drops = read_without(tmp_path, OTHER)
    assert [shape(c) for c in conversations] == [["prompt: go", "reply: One."]]
    assert reasons(drops) == {"used": 2, Reason.FORGOTTEN: 2}


def test_a_subagent_of_a_forgotten_session_is_forgotten_with_it(tmp_path: Path) -> None:
    s = Script()
    s.human("look", isSidechain=True, agentId="a1")
    s.says("Seen.", "m1", isSidechain=True, agentId="a1")
    path = s.save(tmp_path)
    place = path.parent / SESSION / "subagents" / "agent-a1.jsonl"
    place.parent.mkdir(parents=True)
    path.rename(place)
    conversations, drops = read_without(tmp_path, SESSION)
    assert conversations == []
    assert reasons(drops) == {Reason.FORGOTTEN: 2}
