"""Source of question and answer pairs: JSON Lines of {"input": ..., "output": ..., "metadata": {...}}, or CSV.

`prompt` and `response` are understood as well. A file is read line by line, a large one in parts; the source's `role`
in configs/data.yml says what the pairs are trained for. `python -m data.library FILE` checks a file without a build.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from hashlib import blake2b
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from data.extract.jsonl import Part, set_aside, text_of, used
from data.extract.knowledge import located, pair
from data.extract.qna_lines import STAGE, SUFFIXES, Found, Pair, pairs, parts
from data.extract.unit import SourceError, Unit, sized
from data.record import Conversation, Drop


class Reason(StrEnum):
    """Why a pair is not used; `qna_lines` has why a line is none."""

    COPIED = "copy of a pair read before"


def units(path: Path, role: str) -> Iterator[Unit]:
    """One unit for each part of the file, or of each `*.jsonl` and `*.csv` under the folder."""
    if not path.exists():
        raise SourceError(
            f"{path} does not exist. Give a .jsonl or .csv file or a folder of them, or remove the source."
        )
    files = sorted(_files_in(path)) if path.is_dir() else [path]
    if not files:
        raise SourceError(
            f"{path} holds no .jsonl or .csv file. Put questions and answers there, or remove the source."
        )
    for file in files:
        name = file.relative_to(path).as_posix() if path.is_dir() else file.name
        for part in parts(file):
            unit = replace(sized("qna", name, (file,), role), part=tuple(part))
            yield replace(unit, bytes=part.end - part.start) if part.end else unit


def read(unit: Unit) -> Iterator[Conversation | Drop]:
    """The pairs of a unit, with a drop for every line that is none."""
    path, part = Path(unit.files[0]), Part(*unit.part)
    seen: set[str] = set()
    for item in pairs(path, part):
        if isinstance(item, Drop):
            yield item
            continue
        told = _told(item, path, unit)
        yield set_aside(STAGE, Reason.COPIED, path, item.number) if told.id in seen else told
        seen.add(told.id)
    yield from used(STAGE, path, len(seen))


def _told(found: Found, path: Path, unit: Unit) -> Conversation:
    # Named by content, not by line: a pair keeps its split when the file grows or is re-ordered, and the same
    # question never stands on both sides of a split. The file's name is in it because two may hold the same pair.
    asked = found.pair
    session = text_of(asked.metadata.get("session_id")) or _digest(asked.input)
    origin = located(STAGE, session, path, found.number)
    key = _digest(unit.role, asked.input, asked.output, unit.name, str(unit.part[0] or ""), str(unit.copy or ""))
    return replace(pair(asked.input, asked.output, origin=origin, key=key, role=unit.role), about=about_of(asked))


def about_of(asked: Pair) -> dict[str, str]:
    """The metadata of a pair as texts, which is what rows carry."""
    return {key: value if isinstance(value, str) else _text(value) for key, value in asked.metadata.items()}


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _files_in(folder: Path) -> Iterator[Path]:
    """The files of a folder; hidden ones are being written."""
    for path in folder.rglob("*"):
        if path.suffix.lower() in SUFFIXES and path.is_file() and not path.name.startswith("."):
            yield path


def _digest(*texts: str) -> str:
    return blake2b("\0".join(texts).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
