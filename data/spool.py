"""Finished rows on disk while the last stages look at all of them: in memory stays what they ask about, no text."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

import msgspec

from data.finished import Finished
from data.record import Tally


class Entry(msgspec.Struct, frozen=True, gc=False):
    """A row that waits. `at` is its place in the spool, `sizes` those of its line, its trace and its shingles."""

    id: str
    role: str
    group: str
    session: str
    started: str
    tally: Tally
    tokens: int
    exact: bytes
    bands: bytes
    trained: bytes
    at: int
    sizes: tuple[int, int, int]

    @property
    def place(self) -> tuple[str, str, int]:
        """The order of rows: by time, then by name, whatever the order in which files were found."""
        conversation, _, number = self.id.rpartition("#")
        return self.started, conversation, int(number) if number.isdigit() else 0


class Spool:
    """One file of lines, traces and shingles, written once and then read in any order."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w+b")
        self._at = 0

    def __enter__(self) -> Spool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, row: Finished) -> Entry:
        """Put a row aside."""
        parts = (row.line, row.trace, row.shingles)
        self._file.writelines(parts)
        at, self._at = self._at, self._at + sum(map(len, parts))
        sizes = (len(row.line), len(row.trace), len(row.shingles))
        return Entry(
            row.id, row.role, row.group, row.session, row.started, row.tally, row.tokens, row.exact, row.bands,
            row.trained, at, sizes,
        )  # fmt: skip

    def text(self, entry: Entry) -> tuple[bytes, bytes]:
        """The line and the trace of a row."""
        line, trace, _ = entry.sizes
        content = self._read(entry.at, line + trace)
        return content[:line], content[line:]

    def shingles(self, entry: Entry) -> bytes:
        line, trace, shingles = entry.sizes
        return self._read(entry.at + line + trace, shingles)

    def _read(self, at: int, size: int) -> bytes:
        self._file.seek(at)
        return self._file.read(size)
