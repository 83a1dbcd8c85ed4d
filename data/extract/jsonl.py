"""Reads the JSON Lines files of knowledge sources, one object at a time, in memory that does not grow.

Whatever cannot be read becomes a `Drop` with file and line; objects glued on one line are parted. Transcripts
of sessions have their own reader.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path, PurePath
from typing import Any, BinaryIO, NamedTuple

import msgspec

from data.files import open_regular, shown
from data.record import Drop

MAX_LINE = 64 * 2**20  # bytes; the longest real line seen is 1.2 MB, an image pasted into a session up to 30 MB

_BOM = b"\xef\xbb\xbf"
_SPACE = re.compile(r"\s*")
_glued = json.JSONDecoder()


class LineReason(StrEnum):
    """Why a line of a file gave no object."""

    UNREADABLE_FILE = "unreadable file"
    BROKEN_LINE = "malformed line"
    LINE_TOO_LONG = "line too long"
    NOT_AN_OBJECT = "not an object"


class Part(NamedTuple):
    """The lines of a file that begin at byte `start` or later and before byte `end` (0: all of them).

    `before` is how many lines stand above.
    """

    start: int = 0
    end: int = 0
    before: int = 0


WHOLE = Part()


class Line(NamedTuple):
    """One object and the number (1-based) of the line it stands on."""

    number: int
    record: dict[str, Any]


def read_objects(path: Path, stage: str, part: Part = WHOLE) -> Iterator[Line | Drop]:
    """Every JSON object of a file in order; blank lines are skipped, all else is a drop of `stage`."""
    try:
        with open_regular(path) as file:
            file.seek(part.start)
            for number, raw in enumerate(_lines(file, part.end - part.start), part.before + 1):
                yield from _objects(raw, path, number, stage)
    except OSError as error:
        yield set_aside(stage, LineReason.UNREADABLE_FILE, path, detail=error.strerror or "")


def set_aside(stage: str, reason: StrEnum, path: Path, line: int = 0, detail: str = "", records: int = 1) -> Drop:
    """The drop of records that never became a message."""
    file = shown(path)
    name = PurePath(file).name
    subject = f"{name}:{line}" if line else name
    return Drop(stage, reason.value, subject, detail=detail, file=file, line=line, records=records)


def used(stage: str, path: Path, records: int) -> Iterator[Drop]:
    """The entry of the records that a file's conversations were made of, where there were any."""
    if records:
        yield Drop(stage, "used", PurePath(shown(path)).name, file=shown(path), records=records)


def text_of(value: Any) -> str:
    """A field that should be text, stripped; anything else counts as absent."""
    return value.strip() if isinstance(value, str) else ""


def _lines(file: BinaryIO, room: int = 0) -> Iterator[bytes | None]:
    """The lines that begin in the next `room` bytes of a file (0 or less: all); None for one longer than MAX_LINE."""
    passed = 0
    while (passed < room or room <= 0) and (raw := file.readline(MAX_LINE + 1)):
        passed += len(raw)
        if len(raw) <= MAX_LINE:
            yield raw
            continue
        while raw and not raw.endswith(b"\n"):
            raw = file.readline(MAX_LINE)
            passed += len(raw)
        yield None


def _objects(raw: bytes | None, path: Path, number: int, stage: str) -> Iterator[Line | Drop]:
    if raw is None:
        detail = f"over {MAX_LINE // 2**20} MiB"
        yield set_aside(stage, LineReason.LINE_TOO_LONG, path, number, detail)
        return
    raw = raw.removeprefix(_BOM).strip()
    if not raw:
        return
    try:
        values = [msgspec.json.decode(raw)]
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        values = _part_glued(raw)
        if not values:
            yield set_aside(stage, LineReason.BROKEN_LINE, path, number, str(error))
    for value in values:
        if isinstance(value, dict):
            yield Line(number, value)
        else:
            yield set_aside(stage, LineReason.NOT_AN_OBJECT, path, number, type(value).__name__)


def _part_glued(raw: bytes) -> list[Any]:
    """The two or more objects that stand on one line without a newline between them, or nothing."""
    try:
        text, values, at = raw.decode("utf-8"), [], 0
        while at < len(text):
            value, at = _glued.raw_decode(text, at)
            values.append(value)
            at = _SPACE.match(text, at).end()  # type: ignore[union-attr]  # matches everywhere
    except (ValueError, RecursionError):
        return []
    return values if len(values) > 1 and _is_clean(values) else []


def _is_clean(values: list[Any]) -> bool:
    """Whether all are objects that are valid text; the standard decoder lets lone surrogates pass."""
    try:
        return all(isinstance(value, dict) for value in values) and bool(msgspec.json.encode(values))
    except (UnicodeError, msgspec.MsgspecError, RecursionError):
        return False
