"""One at a time: a lock that a dead process lets go of, and that says who holds it."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scripts.loop.errors import BadInput
from scripts.loop.state import now

TRIES = 10  # a look at the lock holds it for a moment
PAUSE = 0.05  # seconds


class Busy(BadInput):
    """Somebody else holds the lock."""


@contextmanager
def held(path: Path, what: str) -> Iterator[None]:
    """Holds the lock in a file. Raises `Busy` with who has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if not _take(handle):
            who = _read(handle)
            raise Busy(
                f"{who.get('what', 'another process')} is running (process {who.get('pid', '?')}, "
                f"since {who.get('since', '?')}). Wait for it, or end it: python -m scripts.loop auto stop."
            )
        os.ftruncate(handle, 0)
        os.pwrite(handle, json.dumps({"pid": os.getpid(), "since": now(), "what": what}).encode(), 0)
        yield
        os.ftruncate(handle, 0)
    finally:
        os.close(handle)


def holder(path: Path) -> dict[str, Any] | None:
    """Who holds the lock, or None where nobody does."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read(handle)
    finally:
        os.close(handle)
    return None


def _take(handle: int) -> bool:
    for attempt in range(TRIES):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(PAUSE if attempt < TRIES - 1 else 0)
        else:
            return True
    return False


def _read(handle: int) -> dict[str, Any]:
    try:
        found = json.loads(os.pread(handle, 4096, 0))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
