"""The reader does with each oddity of the sample town what the town's index asks for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from data.extract.transcript import Reason
from data.record import Assistant, Conversation, Drop, Tool, User, UserKind
from tests.transcripts import read_all


class Town:
    """The sample town as the reader sees it."""

    def __init__(self, folder: Path) -> None:
        self.index = json.loads((folder / "oddities.json").read_text())
        self.conversations, self.drops = read_all(folder / "projects")

    def of(self, oddity: str) -> list[Conversation]:
        session = self.index[oddity]["session"]
        return [c for c in self.conversations if c.origin.session == session]

    def dropped(self, oddity: str) -> list[Drop]:
        names = [self.index[oddity]["file"], *self.index[oddity]["also"]]
        return [d for d in self.drops if any(d.file.endswith(Path(name).name) for name in names)]


@pytest.fixture(scope="module")
def town(sample_town: Path) -> Town:
    return Town(sample_town)


def kinds(conversations: list[Conversation]) -> set[UserKind]:
    return {m.kind for c in conversations for m in c.messages if isinstance(m, User)}


def test_no_reply_of_the_town_is_trained_twice(town: Town) -> None:
    ids = [m.id for c in town.conversations for m in c.messages if isinstance(m, Assistant) and m.train]
    assert len(ids) == len(set(ids)) > 1000


@pytest.mark.parametrize(
    "oddity",
    ["compaction_with_known_parent", "compaction_with_lost_parent", "compaction_with_preserved_segment"],
)
def test_a_compaction_opens_an_epoch_with_its_summary(town: Town, oddity: str) -> None:
    conversations = town.of(oddity)
    assert len(conversations) == 2
    first = conversations[1].messages[0]
    assert isinstance(first, User) and first.kind is UserKind.SUMMARY
    assert UserKind.SUMMARY not in kinds(conversations[:1])


def test_every_fate_that_the_town_plans_happens(town: Town) -> None:
    fates = {str(drop.reason) for drop in town.drops}
    elsewhere = {Reason.UNREADABLE, Reason.TOO_LARGE, Reason.NO_REPLY, Reason.EMPTY, Reason.FORGOTTEN}
    expected = set(Reason) - elsewhere
    assert {str(reason) for reason in expected} <= fates


def test_the_town_shows_every_kind_of_human_side(town: Town) -> None:
    assert kinds(town.conversations) == set(UserKind) - {UserKind.RECALL}


def test_results_stand_in_call_order_after_their_calls(town: Town) -> None:
    for conversation in town.conversations:
        waiting: list[str] = []
        for message in conversation.messages:
            if isinstance(message, Tool):
                assert waiting.pop(0) == message.call_id
            else:
                assert not waiting
            if isinstance(message, Assistant):
                waiting = [call.id for call in message.calls]
