"""What people did with a reply (refused its call, corrected it, took it), what failed and was repaired, what landed.

`candidates(conversation, within)` finds what may become a preference: a pair for DPO (a reply, and what came in its
place) or a judged reply for KTO. It reads whole conversations, before windows are cut; which of them really become
rows is decided where the windows are. Nothing is invented: both sides are what was really said or done. But who
corrects himself has seen more than the pair shows, so a candidate says what its better side had `seen`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Literal

import msgspec

from data.lenient_json import dumps
from data.record import Conversation, ResultStatus, ToolCall, User, UserKind
from data.signals.facts import Fact
from data.signals.people import Objection, approval, corrects, objection
from data.signals.repairs import failed_calls, is_repaired
from data.signals.results import Verdict, judge_result
from data.signals.shell import SHELL, commands_of
from data.signals.steps import Step, steps_of

Method = Literal["dpo", "kto"]

_WORDS = frozenset({UserKind.REJECTION, UserKind.PROMPT, UserKind.QUEUED, UserKind.BESIDE_RESULT})
_ASKS = "AskUserQuestion"
_OWN_COMMAND = re.compile(r"<bash-input>(.+?)</bash-input>", re.DOTALL)
# What says that the work on a bead is done.
_HANDS_IN = re.compile(r"(?:bd close|gt done|gt mq submit)\b")


class Kind(StrEnum):
    """What happened to a reply. The first four are about what was not wanted, the last about what was, or was not."""

    REJECTED = "rejected call"
    INTERRUPTED = "interrupted reply"
    CORRECTED = "corrected reply"
    REPAIRED = "repaired attempt"
    ACCEPTED = "accepted reply"
    LANDED = "work that landed"
    RETURNED = "work that came back"


DESIRABLE = frozenset({Kind.ACCEPTED, Kind.LANDED})


class Reason(StrEnum):
    """Why a candidate says nothing that could be learned."""

    NO_WORD = "nobody said what was wrong"
    A_QUESTION = "a question that was answered in other words"
    PARTLY = "other calls of the reply worked"
    NOTHING_CAME = "nothing came instead"
    NO_BETTER = "what came instead was no better"
    ONLY_TALK = "what came instead answers the person"
    BEADS_DIFFER = "its beads ended differently"
    NOT_HANDED_IN = "no reply hands the work in"


class Seen(StrEnum):
    """What the better side of a pair had seen that its prompt does not show: it was given later."""

    NOTHING = "nothing"
    WORDS = "words"
    ERROR = "error"


class Candidate(msgspec.Struct, frozen=True):
    """A reply that was judged. `at` is its place among the messages, -1 where there is none.

    Of a pair, `instead` is the place of the better reply; where a person did it, `own` is what they did.
    `why` is the reason why it is no preference after all.
    """

    method: Method
    kind: Kind
    at: int
    instead: int = -1
    own: ToolCall | None = None
    seen: Seen = Seen.NOTHING
    why: Reason | None = None


def candidates(conversation: Conversation, within: int) -> Iterator[Candidate]:
    """Everything in a conversation that may be a preference, in order. A reply is judged once: by a person's word
    before its failure, by its failure before the beads.

    `within` is how many replies later a failed attempt counts as repaired.
    """
    steps = list(steps_of(conversation.messages))
    judged: set[int] = set()
    for index, step in enumerate(steps):
        if no := objection(step):
            found = _objected(steps, index, no)
        elif is_repaired(steps, index, within):
            found = _repaired(steps, index, within)
        elif approval(step):
            found = [Candidate("kto", Kind.ACCEPTED, step.at)]
        else:
            continue
        judged.add(step.at)
        yield from found
    yield from _handed_in([step for step in steps if step.at not in judged], conversation.facts)


def _objected(steps: Sequence[Step], index: int, no: Objection) -> list[Candidate]:
    """The pair and the judged reply of somebody's no."""
    step = steps[index]
    words = next((user for user in step.said if user.kind in _WORDS), None)
    kind = _kind_of(step, no, words)
    why = _why_not(step, kind)
    label = Candidate("kto", kind, step.at, why=why)
    if why or not (words or _own_command(step)):
        return [Candidate("dpo", kind, step.at, why=why or Reason.NO_WORD), label]
    if own := _own_command(step):
        return [Candidate("dpo", kind, step.at, own=own), label]
    later = steps[index + 1] if index + 1 < len(steps) else None
    why = _why_no_better(step, later)
    instead = later.at if later else -1
    return [Candidate("dpo", kind, step.at, instead, seen=Seen.WORDS, why=why), label]


def _kind_of(step: Step, no: Objection, words: User | None) -> Kind:
    """An interrupt counts as a correction where the first words after it are one."""
    if no is Objection.REJECTED:
        return Kind.REJECTED
    corrected = no is Objection.CORRECTED or (words is not None and corrects(words.text, step.reply.text))
    return Kind.CORRECTED if corrected else Kind.INTERRUPTED


def _why_not(step: Step, kind: Kind) -> Reason | None:
    """Why a no says nothing about the reply as a whole."""
    if kind is Kind.INTERRUPTED:
        return Reason.NO_WORD
    if kind is not Kind.REJECTED:
        return None
    if any(result.name == _ASKS and result.status is ResultStatus.REJECTED for result in step.results):
        return Reason.A_QUESTION
    return Reason.PARTLY if any(judge_result(result) is Verdict.FINE for result in step.results) else None


def _own_command(step: Step) -> ToolCall | None:
    """The shell command that a person ran in place of the one they had refused."""
    if not any(result.name == SHELL and result.status is ResultStatus.REJECTED for result in step.results):
        return None
    texts = (user.text for user in step.said if user.kind is UserKind.SHELL)
    found = next(filter(None, map(_OWN_COMMAND.search, texts)), None)
    return ToolCall("own", SHELL, dumps({"command": found[1].strip()})) if found else None


def _why_no_better(step: Step, later: Step | None) -> Reason | None:
    """Why the reply after a no is not what was wanted instead."""
    if later is None:
        return Reason.NOTHING_CAME
    if objection(later) or failed_calls(later):
        return Reason.NO_BETTER
    # Such a reply speaks to whoever refused the call; without their words it would answer nothing.
    return Reason.ONLY_TALK if step.reply.calls and not later.reply.calls else None


def _repaired(steps: Sequence[Step], index: int, within: int) -> list[Candidate]:
    """The pair and the judged reply of a failed attempt: better is the first step of the repair that worked.

    The last one often repeats the attempt word for word: a file had to be read first.
    """
    at = steps[index].at
    better = next(step for step in steps[index + 1 : index + 1 + within] if not failed_calls(step))
    why = Reason.NO_BETTER if objection(better) else None
    pair = Candidate("dpo", Kind.REPAIRED, at, better.at, seen=Seen.ERROR, why=why)
    return [pair, Candidate("kto", Kind.REPAIRED, at)]


def _handed_in(steps: Sequence[Step], facts: Sequence[str]) -> Iterator[Candidate]:
    """The reply that handed in the work, judged by what became of the beads that it was about."""
    ends = [kind for fact, kind in _ENDS if fact in facts]
    if not ends:
        return
    handing = [step.at for step in steps if any(map(_HANDS_IN.match, _commands(step)))]
    at = handing[-1] if handing else -1
    if len(ends) > 1:
        yield Candidate("kto", Kind.RETURNED, at, why=Reason.BEADS_DIFFER)
    else:
        yield Candidate("kto", ends[0], at, why=None if handing else Reason.NOT_HANDED_IN)


_ENDS = ((Fact.BEAD_LANDED, Kind.LANDED), (Fact.BEAD_FAILED, Kind.RETURNED))


def _commands(step: Step) -> Iterator[str]:
    return (command for call in step.reply.calls for command in commands_of(call))
