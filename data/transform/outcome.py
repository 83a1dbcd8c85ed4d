"""How well the work in a window went, as a score in 0..1 whose parts are plain counts.

The score says what followed the replies: results that were errors, people who said no or interrupted, and
whether the session ended in a commit or a pull request. It judges the trajectory, not the prose.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec
from msgspec.structs import replace

from data.record import Assistant, Conversation, ResultStatus, Tool, User, UserKind
from data.stage import Stage

STAGE = "outcome"

_FAILED = re.compile(r"^(?:Error|Exit code [1-9]|<tool_use_error>|Traceback \(most recent call last\))")
_CORRECTION = re.compile(
    r"^(?:no[,. !]|nope|not that|wrong|that's (?:not|wrong)|that is (?:not|wrong)|undo|revert|stop[,. !]|don't)",
    re.IGNORECASE,
)
_LANDING = re.compile(r"\bgit (?:commit|push|merge)\b|\bgh pr (?:create|merge)\b|\bgt done\b")

# Weights: errors are information about single steps, a person's no about the whole direction; that the work
# landed is known for the session only, so it counts least.
_WEIGHTS = {"results": 0.5, "people": 0.3, "landed": 0.2}


class Parts(msgspec.Struct, frozen=True):
    """What was counted in one window."""

    results: int
    failed: int
    objections: int
    landed: bool

    @property
    def score(self) -> float:
        """Quality in 0..1, rounded to three places."""
        parts = {
            "results": 1 - self.failed / self.results if self.results else 1.0,
            "people": 1.0 if not self.objections else 0.5 if self.objections == 1 else 0.0,
            "landed": 1.0 if self.landed else 0.5,
        }
        return round(sum(_WEIGHTS[name] * value for name, value in parts.items()), 3)


def outcome() -> Stage:
    """A stage that sets `quality`."""

    def judge(conversation: Conversation) -> Iterator[Conversation]:
        yield replace(conversation, quality=count_parts(conversation).score)

    return judge


def count_parts(conversation: Conversation) -> Parts:
    """The outcome signals of a conversation. An accepted plan and a missing result are no failures."""
    results = failed = objections = 0
    landed = "pull_request" in conversation.facts
    for message in conversation.messages:
        match message:
            case Tool(status=ResultStatus.OK | ResultStatus.ERROR):
                results += 1
                failed += has_failed(message)
            case Tool(status=ResultStatus.REJECTED):
                objections += 1
            case User():
                objections += objects(message)
            case Assistant():
                landed = landed or any(_LANDING.search(call.arguments) for call in message.calls)
            case _:
                pass
    return Parts(results, failed, objections, landed)


def has_failed(result: Tool) -> bool:
    """Whether a result reports an error, by its flag or by how its text begins."""
    return result.status is ResultStatus.ERROR or bool(_FAILED.match(result.text))


def objects(user: User) -> bool:
    """Whether a person interrupted or corrected the agent. A rejection counts at its result."""
    if user.kind is UserKind.INTERRUPT:
        return True
    return user.kind in (UserKind.PROMPT, UserKind.QUEUED) and bool(_CORRECTION.match(user.text))
