"""Decides which replies are worth learning, by what came after them, and records what the session achieved.

What failed, or what a person did not want, stays as context: the model sees the mistake and learns the recovery.
Facts such as passed tests, a pull request or a merged bead go along with the conversation for the quality score.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum

from msgspec.structs import replace

from data.config import OutcomeConfig
from data.record import Assistant, Conversation, Drop, weigh
from data.signals.bead_links import bead_facts
from data.signals.facts import BeadFate, Fact
from data.signals.people import Objection, objection
from data.signals.repairs import is_repaired
from data.signals.shell import runs_of, shell_facts
from data.signals.steps import Step, steps_of
from data.stage import Stage

STAGE = "outcome"


class Reason(StrEnum):
    """Why a reply is shown and not learned."""

    REJECTED = "call rejected by the user"
    INTERRUPTED = "interrupted by the user"
    CORRECTED = "corrected by the user"
    REPAIRED = "failed attempt that was repaired"


_OBJECTIONS = {
    Objection.REJECTED: Reason.REJECTED,
    Objection.INTERRUPTED: Reason.INTERRUPTED,
    Objection.CORRECTED: Reason.CORRECTED,
}


def outcome(config: OutcomeConfig, beads: Mapping[str, BeadFate]) -> Stage:
    """A stage that takes replies out of the training, each with a drop, and sets facts.

    `beads` are the known fates by bead id.
    """
    active = frozenset(reason for reason in Reason if getattr(config, reason.name.lower()))

    def judge(conversation: Conversation) -> Iterator[Conversation | Drop]:
        steps = list(steps_of(conversation.messages))
        reasons = {at: why for at, why in why_unlearned(steps, config.repair_within).items() if why in active}
        messages = list(conversation.messages)
        for at, reason in reasons.items():
            reply = messages[at]
            if isinstance(reply, Assistant) and reply.train:
                messages[at] = replace(reply, train=False)
                yield Drop(STAGE, reason, reply.id, "", reply.file, reply.line, tally=weigh([reply]))
        facts = facts_of(conversation, steps, beads)
        yield replace(conversation, messages=tuple(messages), facts=facts)

    return judge


def why_unlearned(steps: Sequence[Step], repair_within: int) -> dict[int, Reason]:
    """The place of each reply that should not be learned, and why. A person's word goes before a failure."""
    reasons: dict[int, Reason] = {}
    for index, step in enumerate(steps):
        if no := objection(step):
            reasons[step.at] = _OBJECTIONS[no]
        elif is_repaired(steps, index, repair_within):
            reasons[step.at] = Reason.REPAIRED
    return reasons


def facts_of(conversation: Conversation, steps: Sequence[Step], beads: Mapping[str, BeadFate]) -> tuple[str, ...]:
    """What is known of the session: what the reader found, what its commands achieved, how its beads ended."""
    runs = list(runs_of(steps))
    found = shell_facts(runs) | bead_facts(conversation, runs, beads)
    return tuple(dict.fromkeys((*conversation.facts, *(fact.value for fact in Fact if fact in found))))
