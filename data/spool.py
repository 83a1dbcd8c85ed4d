"""Finished rows on disk while the last stages look at all of them: in memory stays what they compare, no text."""

from __future__ import annotations

import sys
from array import array
from pathlib import Path
from types import TracebackType

import msgspec

from data.finished import Finished

_rows: msgspec.msgpack.Decoder[Finished] = msgspec.msgpack.Decoder(Finished)


class Entry(msgspec.Struct, frozen=True, gc=False):
    """A row that waits, with what its order and its fate depend on.

    `number` is its place in the spool.
    """

    id: str
    role: str
    group: str
    started: str
    exact: bytes
    number: int

    @property
    def place(self) -> tuple[str, str, int]:
        """The order of rows: by time, then by name, whatever the order in which files were found."""
        conversation, _, number = self.id.rpartition("#")
        return self.started, conversation, int(number) if number.isdigit() else 0


class Spool:
    """One file of rows, written once and then read in any order.

    `bands` and `trained` collect the keys of all signatures and the hashes of all trained message ids.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("w+b")
        self._ends = array("Q", [0])
        self._band_ends = array("Q", [0])
        self.bands = array("Q")
        self.trained = array("Q")

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    def add(self, row: Finished) -> Entry:
        """Put a row aside. The rows of a session share its strings."""
        content = msgspec.msgpack.encode(row)
        self._file.write(content)
        self.bands.frombytes(row.bands)
        self.trained.frombytes(row.trained)
        self._ends.append(self._ends[-1] + len(content))
        self._band_ends.append(len(self.bands))
        role, group, started = map(sys.intern, (row.role, row.group, row.started))
        return Entry(row.id, role, group, started, row.exact, len(self._ends) - 2)

    def bands_of(self, entry: Entry) -> tuple[int, ...]:
        first, last = self._band_ends[entry.number : entry.number + 2]
        return tuple(self.bands[first:last])

    def read(self, entry: Entry) -> Finished:
        """The whole row again."""
        at, end = self._ends[entry.number : entry.number + 2]
        self._file.seek(at)
        return _rows.decode(self._file.read(end - at))
