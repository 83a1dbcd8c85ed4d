"""Rates windows by what came of the work in them, and drops those from which nothing can be learned, by name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum

from msgspec.structs import replace

from data.config import QualityConfig
from data.record import Conversation, Drop, dropped, replies, weigh
from data.signals.score import rate, score
from data.stage import Stage

STAGE = "quality"
# A fence that is opened, in a list or a quote too, with something in it; an answer may end with its code, unclosed.
_FENCE = re.compile(r"^[ \t>]*(?:```|~~~)[^\n]*\n[\s>]*(?!```|~~~)[^\s>]", re.MULTILINE)


class Reason(StrEnum):
    TOO_SHORT = "too little trained text"
    SHORT_ANSWER = "answer under the minimum length"
    NO_CODE = "answer without a code block"
    LOW_SCORE = "score below the limit"


def quality_filter(config: QualityConfig) -> Stage:
    """A stage that sets `parts` and `quality` of a window and passes it, or drops it."""

    def judge(conversation: Conversation) -> Iterator[Conversation | Drop]:
        parts = rate(conversation.messages, conversation.facts)
        rated = replace(conversation, parts=parts, quality=score(parts, config.weights))
        reason = why_drop(rated, config)
        yield dropped(rated, STAGE, reason) if reason else rated

    return judge


def why_drop(conversation: Conversation, config: QualityConfig) -> Reason | None:
    """Why a rated window is not worth training, or None."""
    if weigh(replies(conversation)).tokens < config.min_trained_tokens:
        return Reason.TOO_SHORT
    answers = [reply.text for reply in replies(conversation)]
    if max(map(len, answers), default=0) < config.min_answer_chars:
        return Reason.SHORT_ANSWER
    if config.code == "required" and not any(map(_FENCE.search, answers)):
        return Reason.NO_CODE
    return Reason.LOW_SCORE if conversation.quality < config.min_score else None
