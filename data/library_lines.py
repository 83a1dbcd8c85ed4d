"""Reads and writes the records of JSON Lines files, whatever shape a line has: the file side of `data.library`.

A line is a pair of question and answer, a conversation as `pipeline extract` writes it, or a row of a dataset.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
from msgspec.structs import replace

from data.extract.jsonl import Line, read_objects, set_aside
from data.extract.qna_csv import read_table
from data.extract.qna_lines import STAGE, SUFFIXES, Pair, explained, read_pair
from data.lines import replacing
from data.record import SPLITS, Conversation, Drop
from data.transform.chat_formatter import NativeRow, Row
from data.validate.rows import COMBINED, file_name

Record: TypeAlias = Pair | Conversation | Row | NativeRow
Aside: TypeAlias = Callable[[Drop], object]


class RecordError(ValueError):
    """A file or a line that cannot be read, in one sentence with file, line and the fix."""


class Reason(StrEnum):
    """Why a line that looks like a record of the pipeline is none."""

    NOT_A_ROW = "not a row"
    NOT_A_CONVERSATION = "not a conversation"


def stream_jsonl(path: str | Path, aside: Aside | None = None) -> Iterator[Record]:
    """The records of a file, or of all `*.jsonl` and `*.csv` of a folder, in order; memory does not grow with them.

    Of the folder of a finished build they are its rows, each once, split by split. Lines of `pipeline extract` that
    tell what left are passed over. A line that is no record raises RecordError, or is handed to `aside` as a Drop
    (file, line, reason, and in `detail` the sentence) and the reading goes on. Raises RecordError where there is
    nothing to read.
    """
    for file in _files(Path(path).expanduser()):
        for item in read_records(file):
            if not isinstance(item, Drop):
                yield item
            elif aside:
                aside(item)
            else:
                raise RecordError(f"{item.file}:{item.line}: {item.detail}")


def load_jsonl(path: str | Path, aside: Aside | None = None) -> list[Record]:
    """The same as a list."""
    return list(stream_jsonl(path, aside))


def save_to_jsonl(records: Iterable[Record | Mapping[str, Any]], path: str | Path) -> int:
    """Write records, or mappings as they are, a line each; returns how many. An older file is replaced, at the end and
    whole: where something fails, it stays as it was. Nothing is redacted here. Raises OSError, and TypeError for what
    is no JSON.
    """
    encoder = msgspec.json.Encoder()
    count = 0
    with replacing(Path(path).expanduser()) as file:
        for record in records:
            file.write(encoder.encode(record) + b"\n")
            count += 1
    return count


def read_records(path: Path) -> Iterator[Record | Drop]:
    """Every record of a file, and a drop with a sentence for each line that is none."""
    read = read_table if path.suffix.lower() == ".csv" else read_objects
    for item in read(path, STAGE):
        if isinstance(item, Drop):
            yield explained(item)
        elif item.record.get("type") != "drop":
            yield _record(item, path)


def _record(line: Line, path: Path) -> Record | Drop:
    record = line.record
    if record.get("type") == "conversation":
        return _converted(line, path, Conversation, Reason.NOT_A_CONVERSATION)
    if "conversations" in record:
        return _converted(line, path, Row, Reason.NOT_A_ROW)
    if "messages" in record and "tools" in record:
        return _converted(line, path, NativeRow, Reason.NOT_A_ROW)
    pair = read_pair(record)
    return pair if isinstance(pair, Pair) else explained(set_aside(STAGE, pair[0], path, line.number, pair[1]))


def _converted(line: Line, path: Path, kind: type[Conversation | Row | NativeRow], reason: Reason) -> Record | Drop:
    try:
        return msgspec.convert(line.record, kind)
    except msgspec.ValidationError as error:
        told = f"The line is {reason.value} ({error}). Build or extract it again."
        return replace(set_aside(STAGE, reason, path, line.number), detail=told)


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        if not path.is_file():
            raise RecordError(f"{path}: is no file and no folder. Give a .jsonl or .csv file, or a folder of them.")
        return [path]
    if (path / "manifest.json").is_file():  # the rows of a role stand in a file of their own as well
        return [file for split in SPLITS if (file := path / file_name(COMBINED, split)).is_file()]
    found = sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES and file.name[0] != ".")
    if not found:
        raise RecordError(f"{path}: holds no .jsonl or .csv file. Give another folder, or a file.")
    return found
