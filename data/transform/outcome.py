"""Decides which replies are worth learning, by what came after them, and records what the session achieved.

What failed, or what a person did not want, stays as context: the model sees the mistake and learns the recovery.
Facts such as passed tests, a pull request or a merged bead go along with the conversation for the quality score.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from itertools import pairwise, takewhile

from msgspec.structs import replace

from data.config import OutcomeConfig
from data.record import Assistant, Conversation, Drop, ToolCall, weigh
from data.signals.bead_links import bead_facts
from data.signals.facts import BeadFate, Fact
from data.signals.people import Objection, objection
from data.signals.results import Verdict, judge_result
from data.signals.shell import SHELL, commands_of, line_of, runs_of, shell_facts
from data.signals.steps import Step, steps_of
from data.stage import Stage

STAGE = "outcome"

# Both are the model's own JSON, so the same file is the same text.
_FILE = re.compile(r'"(?:file|notebook)_path":\s?("(?:[^"\\]|\\.)*")')
_EDITORS = frozenset({"Edit", "MultiEdit", "Write", "NotebookEdit"})


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
        elif failed := failed_calls(step):
            later = _rest_of_turn(steps, index, repair_within)
            if all(any(_repairs(call, other) for other in later) for call in failed):
                reasons[step.at] = Reason.REPAIRED
    return reasons


def failed_calls(step: Step) -> tuple[ToolCall, ...]:
    """The calls of a reply none of whose calls worked; empty where one did, or where none was at fault itself."""
    verdicts = {result.call_id: judge_result(result) for result in step.results}
    if Verdict.WRONG_CALL not in verdicts.values():
        return ()
    if not set(verdicts.values()) <= {Verdict.WRONG_CALL, Verdict.UNKNOWN}:
        return ()
    return tuple(call for call in step.reply.calls if verdicts.get(call.id) is Verdict.WRONG_CALL)


def facts_of(conversation: Conversation, steps: Sequence[Step], beads: Mapping[str, BeadFate]) -> tuple[str, ...]:
    """What is known of the session: what the reader found, what its commands achieved, how its beads ended."""
    runs = list(runs_of(steps))
    found = shell_facts(runs) | bead_facts(conversation, runs, beads)
    return tuple(dict.fromkeys((*conversation.facts, *(fact.value for fact in Fact if fact in found))))


def _rest_of_turn(steps: Sequence[Step], index: int, most: int) -> list[Step]:
    """The next steps, at most so many, until somebody speaks."""
    turn = takewhile(lambda pair: not pair[0].ends_turn, pairwise(steps[index : index + most + 1]))
    return [step for _, step in turn]


def _repairs(failed: ToolCall, later: Step) -> bool:
    """Whether a later reply did with success what this call had tried."""
    fine = {result.call_id for result in later.results if judge_result(result) is Verdict.FINE}
    return any(call.id in fine and call.name == failed.name and _same_aim(failed, call) for call in later.reply.calls)


def _same_aim(failed: ToolCall, later: ToolCall) -> bool:
    """Whether two calls of a tool are after the same: an edit of one file, a command with one program.

    Where a search or a read failed, another place to look is the repair.
    """
    if failed.name in _EDITORS:
        return _file_of(failed) == _file_of(later)
    if failed.name == SHELL:
        programs = [command.split()[0] for command in commands_of(failed) if not command.startswith("cd ")]
        words = [word.rpartition("/")[2] for word in line_of(later).split()]
        return any(word.startswith(program) for program in programs for word in words)
    return True


def _file_of(call: ToolCall) -> str:
    match = _FILE.search(call.arguments)
    return match.group(1) if match else ""
