"""Which beads a session worked on, read from its own text, and what became of them.

Beads hardly ever record the session that closed them, so the link is the id: in the branch, in the beacon that gave
the work, on the hook, and in the commands that claimed, closed or submitted it. A bead that was only looked at counts
where there is no other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from data.record import Conversation, User
from data.signals.facts import BeadFate, Fact
from data.signals.shell import Run

BEACON = "[GAS TOWN]"

_ID = re.compile(r"[A-Za-z0-9][\w.-]*")
_BRANCH = re.compile(r"polecat/[^/\s]+/([\w.-]+)")
_ASSIGNED = re.compile(r"assigned:([\w.-]+)")
_WORK = re.compile(r"(?:bd (?:close|update|reopen)|gt (?:done|hook|sling|mq|unsling))\b")
_LOOK = re.compile(r"bd show\b")
_HOOK = re.compile(r"gt (?:hook|prime|mol status)\b")


def bead_facts(conversation: Conversation, runs: Sequence[Run], beads: Mapping[str, BeadFate]) -> set[Fact]:
    """Whether beads of this conversation landed, and whether some came back. Without known beads, nothing."""
    if not beads:
        return set()
    ids = {bead for bead in worked_on(conversation, runs) if bead in beads}
    ids = ids or {bead for bead in _named(runs, _LOOK) if bead in beads}
    return {Fact.BEAD_LANDED if beads[bead] is BeadFate.LANDED else Fact.BEAD_FAILED for bead in ids}


def worked_on(conversation: Conversation, runs: Sequence[Run]) -> Iterator[str]:
    """Words that may be ids of the beads that this was about; the caller knows which are."""
    yield from _BRANCH.findall(conversation.origin.branch)
    for message in conversation.messages:
        if isinstance(message, User) and BEACON in message.text:
            yield from map(_trimmed, _ASSIGNED.findall(message.text))
    yield from _named(runs, _WORK)
    for run in runs:
        for command in run.commands:
            if "polecat/" in command:
                yield from _BRANCH.findall(command)
            if _HOOK.match(command):
                yield from _hooked(run.result.text)


def _named(runs: Iterable[Run], verb: re.Pattern[str]) -> Iterator[str]:
    for run in runs:
        for command in run.commands:
            if verb.match(command):
                yield from map(_trimmed, _ID.findall(command))


def _hooked(text: str) -> Iterator[str]:
    """The words of the lines that say what hangs on the hook."""
    for line in text.splitlines():
        if "ook" in line or "ssigned" in line:
            yield from map(_trimmed, _ID.findall(line))


def _trimmed(word: str) -> str:
    return word.rstrip(".-")
