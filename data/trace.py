"""Where a row came from: one line of origins.jsonl for each row of a dataset, for `explain` and `forget`."""

from __future__ import annotations

import msgspec

from data.record import Conversation, Note, Origin, Quality, Split, replies


class Place(msgspec.Struct, frozen=True):
    """A trained message: its id, its first line (1-based) in its transcript, and its tokens in the loss."""

    id: str
    file: str
    line: int
    tokens: int


class Trace(msgspec.Struct, frozen=True):
    """The origin of one row. Paths carry pseudonyms in place of user names, as in the rows."""

    id: str
    role: str
    origin: Origin
    notes: tuple[Note, ...] = ()
    facts: tuple[str, ...] = ()
    quality: float = 0.0
    parts: Quality = Quality()
    trained: tuple[Place, ...] = ()
    split: Split = "train"


class Choice(msgspec.Struct, frozen=True):
    """The origin of one row of preferences: `replies` are the judged one and, of a pair, the better one.

    A row for `method` dpo and one for kto about the same reply have the same id.
    """

    id: str
    role: str
    method: str
    kind: str
    origin: Origin
    replies: tuple[Place, ...]
    split: Split = "train"


def trace_of(window: Conversation) -> Trace:
    """The trace of a window; its split is known only when the row is written."""
    return Trace(
        id=window.id,
        role=window.role,
        origin=window.origin,
        notes=window.notes,
        facts=window.facts,
        quality=window.quality,
        parts=window.parts,
        trained=tuple(Place(reply.id, reply.file, reply.line, reply.tokens) for reply in replies(window)),
    )


def with_split(trace: bytes, split: Split) -> bytes:
    """An encoded trace with its split: the last field, so that nothing has to be decoded."""
    return trace.removesuffix(b'"split":"train"}') + b'"split":"%s"}' % split.encode()
