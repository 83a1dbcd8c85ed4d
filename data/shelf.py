"""Rows of preferences on disk until the whole build is known: in memory stays what they are sorted and compared by."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from types import TracebackType

import msgspec

from data.finished import Preferred
from data.preferences import key_of
from data.record import Drop
from data.stage import Ledger
from data.transform.preferences import STAGE

_rows: msgspec.msgpack.Decoder[Preferred] = msgspec.msgpack.Decoder(Preferred)


class Reason(StrEnum):
    """Why a row leaves that says what an earlier one says."""

    EXACT = "exact duplicate"
    SAME_REPLY = "reply that another row judges"


class _Entry(msgspec.Struct, frozen=True, gc=False):
    """A row that waits: `begin` and `end` are its place in the file."""

    place: tuple[str, str, str, int]
    exact: bytes
    reply: tuple[str, bytes]
    begin: int
    end: int


class Shelf:
    """One file of rows, written once and then read in the order of time."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w+b")
        self._entries: list[_Entry] = []

    def __enter__(self) -> Shelf:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    def add(self, row: Preferred) -> None:
        content = msgspec.msgpack.encode(row)
        conversation, _, number = row.id.rpartition("~")
        begin = self._entries[-1].end if self._entries else 0
        self._file.write(content)
        place = (row.method, row.started, conversation, int(number))
        self._entries.append(_Entry(place, row.exact, (row.method, row.reply), begin, begin + len(content)))

    def settle(self, ledger: Ledger, drop: Callable[[Drop], None]) -> Iterator[Preferred]:
        """The rows that stay, by method and time; of those that say the same the earliest. `drop` takes the others."""
        rows: set[bytes] = set()
        replies: set[tuple[str, bytes]] = set()
        for entry in sorted(self._entries, key=lambda entry: entry.place):
            row = self._read(entry)
            why = Reason.EXACT if entry.exact in rows else Reason.SAME_REPLY if entry.reply in replies else None
            rows.add(entry.exact)
            replies.add(entry.reply)
            books = ledger.choices(key_of(row.method, row.kind))
            if why:
                books.drop(why)
                drop(Drop(STAGE, why, row.id, key_of(row.method, row.kind)))
            else:
                books.rows += 1
                yield row

    def _read(self, entry: _Entry) -> Preferred:
        self._file.seek(entry.begin)
        return _rows.decode(self._file.read(entry.end - entry.begin))
