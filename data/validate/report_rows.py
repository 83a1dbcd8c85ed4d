"""The rows that a report shows: all of them where they are few, a sample that does not depend on chance where not.

`pick_rows(folder, budget)` reads them; `embed(rows)` is them as JSON that can stand inside a page's script element.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from itertools import chain, zip_longest
from pathlib import Path

import msgspec
from msgspec.structs import asdict

from data.record import Split
from data.transform.chat_formatter import NativeRow, Row
from data.validate.report_messages import Kind, Speaker, calls_in, is_cut, messages_of, parts_of
from data.validate.rows import read_build


class ShownMessage(msgspec.Struct, frozen=True, array_like=True):
    """One message; `parts` are its text by kind, in order."""

    speaker: Speaker
    trained: bool
    parts: tuple[tuple[Kind, str], ...]


class ShownRow(msgspec.Struct, frozen=True):
    """A row as the browser of rows has it. `known` are the parts of its score, `tools` those that it calls."""

    id: str
    role: str
    split: Split
    session: str
    source: str
    tokens: int
    trained: int
    quality: float
    known: dict[str, float]
    cut: bool
    tools: tuple[str, ...]
    messages: tuple[ShownMessage, ...]


def pick_rows(folder: Path, budget: int) -> list[ShownRow]:
    """Rows of a build, in its order, with at most `budget` characters of text.

    Where not all fit they are taken from every role and split in turn, by a hash of their ids: the same build
    gives the same rows. Raises DatasetError at the first line that is no row.
    """
    chosen = _choose(folder, budget)
    rows = enumerate(read_build(folder))
    return [_shown(split, row) for index, (split, row) in rows if index in chosen]


def _choose(folder: Path, budget: int) -> set[int]:
    cells: dict[tuple[str, Split], list[tuple[int, int, int]]] = {}
    for index, (split, row) in enumerate(read_build(folder)):
        size = sum(len(text) for _, text, _ in messages_of(row))
        order = zlib.crc32(row.metadata.id.encode())
        cells.setdefault((row.metadata.role, split), []).append((order, index, size))
    turns = zip_longest(*(sorted(cells[cell]) for cell in sorted(cells)))
    chosen: set[int] = set()
    for _, index, size in (candidate for candidate in chain.from_iterable(turns) if candidate):
        if size > budget:
            break
        budget -= size
        chosen.add(index)
    return chosen


def _shown(split: Split, row: Row | NativeRow) -> ShownRow:
    about, messages = row.metadata, list(messages_of(row))
    return ShownRow(
        id=about.id,
        role=about.role,
        split=split,
        session=about.session_id,
        source=about.source,
        tokens=about.tokens,
        trained=about.trained_tokens,
        quality=round(about.quality_score, 3),
        known={name: round(value, 3) for name, value in asdict(about.quality_parts).items()},
        cut=any(is_cut(speaker, text) for speaker, text, _ in messages),
        tools=tuple(
            sorted({name for speaker, text, _ in messages if speaker == "assistant" for name in calls_in(text)})
        ),
        messages=tuple(ShownMessage(who, trained, tuple(parts_of(who, text))) for who, text, trained in messages),
    )


def embed(rows: Iterable[ShownRow]) -> str:
    """The rows as JSON without a character that could end a script element, open a comment in it, or end a line."""
    text = msgspec.json.encode(list(rows)).decode()
    for character, written in (("<", "\\u003c"), ("\u2028", "\\u2028"), ("\u2029", "\\u2029")):
        text = text.replace(character, written)
    return text
