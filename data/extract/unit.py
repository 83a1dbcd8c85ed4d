"""What a source gives the pipeline: independent units of work, and the conversations in each.

A source is a module with `units(path, config)` and `read(unit)`. Units never share a record, so that
workers can read them in any order.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from data.config import PullsConfig, SourceKind, VaultConfig


class SourceError(Exception):
    """A source that cannot be read at all, in one sentence with the fix."""


class Unit(msgspec.Struct, frozen=True):
    """Files that must be read together. `role` is the source's configured role, if any; `bytes` their total size.

    A file that is being written is read as far as it went when the units were found: `sizes` in bytes, where known.
    `beside` are files that reading these may open as well, such as outputs that were stored apart. What stands in
    `forgotten` sessions is set aside. Of pairs, `own_limit` is how many answers of our own adapters are learned (None:
    all), and `prompts` are the hashes of the roles' own. `vault` and `pulls` are the source's settings of that kind.
    `part` is for what is too large for one unit; its source says what the numbers mean. `copy` tells units apart that
    have a name in common, where their conversations are named by content.
    """

    kind: SourceKind
    name: str
    files: tuple[str, ...]
    bytes: int = 0
    role: str = ""
    beside: tuple[str, ...] = ()
    sizes: tuple[int, ...] = ()
    forgotten: frozenset[str] = frozenset()
    own_limit: int | None = 0
    prompts: frozenset[str] = frozenset()
    vault: VaultConfig = VaultConfig()
    pulls: PullsConfig = PullsConfig()
    part: tuple[int, int, int] = (0, 0, 0)
    copy: int = 0


def sized(kind: SourceKind, name: str, files: tuple[Path, ...], role: str = "", beside: Iterable[Path] = ()) -> Unit:
    """A unit with its size. A file that vanished meanwhile counts as empty; reading it will name it."""
    return Unit(kind, name, tuple(map(str, files)), sum(map(_size, files)), role, tuple(map(str, beside)))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
