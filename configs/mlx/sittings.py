"""Where a stopped training goes on: the newest whole checkpoint of mlx-lm, by the iteration of the whole run.

mlx-lm counts iterations from where a sitting starts, so the checkpoint that one starts from is renamed to
resumed-N.safetensors, N being the iterations behind it. What mlx-lm does not keep is the state of its optimizer.
"""

from __future__ import annotations

import json
import re
import struct
from pathlib import Path
from typing import Final

RESUMED: Final = re.compile(r"resumed-(\d+)\.safetensors")
CHECKPOINT: Final = re.compile(r"(\d+)_adapters\.safetensors")


def going_on(folder: Path) -> tuple[int, Path | None]:
    """Iterations that are done, and the weights to start from; (0, None) at the beginning.

    A kill at any point leaves a state that is read in the same way.
    """
    before = max(numbered(folder, RESUMED), default=(0, None))
    whole = [(number, file) for number, file in numbered(folder, CHECKPOINT) if is_whole(file)]
    if not whole:
        return before
    number, newest = max(whole)
    for _, other in numbered(folder, CHECKPOINT):
        if other != newest:
            other.unlink()
    point = before[0] + number
    here = newest.rename(folder / f"resumed-{point}.safetensors")
    for _, older in numbered(folder, RESUMED):
        if older != here:
            older.unlink()
    return point, here


def numbered(folder: Path, name: re.Pattern[str]) -> list[tuple[int, Path]]:
    """The files of this name, each with its number."""
    return [(int(match[1]), file) for file in folder.glob("*.safetensors") if (match := name.fullmatch(file.name))]


def is_whole(file: Path) -> bool:
    """Whether a safetensors file has all the bytes that its header promises: a kill may have cut it."""
    try:
        with file.open("rb") as content:
            (length,) = struct.unpack("<Q", content.read(8))
            header = json.loads(content.read(min(length, 100_000_000)))
        ends = [tensor["data_offsets"][1] for name, tensor in header.items() if name != "__metadata__"]
        return bool(file.stat().st_size == 8 + length + max(ends))
    except (OSError, struct.error, ValueError, KeyError, TypeError):
        return False
