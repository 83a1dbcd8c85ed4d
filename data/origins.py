"""Reads what a finished dataset says about where its rows came from: origins.jsonl and drops.jsonl."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath
from typing import TypeVar

import msgspec

from data.record import Drop, Origin
from data.trace import Choice, Place, Trace
from data.validate.rows import DatasetError, read_lines

ORIGINS = "origins.jsonl"
PREFERRED = "choices.jsonl"  # the same of rows of preferences; there only where there are such rows
DROPS = "drops.jsonl"
_Value = TypeVar("_Value")


class _OriginOnly(msgspec.Struct):
    session: str


class _SessionOnly(msgspec.Struct):
    origin: _OriginOnly


def read_choices(folder: Path, holding: str = "") -> Iterator[Choice]:
    """The origins of rows of preferences, of those alone whose line holds a text; none where there are no such rows."""
    if (folder / PREFERRED).is_file():
        yield from _read(folder / PREFERRED, Choice, holding)


def read_traces(folder: Path, holding: str = "") -> Iterator[Trace]:
    """The traces of a dataset in the order of its rows, of those alone whose line holds a text.

    Raises DatasetError where there are none.
    """
    if not (folder / ORIGINS).is_file():
        raise DatasetError(f"{folder} has no {ORIGINS}, which says where rows came from. Build the dataset again.")
    return _read(folder / ORIGINS, Trace, holding)


def read_drops(folder: Path, holding: str = "") -> Iterator[Drop]:
    """What a build dropped, in order, of that alone whose line holds a text. Raises DatasetError."""
    return _read(folder / DROPS, Drop, holding)


def sessions_of(folder: Path) -> list[str]:
    """The ids of all sessions that have rows in a dataset. Raises DatasetError."""
    return sorted({found.origin.session for found in _read(folder / ORIGINS, _SessionOnly, "")})


def _read(path: Path, kind: type[_Value], holding: str) -> Iterator[_Value]:
    decoder = msgspec.json.Decoder(kind)
    needle = msgspec.json.encode(holding)[1:-1]
    for number, line in read_lines(path):
        if needle not in line:
            continue
        try:
            yield decoder.decode(line)
        except (msgspec.MsgspecError, UnicodeError) as error:
            raise DatasetError(f"{path}:{number}: damaged ({error}). Build the dataset again.") from None


def rows_with(folder: Path, session: str) -> Iterator[Trace]:
    """The rows of a session, and those of others that were made from its transcript: forks share what came before."""
    return (one for one in read_traces(folder, session) if _is_made_of(one.origin, one.trained, session))


def choices_with(folder: Path, session: str) -> Iterator[Choice]:
    """The same of rows of preferences."""
    return (one for one in read_choices(folder, session) if _is_made_of(one.origin, one.replies, session))


def _is_made_of(origin: Origin, places: Iterable[Place], session: str) -> bool:
    files = {origin.file, *(place.file for place in places)}
    return origin.session == session or any(is_file_of(file, session) for file in files)


def is_file_of(file: str, session: str) -> bool:
    """Whether a transcript is named for a session: its own file, a copy of it, or one in its folder."""
    return any(part == session or part.startswith(f"{session}.") for part in PurePath(file).parts)


def is_about(drop: Drop, session: str) -> bool:
    """Whether a drop took something from a session."""
    return session in re.split(r"[:/#]", drop.subject) or is_file_of(drop.file, session)
