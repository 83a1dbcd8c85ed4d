"""What a worker hands over: rows that are ready to be written, and the books of the unit that they came from.

`Done` as MessagePack is the form between processes, between machines, and in the cache of results.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from data.record import Conversation, Drop, Tally
from data.stage import Ledger


class Finished(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A row, and what the last stages ask about it.

    `line` is the row and `trace` its origin, both as JSON. `exact`, `shingles` and `bands` are those of
    `deduplicator.Fingerprint`; `trained` has 8 bytes of hash for each trained message id.
    """

    id: str
    role: str
    group: str
    session: str
    started: str
    tally: Tally
    tokens: int
    line: bytes
    trace: bytes
    exact: bytes
    shingles: bytes
    bands: bytes
    trained: bytes


class Preferred(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A row of preferences, and what decides whether it stays and where.

    `line` is the row and `trace` its `Choice`, both as JSON. `exact` (16 bytes) tells what it says, `reply` (8 bytes)
    which reply it judges.
    """

    id: str
    method: str
    kind: str
    role: str
    group: str
    started: str
    line: bytes
    trace: bytes
    exact: bytes
    reply: bytes


class Done(msgspec.Struct, frozen=True, array_like=True):
    """What became of a unit. `drops` are lines of drops.jsonl; `problems` are rows that break the contract."""

    ledger: Ledger
    drops: bytes = b""
    rows: tuple[Finished, ...] = ()
    problems: tuple[str, ...] = ()
    preferred: tuple[Preferred, ...] = ()


Extracted = tuple[list[Conversation | Drop], Ledger]

_decoder: msgspec.msgpack.Decoder[Done] = msgspec.msgpack.Decoder(Done)


def pack(done: Done) -> bytes:
    return msgspec.msgpack.encode(done)


def unpack(content: bytes) -> Done:
    """Raises msgspec.MsgspecError where the bytes are no result."""
    return _decoder.decode(content)


def drop_lines(drops: Iterable[Drop]) -> bytes:
    """Drops as lines of drops.jsonl."""
    return b"".join(msgspec.json.encode(drop) + b"\n" for drop in drops)
