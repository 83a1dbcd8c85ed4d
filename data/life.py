"""Collects what the files of a dataset know of one of its rows, and finds rows and sessions by shortened ids."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from data.origins import is_about, read_drops, read_traces, sessions_of
from data.record import Drop, Note
from data.trace import Choice, Trace
from data.validate.rows import COMBINED, DatasetError, file_name, open_ledger, read_lines

_SHOWN = 8  # ids that are named where several could be meant
_CLOSE = 0.8  # two ids of hexadecimal digits that have nothing to do with each other are often 0.6 alike


class Life(msgspec.Struct, frozen=True):
    """All that a dataset knows of a row.

    `places` are the files and lines (1-based) where it stands, `row` is the row itself, `stages` are those of the
    build in order. `notes` of the whole conversation stand at its first window. `left` is what stages took out of
    the conversation.
    """

    trace: Trace
    places: tuple[tuple[str, int], ...]
    row: dict[str, Any]
    stages: tuple[str, ...]
    notes: tuple[Note, ...]
    left: tuple[Drop, ...]
    manifest_sha256: str


def find_rows(folder: Path, asked: str) -> list[Trace]:
    """The rows that a whole or shortened id can mean; all rows of a session for the beginning of its id."""
    session = asked.partition(":")[0]
    found = [trace for trace in read_traces(folder, session) if trace.id.startswith(session)]
    fits = [_how_well(trace.id, asked) for trace in found]
    return [trace for trace, fit in zip(found, fits, strict=True) if fit and fit == max(fits)]


def _how_well(row: str, asked: str) -> int:
    """How well an id fits whose session begins as asked: whole, with a shortened session, or with a shortened rest.

    0 where it does not. Who asks for no subagent means none where there is a choice.
    """
    session, _, rest = asked.partition(":")
    found_session, _, found_rest = row.partition(":")
    if row == asked:
        return 4
    if found_rest == rest:
        return 3 if ("/" in session) == ("/" in found_session) else 2
    return int(found_rest.startswith(rest))


def look_up(folder: Path, trace: Trace) -> Life:
    """Collect what is known of a row. Raises DatasetError where a file of the dataset is missing or damaged."""
    conversation = trace.id.rpartition("#")[0]
    names = [file_name(family, trace.split) for family in (trace.role, COMBINED)]
    places = tuple((name, number) for name in names for number in _lines_of(folder / name, trace.id))
    stages = tuple(open_ledger(folder).stages)
    return Life(
        trace=trace,
        places=places,
        row=_row_at(folder, *places[0]) if places else {},
        stages=stages,
        notes=tuple(note for other in read_traces(folder, f"{conversation}#0") for note in _notes(other, conversation)),
        left=tuple(drop for drop in read_drops(folder) if drop.stage in stages and _is_from(drop, trace, conversation)),
        manifest_sha256=sha256((folder / "manifest.json").read_bytes()).hexdigest(),
    )


def places_of(folder: Path, choice: Choice) -> Iterator[tuple[str, int]]:
    """The files and lines (1-based) where a row of preferences stands. Its metadata is a text."""
    needle = msgspec.json.encode(json.dumps({"id": choice.id}, ensure_ascii=False)[1:-1])[1:-1]
    for name in (file_name(family, choice.split, choice.method) for family in (choice.role, COMBINED)):
        for number, line in read_lines(folder / name):
            if needle in line:
                yield name, number


def _notes(trace: Trace, conversation: str) -> tuple[Note, ...]:
    return trace.notes if trace.id == f"{conversation}#0" else ()


def _is_from(drop: Drop, trace: Trace, conversation: str) -> bool:
    """Whether a stage took something out of a row's conversation: a window, or a reply between its lines."""
    first, last = trace.origin.lines
    reply = drop.file == trace.origin.file and first <= drop.line <= last and ":" not in drop.subject
    return reply or drop.subject.partition("#")[0] == conversation


def _lines_of(path: Path, row: str) -> Iterator[int]:
    """Where a row stands in a dataset file."""
    if path.is_file():
        needle = msgspec.json.encode(row)
        for number, line in read_lines(path):
            if needle in line and json.loads(line)["metadata"]["id"] == row:
                yield number


def _row_at(folder: Path, name: str, line: int) -> dict[str, Any]:
    row: dict[str, Any] = next(json.loads(raw) for number, raw in read_lines(folder / name) if number == line)
    return row


def whole_session(folder: Path, asked: str) -> str:
    """The session that an id or its beginning means. Raises DatasetError where it is none or several."""
    known = sessions_of(folder)
    if asked in known or any(is_about(drop, asked) for drop in read_drops(folder, asked)):
        return asked
    match [session for session in known if session.startswith(asked)]:
        case [session]:
            return session
        case []:
            raise DatasetError(f"{folder} knows no session {asked}.{perhaps(close_to(asked, known))}")
        case several:
            raise DatasetError(f"{asked} could be {any_of(several)}. Give more of the id.")


def rows_like(folder: Path, row: str) -> list[str]:
    """Ids of rows that look like one, from the sessions that look most like it."""
    asked, colon, rest = row.partition(":")
    known = sessions_of(folder)
    like: list[str] = []
    for session in [session for session in known if session.startswith(asked)] or close_to(asked, known):
        ids = [trace.id for trace in read_traces(folder, session) if trace.origin.session == session]
        like += difflib.get_close_matches(f"{session}{colon}{rest}", ids, n=1)
    return like


def close_to(asked: str, known: Iterable[str]) -> list[str]:
    """Up to three ids that look like one, or begin with what looks like it."""
    beginnings: dict[str, str] = {}
    for name in known:
        beginnings.setdefault(name[: len(asked)], name)
    return [beginnings[beginning] for beginning in difflib.get_close_matches(asked, beginnings, n=3, cutoff=_CLOSE)]


def perhaps(close: list[str]) -> str:
    return f" Did you mean {any_of(close)}?" if close else ""


def any_of(ids: Iterable[str]) -> str:
    shown = list(ids)
    more = f" or {len(shown) - _SHOWN} others" if len(shown) > _SHOWN else ""
    return " or ".join(shown[:_SHOWN]) + more
