"""What a source gives the pipeline: independent units of work, and the conversations in each.

A source is a module with `units(path, config)` and `read(unit)`. Units never share a record, so that
workers can read them in any order.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from data.config import SourceKind


class SourceError(Exception):
    """A source that cannot be read at all, in one sentence with the fix."""


class Unit(msgspec.Struct, frozen=True):
    """Files that must be read together. `role` is the source's configured role, if any; `bytes` their total size."""

    kind: SourceKind
    name: str
    files: tuple[str, ...]
    bytes: int = 0
    role: str = ""


def sized(kind: SourceKind, name: str, files: tuple[Path, ...], role: str = "") -> Unit:
    """A unit with its size. A file that vanished meanwhile counts as empty; reading it will name it."""
    total = sum(path.stat().st_size for path in files if path.is_file())
    return Unit(kind, name, tuple(map(str, files)), total, role)
