"""What a tool result says about its call: fine, a command that ended badly, or a call that could not work at all.

A red test or a search that finds nothing is information that the agent asked for. A wrong path, an edit of a file
that was not read and an unknown flag are mistakes of the call itself.
"""

from __future__ import annotations

import re
from enum import StrEnum

from data.record import ResultStatus, Tool

TOOL_ERROR = "<tool_use_error>"
CANCELLED = "Sibling tool call errored"

_EXIT = "Exit code "
_SOFT_ERRORS = ("Error: ", "error: ", "fatal: ", "Traceback (most recent call last)")
_HEAD = 600  # characters in which a program says that it was called wrongly
_WRONG_COMMAND = re.compile(
    r"Exit code 12[67]\b|command not found|unknown (?:sub)?command|unknown (?:shorthand )?flag"
    r"|unrecognized (?:option|argument|subcommand)|unexpected argument|invalid (?:option|choice|flag)|no such option"
    r"|missing required (?:argument|flag|option)|accepts \d+ arg|requires at least \d+ arg|^usage: "
    r"|is not a (?:git|gt|bd|gh|docker|npm) command",
    re.IGNORECASE | re.MULTILINE,
)


class Verdict(StrEnum):
    """`UNKNOWN` is whatever says nothing about the call: rejected, cancelled with a sibling, lost, a plan accepted."""

    FINE = "fine"
    BAD_EXIT = "bad exit"
    WRONG_CALL = "wrong call"
    UNKNOWN = "unknown"


def judge_result(result: Tool) -> Verdict:
    """The verdict on one call. Statuses come first; without a flag the beginning of the text decides."""
    if result.status is ResultStatus.OK:
        return _judge_unflagged(result.text)
    if result.status is not ResultStatus.ERROR or CANCELLED in result.text[:_HEAD]:
        return Verdict.UNKNOWN
    if result.text.startswith(_EXIT) and not _WRONG_COMMAND.search(result.text[:_HEAD]):
        return Verdict.BAD_EXIT
    return Verdict.WRONG_CALL


def _judge_unflagged(text: str) -> Verdict:
    if text.startswith(TOOL_ERROR):
        return Verdict.UNKNOWN if CANCELLED in text[:_HEAD] else Verdict.WRONG_CALL
    if text.startswith(_SOFT_ERRORS) or (text.startswith(_EXIT) and not text.startswith(f"{_EXIT}0")):
        return Verdict.BAD_EXIT
    return Verdict.FINE
