"""Reads question and answer pairs in CSV: a header with the columns `input` and `output`, then a row a pair.

All other columns are metadata. A cell may hold line breaks and commas within quotes. A row is read at a time; one whose
quote never closes is set aside alone, and the rows after it are read.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from data.extract.jsonl import WHOLE, Line, LineReason, Part, set_aside
from data.files import open_regular
from data.record import Drop

MAX_ROW = 2**20  # bytes; what is longer is no pair to learn from
_BOM = b"\xef\xbb\xbf"
_COLUMNS = ("input", "output", "prompt", "response")


class CsvReason(StrEnum):
    """Why a row of a table gave no record."""

    NO_HEADER = "no header"
    TOO_MANY_CELLS = "more cells than the header"


class Row(NamedTuple):
    """The bytes of a row, the number (1-based) of the line and the byte that it begins at; none of one too long."""

    number: int
    at: int
    raw: bytes


def read_table(path: Path, stage: str, part: Part = WHOLE) -> Iterator[Line | Drop]:
    """The rows of a part of a table as JSON Lines would have them, with a drop of `stage` for each that is none."""
    try:
        with open_regular(path) as file:
            header = _header(file)
            if not header:
                yield set_aside(stage, CsvReason.NO_HEADER, path, 1)
                return
            for row in rows(file, part):
                yield from _read(row, header, path, stage)
    except OSError as error:
        yield set_aside(stage, LineReason.UNREADABLE_FILE, path, detail=error.strerror or "")


def rows(file: BinaryIO, part: Part = WHOLE) -> Iterator[Row]:
    """The rows that begin in a part of a table: lines together until every quote has its other."""
    file.seek(part.start)
    number = part.before + 1
    if not part.start:
        number += len(file.readline(MAX_ROW)) > 0  # the header
    at = file.tell()
    while (not part.end or at < part.end) and (lines := _lines_of_row(file)):
        whole = b"".join(lines)
        yield Row(number, at, whole if len(whole) <= MAX_ROW else b"")
        number, at = number + len(lines), file.tell()


def _lines_of_row(file: BinaryIO) -> list[bytes]:
    """The lines of the next row. A stray quote must not swallow the rows after it: its line then stands alone."""
    lines = [first] if (first := _line(file)) else []
    after, open_quote, size = file.tell(), first.count(b'"') % 2, len(first)
    while open_quote and size <= MAX_ROW and (line := _line(file)):
        lines.append(line)
        open_quote ^= line.count(b'"') % 2
        size += len(line)
    if len(lines) > 1 and (open_quote or size > MAX_ROW):
        file.seek(after)
        return lines[:1]
    return lines


def _line(file: BinaryIO) -> bytes:
    """The next line; of one that is too long only so much that this shows."""
    line = file.readline(MAX_ROW + 1)
    rest = line
    while len(line) > MAX_ROW and rest and not rest.endswith(b"\n"):
        rest = file.readline(MAX_ROW)
    return line


def _header(file: BinaryIO) -> list[str]:
    """The names of the columns; none where they say nothing of questions and answers."""
    try:
        line = file.readline(MAX_ROW).removeprefix(_BOM).decode("utf-8")
        names = [name.strip() for name in next(csv.reader([line], strict=True), [])]
    except (UnicodeDecodeError, csv.Error):
        return []
    names = [name.lower() if name.lower() in _COLUMNS else name for name in names]
    return names if any(name in _COLUMNS for name in names) else []


def _read(row: Row, header: list[str], path: Path, stage: str) -> Iterator[Line | Drop]:
    if not row.raw:
        yield set_aside(stage, LineReason.LINE_TOO_LONG, path, row.number, f"over {MAX_ROW // 2**20} MiB")
        return
    csv.field_size_limit(MAX_ROW)
    try:
        reader = csv.reader(io.StringIO(row.raw.decode("utf-8"), newline=""), strict=True)
        before = 0
        for cells in reader:
            line, before = row.number + before, reader.line_num
            if len(cells) > len(header):
                yield set_aside(stage, CsvReason.TOO_MANY_CELLS, path, line, f"{len(cells)} for {len(header)}")
            elif any(cells):
                yield Line(line, _record(header, cells))
    except (UnicodeDecodeError, csv.Error) as error:
        yield set_aside(stage, LineReason.BROKEN_LINE, path, row.number, str(error))


def _record(header: list[str], cells: list[str]) -> dict[str, Any]:
    """A row under the names of its columns. What is neither question nor answer is metadata, empty cells apart."""
    named = dict(zip(header, cells, strict=False))
    pair: dict[str, Any] = {name: value for name, value in named.items() if name in _COLUMNS}
    return pair | {"metadata": {name: value for name, value in named.items() if name not in _COLUMNS and value}}
