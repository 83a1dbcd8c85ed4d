"""Steps: a reply, the results of its calls, and what was said before the next reply."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import msgspec

from data.record import Assistant, Message, Tool, User, UserKind

PEOPLE = frozenset({UserKind.PROMPT, UserKind.QUEUED, UserKind.BESIDE_RESULT, UserKind.COMMAND, UserKind.PLAN})


class Step(msgspec.Struct, frozen=True):
    """`at` is the place of the reply among the messages."""

    at: int
    reply: Assistant
    results: tuple[Tool, ...] = ()
    said: tuple[User, ...] = ()

    @property
    def ends_turn(self) -> bool:
        """Whether a person spoke or stopped the agent before the next reply."""
        return any(user.kind in PEOPLE or user.kind is UserKind.INTERRUPT for user in self.said)


def steps_of(messages: Sequence[Message]) -> Iterator[Step]:
    """The steps of a conversation or a window in order; what stands before the first reply is in none."""
    places = [at for at, message in enumerate(messages) if isinstance(message, Assistant)]
    for at, end in pairwise((*places, len(messages))):
        reply, after = messages[at], messages[at + 1 : end]
        assert isinstance(reply, Assistant)
        results = tuple(message for message in after if isinstance(message, Tool))
        yield Step(at, reply, results, tuple(message for message in after if isinstance(message, User)))
