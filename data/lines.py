"""Files that are whole or not there, written a line at a time, so that they need not fit into memory."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import BinaryIO


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file that takes the place of the one at `path` at the end; where something fails, that one stays as it was.

    Raises OSError where it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=path.parent, prefix=".being-written-", delete=False) as file:
        try:
            yield file  # type: ignore[misc]  # it is a binary file
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Nobody else who asks writes into the folder of `path` meanwhile. Raises OSError where somebody does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path.parent, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            problem = "another miner is writing here. Wait for it, or choose another folder with --out"
            raise OSError(errno.EBUSY, problem, str(path.parent)) from None
        yield
    finally:
        os.close(handle)
