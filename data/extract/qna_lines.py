"""Reads files of question and answer pairs, line by line: every pair, or why a line is none in one clear sentence.

`pairs(path)` is what the source and the library calls share. `parts(path)` cuts a large file at ends of rows, so that
no worker has to hold it.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from data.extract.jsonl import WHOLE, Line, LineReason, Part, read_objects, set_aside
from data.extract.qna_csv import CsvReason, read_table, rows
from data.files import open_regular
from data.record import Drop

STAGE = "qna"
SUFFIXES = (".jsonl", ".csv")
PART = 8 * 2**20  # bytes of a file that one worker holds at a time
FIELDS = (("input", "output"), ("prompt", "response"))
_BLOCK = 2**20


class Reason(StrEnum):
    """Why a line is no pair."""

    NO_QUESTION = "no question"
    NO_ANSWER = "no answer"
    EMPTY_QUESTION = "empty question"
    EMPTY_ANSWER = "empty answer"
    NOT_TEXT = "not a text"
    NOT_UTF8 = "not UTF-8"


class Pair(msgspec.Struct, frozen=True):
    """A question, its answer, and what else its author said about it."""

    input: str
    output: str
    metadata: dict[str, Any] = {}


class Found(NamedTuple):
    """A pair and the number (1-based) of its line."""

    number: int
    pair: Pair


# What a person reads; {} is what the reader saw.
_SENTENCES = {
    Reason.NO_QUESTION: "The line has no {}. Add the question, or remove the line.",
    Reason.NO_ANSWER: "The line has no {}. Add the answer, or remove the line.",
    Reason.EMPTY_QUESTION: "{} is empty. Write the question, or remove the line.",
    Reason.EMPTY_ANSWER: "{} is empty. Write the answer, or remove the line.",
    Reason.NOT_TEXT: "{}. Write it as a text in quotes.",
    Reason.NOT_UTF8: "The line is not UTF-8 ({}). Save the file as UTF-8.",
    LineReason.BROKEN_LINE: "The line cannot be read ({}). Write one whole JSON object or table row a line.",
    LineReason.LINE_TOO_LONG: "The line is {}. Split it, or remove it.",
    LineReason.NOT_AN_OBJECT: 'The line is of the type {}. Write an object: {{"input": "...", "output": "..."}}.',
    LineReason.UNREADABLE_FILE: "The file cannot be read ({}). Check that it exists and its permissions.",
    CsvReason.NO_HEADER: "The first line names no columns input and output. Write `input,output` into it{}.",
    CsvReason.TOO_MANY_CELLS: "The row has more cells than the header ({}). Put texts with commas in quotes.",
}


def pairs(path: Path, part: Part = WHOLE) -> Iterator[Found | Drop]:
    """Every pair of a part of a file in order, in constant memory, and a drop for each line that is none."""
    read = read_table if path.suffix.lower() == ".csv" else read_objects
    for item in read(path, STAGE, part):
        if isinstance(item, Drop):
            yield explained(item)
            continue
        pair = read_pair(item.record)
        yield Found(item.number, pair) if isinstance(pair, Pair) else explained(_drop(path, item, *pair))


def read_pair(record: dict[str, Any]) -> Pair | tuple[Reason, str]:
    """The pair in a record, or why it is none and the field that is to blame."""
    asked, told = next((names for names in FIELDS if names[0] in record or names[1] in record), FIELDS[0])
    question, answer = record.get(asked), record.get(told)
    metadata = record.get("metadata")
    for name, value, missing, empty in (
        (asked, question, Reason.NO_QUESTION, Reason.EMPTY_QUESTION),
        (told, answer, Reason.NO_ANSWER, Reason.EMPTY_ANSWER),
    ):
        if value is None:
            return missing, f'"{name}"'
        if not isinstance(value, str):
            return Reason.NOT_TEXT, f'"{name}" is of the type {type(value).__name__}'
        if not value.strip():
            return empty, f'"{name}"'
    return Pair(question.strip(), answer.strip(), metadata if isinstance(metadata, dict) else {})  # type: ignore[union-attr]  # texts: looked at above


def parts(path: Path) -> Iterator[Part]:
    """A file in parts of about PART bytes that begin and end with a row; one that cannot be read as a whole."""
    cut = _cut_table if path.suffix.lower() == ".csv" else _cut_lines
    try:
        yield from (cut(path) if path.stat().st_size > PART else [WHOLE])
    except OSError:
        yield WHOLE


def _cut_lines(path: Path) -> Iterator[Part]:
    with open_regular(path) as file:
        start = before = 0
        while block := file.read(PART):
            lines = block.count(b"\n")
            while not block.endswith(b"\n") and (block := file.readline(_BLOCK)):
                lines += block.endswith(b"\n")
            yield Part(start, file.tell(), before)
            start, before = file.tell(), before + lines


def _cut_table(path: Path) -> Iterator[Part]:
    with open_regular(path) as file:
        start = before = 0
        for row in rows(file):
            if row.at - start >= PART:
                yield Part(start, row.at, before)
                start, before = row.at, row.number - 1
        yield Part(start, file.tell(), before)


def _drop(path: Path, line: Line, reason: Reason, seen: str) -> Drop:
    return set_aside(STAGE, reason, path, line.number, seen)


def explained(drop: Drop) -> Drop:
    """The drop with a sentence that says what to do."""
    reason = Reason.NOT_UTF8 if drop.detail.startswith("'utf-8' codec") else drop.reason
    return replace(drop, reason=str(reason), detail=_SENTENCES[reason].format(drop.detail))  # type: ignore[index]  # equal to its text
