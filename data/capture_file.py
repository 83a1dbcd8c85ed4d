"""The files of captures, one a day (UTC): captures-2026-01-31.jsonl. Lines are appended whole or not at all.

One process at a time writes into a folder. What a crash left of a line is cut off at the next start; the lines before
it stay.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

CAPTURES = "captures-"  # how their names begin
LOCK = ".writing"
_BLOCK = 1 << 16  # bytes read at once where the last whole line is looked for


class Busy(Exception):
    """Another process writes captures into this folder; the message says what to do."""


class DayFiles:
    """Appends lines to the file of their day. `repaired` names the files that had half a line at their end."""

    def __init__(self, folder: Path) -> None:
        """Raises Busy where another process writes here, OSError where nothing can be written."""
        self._folder = folder
        self._day = ""
        self._file = -1
        self._unsaved = False
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            problem = f"{folder}: another gateway captures into it. Stop it, or give this one a folder of its own."
            raise Busy(problem) from None
        self.repaired = tuple(path for path in sorted(folder.glob(f"{CAPTURES}*.jsonl")) if _repair(path))

    def append(self, day: str, line: bytes) -> None:
        """Write a line (without its end) to the file of a day. Raises OSError, and then the file is as before."""
        self._open(day)
        content = line + b"\n"
        before = os.lseek(self._file, 0, os.SEEK_END)
        try:
            if os.write(self._file, content) != len(content):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            os.ftruncate(self._file, before)
            raise
        self._unsaved = True

    def save(self) -> None:
        """What was written until now survives a power cut."""
        if self._unsaved:
            os.fsync(self._file)
            self._unsaved = False

    def close(self) -> None:
        self.save()
        if self._file >= 0:
            os.close(self._file)
        os.close(self._lock)

    def _open(self, day: str) -> None:
        if day == self._day:
            return
        self.save()
        if self._file >= 0:
            os.close(self._file)
        path = self._folder / f"{CAPTURES}{day}.jsonl"
        self._file, self._day = _opened(path), day


def _opened(path: Path) -> int:
    """The file for appending, for nobody's eyes but its owner's."""
    file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    os.fchmod(file, 0o600)
    return file


def _repair(path: Path) -> bool:
    """Cut half a line off the end of a file; whether there was one."""
    file = _opened(path)
    try:
        size = os.fstat(file).st_size
        whole = next(_ends(file, size), 0)
        if whole == size:
            return False
        os.ftruncate(file, whole)
        os.fsync(file)
        return True
    finally:
        os.close(file)


def _ends(file: int, size: int) -> Iterator[int]:
    """Where lines end, from the end of the file backwards, one for each block that holds any."""
    end = size
    while end > 0:
        start = max(end - _BLOCK, 0)
        at = os.pread(file, end - start, start).rfind(b"\n")
        if at >= 0:
            yield start + at + 1
        end = start
