"""The only place that knows the ShareGPT row: a window becomes one JSON line for Axolotl.

Every row and every message has the same keys with the same JSON types, because a loader fixes the types by the
first 10 MB of a file.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Literal

import msgspec

from data.record import Assistant, Conversation, Message, System, replies, weigh
from data.render import render_human, render_reply, render_system

Speaker = Literal["system", "human", "gpt"]


class Turn(msgspec.Struct, frozen=True):
    from_: Speaker = msgspec.field(name="from")
    value: str
    train: bool


class Metadata(msgspec.Struct, frozen=True):
    """`tokens` counts the whole rendered row, `trained_tokens` those in the loss, both by the base's tokenizer."""

    id: str
    role: str
    session_id: str
    source: str
    quality_score: float
    trained_ids: tuple[str, ...]
    tokens: int
    trained_tokens: int


class Row(msgspec.Struct, frozen=True):
    conversations: tuple[Turn, ...]
    metadata: Metadata


def to_row(window: Conversation) -> Row:
    """The row of a window that begins with its system message."""
    trained = list(replies(window))
    return Row(
        conversations=tuple(_turn(list(part)) for _, part in groupby(window.messages, _speaker)),
        metadata=Metadata(
            id=window.id,
            role=window.role,
            session_id=window.origin.session,
            source=window.origin.source,
            quality_score=window.quality,
            trained_ids=tuple(reply.id for reply in trained),
            tokens=window.tokens,
            trained_tokens=weigh(trained).tokens,
        ),
    )


def _speaker(message: Message) -> Speaker:
    match message:
        case System():
            return "system"
        case Assistant():
            return "gpt"
        case _:
            return "human"


def _turn(messages: Sequence[Message]) -> Turn:
    first = messages[0]
    if isinstance(first, System):
        return Turn("system", render_system(first), False)
    if isinstance(first, Assistant):
        parts = [render_reply(m) for m in messages if isinstance(m, Assistant)]
        return Turn("gpt", "\n\n".join(part for part in parts if part), first.train)
    return Turn("human", render_human(messages), False)
