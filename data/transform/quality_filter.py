"""Drops windows from which nothing can be learned, each for a named reason."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

from data.config import QualityConfig
from data.record import Conversation, Drop, dropped, replies, weigh
from data.stage import Stage

STAGE = "quality"


class Reason(StrEnum):
    TOO_SHORT = "too little trained text"
    LOW_SCORE = "score below the limit"


def quality_filter(config: QualityConfig) -> Stage:
    """A stage that passes a window or drops it."""

    def judge(conversation: Conversation) -> Iterator[Conversation | Drop]:
        reason = why_drop(conversation, config)
        yield dropped(conversation, STAGE, reason) if reason else conversation

    return judge


def why_drop(conversation: Conversation, config: QualityConfig) -> Reason | None:
    """Why a window is not worth training, or None."""
    if weigh(replies(conversation)).tokens < config.min_trained_tokens:
        return Reason.TOO_SHORT
    return Reason.LOW_SCORE if conversation.quality < config.min_score else None
