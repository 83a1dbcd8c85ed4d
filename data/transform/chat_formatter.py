"""The only place that knows the two forms of a row: a window becomes one JSON line for Axolotl.

Every row has the same keys with the same JSON types, because a loader fixes the types by the first 10 MB of a file
and stops at a later row of another type. What varies in a native row (messages with calls or without, arguments) is
therefore JSON inside a string, which Axolotl reads as well.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import groupby
from typing import Literal

import msgspec

from data.config import ToolFormat
from data.native import messages_of
from data.record import Assistant, Conversation, Message, Quality, System, replies, weigh
from data.render import render_human, render_reply, render_system

Speaker = Literal["system", "human", "gpt"]


class Turn(msgspec.Struct, frozen=True):
    from_: Speaker = msgspec.field(name="from")
    value: str
    train: bool


class Metadata(msgspec.Struct, frozen=True):
    """`tokens` counts the whole rendered row, `trained_tokens` those in the loss, both by the base's tokenizer.

    `about` is a JSON object of texts as text: its keys are the source's own, and differ from row to row.
    """

    id: str
    role: str
    session_id: str
    source: str
    quality_score: float
    quality_parts: Quality
    trained_ids: tuple[str, ...]
    tokens: int
    trained_tokens: int
    about: str = "{}"


class Row(msgspec.Struct, frozen=True):
    conversations: tuple[Turn, ...]
    metadata: Metadata


class NativeRow(msgspec.Struct, frozen=True):
    """`messages` and `tools` are JSON lists as text."""

    messages: str
    tools: str
    metadata: Metadata


def format_row(window: Conversation, tool_format: ToolFormat) -> Row | NativeRow:
    """The row of a window that begins with its system message."""
    return to_row(window) if tool_format == "xml" else to_native_row(window)


def to_row(window: Conversation) -> Row:
    """A window with calls and results as tagged text."""
    turns = tuple(_turn(list(part)) for _, part in groupby(window.messages, _speaker))
    return Row(turns, _metadata(window))


def to_native_row(window: Conversation) -> NativeRow:
    """A window with calls, results and tools as the base model's chat template takes them."""
    messages = json.dumps(list(messages_of(window.messages)), ensure_ascii=False)
    tools = next((m.tools for m in window.messages if isinstance(m, System)), "")
    return NativeRow(messages, tools or "[]", _metadata(window))


def _metadata(window: Conversation) -> Metadata:
    trained = list(replies(window))
    return Metadata(
        id=window.id,
        role=window.role,
        session_id=window.origin.session,
        source=window.origin.source,
        quality_score=window.quality,
        quality_parts=window.parts,
        trained_ids=tuple(reply.id for reply in trained),
        tokens=window.tokens,
        trained_tokens=weigh(trained).tokens,
        about=json.dumps(window.about, ensure_ascii=False),
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
