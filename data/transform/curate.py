"""Does with single windows what people decided about them: leaves them out, changes their texts, or shortens them.

`curate(config.curation, verdicts, tools)` is the stage. It knows a window by the key of what it says, so a decision
follows the text wherever the next build puts it. A window that nobody decided about passes, or leaves where only
approved ones are used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum

import msgspec
from msgspec.structs import replace

from data.config import CurationConfig
from data.curate.change import Change, apply, settle
from data.curate.decisions import Verdict
from data.curate.measure import measured
from data.curate.turns import key_of, turns_of
from data.forms import Form
from data.record import Assistant, Conversation, Drop, Tally, dropped, noted, replies, weigh
from data.stage import Stage

STAGE = "curate"
EDITED, TRIMMED = "edited", "trimmed"  # what a note says


class Reason(StrEnum):
    REJECTED = "rejected by a curator"
    UNDECIDED = "not approved by a curator"
    TRIMMED = "trimmed by a curator"
    TOO_LONG = "edit longer than a window"
    OVERLAPS = "edit overlaps a scenario"
    # An edited reply has other tokens than it came with; below zero where it has more.
    RECOUNTED = "tokens of edited replies"


class Tools(msgspec.Struct, frozen=True):
    """What a changed window passes through again: it came from a person, after every other stage.

    `redact` is called only where a text was edited; `compare` is the stage that drops what evaluation asks.
    """

    form: Form
    max_tokens: int
    redact: Callable[[Iterable[str]], dict[str, str]]
    compare: Stage


def curate(config: CurationConfig, verdicts: Mapping[str, Verdict], tools: Tools) -> Stage:
    """A stage that passes a window, drops it, or yields the changed copy and what left it."""

    def decide(window: Conversation) -> Iterator[Conversation | Drop]:
        verdict = verdict_of(window, verdicts)
        if verdict is None:
            yield dropped(window, STAGE, Reason.UNDECIDED) if config.use == "approved" else window
        elif verdict.reject:
            yield dropped(window, STAGE, Reason.REJECTED)
        elif verdict.change:
            yield from change_window(window, verdict.change, tools)
        else:
            yield window

    return decide


def verdict_of(window: Conversation, verdicts: Mapping[str, Verdict]) -> Verdict | None:
    """What was decided about a window, if anything was."""
    return verdicts.get(key_of(window.role, turns_of(window.messages))) if verdicts else None


def change_window(window: Conversation, change: Change, tools: Tools) -> Iterator[Conversation | Drop]:
    """The changed window with its notes, and the books of what it lost."""
    clean = tools.redact(change.texts.values()) if change.texts else {}
    change = Change({index: clean[text] for index, text in change.texts.items()}, change.last)
    change = settle(turns_of(window.messages), change)
    messages, lost = apply(window.messages, change)
    messages, tokens = measured(messages, tools.form)
    result = replace(window, messages=messages, tokens=tokens)
    if tokens > tools.max_tokens:
        yield dropped(window, STAGE, Reason.TOO_LONG, f"{tokens} tokens, {tools.max_tokens} fit")
    elif change.texts and (found := _overlap(result, tools.compare)):
        yield dropped(window, STAGE, Reason.OVERLAPS, found.detail)
    else:
        yield from _books(window, result, lost)
        result = noted(result, STAGE, EDITED, len(change.texts))
        yield noted(result, STAGE, TRIMMED, len(lost))


def _overlap(window: Conversation, compare: Stage) -> Drop | None:
    return next((outcome for outcome in compare(window) if isinstance(outcome, Drop)), None)


def _books(window: Conversation, result: Conversation, lost: list[Assistant]) -> Iterator[Drop]:
    """What left: the replies behind the end, and what edited replies weigh less than before."""
    if lost:
        first = lost[0]
        yield Drop(STAGE, Reason.TRIMMED, window.id, first.id, first.file, first.line, tally=weigh(lost))
    less = weigh(replies(window)).tokens - weigh(lost).tokens - weigh(replies(result)).tokens
    if less:
        yield Drop(STAGE, Reason.RECOUNTED, window.id, tally=Tally(tokens=less))
