"""How much of the disk an output tree takes, by folder."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from scripts.forge.hardware import existing


@dataclass(frozen=True, slots=True)
class Disk:
    """Bytes: free on the disk, and taken by each entry of the tree, the largest first."""

    free: int
    taken: dict[str, int]


def disk_usage(top: Path) -> Disk:
    taken = {entry.name: sum(sizes(entry)) for entry in (top.iterdir() if top.is_dir() else ())}
    largest = sorted(taken.items(), key=lambda pair: (-pair[1], pair[0]))
    return Disk(shutil.disk_usage(existing(top)).free, dict(largest))


def sizes(entry: Path) -> Iterator[int]:
    """Of every file below; a folder that goes away meanwhile has none."""
    try:
        if entry.is_symlink() or not entry.is_dir():
            yield entry.lstat().st_size
            return
        parts = [Path(part.path) for part in os.scandir(entry)]
    except OSError:
        return
    for part in parts:
        yield from sizes(part)


def size(count: float) -> str:
    """1.2 GB, 34 MB, 5 kB."""
    for unit, bytes_ in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= bytes_:
            return f"{count / bytes_:.1f} {unit}" if count < 10 * bytes_ else f"{count / bytes_:,.0f} {unit}"
    return f"{count:.0f} B"
