"""Near-duplicates of an example, and the words in which two of them differ.

The same signatures as the dedup stage, with a lower threshold: what is over its limit has left the dataset already.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Literal

import msgspec

from data.config import DedupConfig
from data.curate.store import Store
from data.curate.turns import Turn, messages_of
from data.curate.values import Entry
from data.record import Conversation, Origin, ToolCall
from data.render import render_call
from data.transform.deduplicator import fingerprints, jaccard

# From here two examples are worth a look side by side; below, they share what any two of a role share.
ALIKE = DedupConfig(threshold=0.6)
MOST = 12  # of the candidates, those that share the most bands
_EMPTY = Turn("human", "")

Kind = Literal["same", "only"]


class Pair(msgspec.Struct, frozen=True):
    """Two turns beside each other, as pieces of text with whether the other side has them too."""

    speaker: str
    left: tuple[tuple[Kind, str], ...]
    right: tuple[tuple[Kind, str], ...]


def bands_of(examples: Sequence[Sequence[Turn]]) -> list[list[int]]:
    """The keys of the bands of some examples, as SQLite keeps whole numbers; none of a tiny one."""
    if not examples:
        return []
    return [
        [int.from_bytes(mark.bands[at : at + 8], "little", signed=True) for at in range(0, len(mark.bands), 8)]
        for mark in fingerprints([_conversation(turns) for turns in examples], ALIKE)
    ]


def similar(store: Store, entry: Entry, turns: Sequence[Turn]) -> list[tuple[float, Entry]]:
    """The examples that train nearly the same, the most similar first, with their similarity (0..1)."""
    others = [store.example(row["key"]) for row in _candidates(store.database, entry.place)]
    if not others:
        return []
    own, *marks = fingerprints([_conversation(turns), *(_conversation(one.turns) for one in others)], ALIKE)
    rated = [(jaccard(own.shingles, mark.shingles), one.entry) for mark, one in zip(marks, others, strict=True)]
    return sorted((pair for pair in rated if pair[0] >= ALIKE.threshold), key=lambda pair: (-pair[0], pair[1].place))


def _candidates(database: sqlite3.Connection, place: int) -> list[sqlite3.Row]:
    return database.execute(
        "SELECT e.key FROM bands a JOIN bands b ON b.band = a.band AND b.place != a.place"
        " JOIN examples e ON e.place = b.place WHERE a.place = ? GROUP BY b.place ORDER BY count(*) DESC LIMIT ?",
        (place, MOST),
    ).fetchall()


def _conversation(turns: Sequence[Turn]) -> Conversation:
    return Conversation("", Origin("", ""), tuple(messages_of(turns)))


def side_by_side(left: Sequence[Turn], right: Sequence[Turn]) -> Iterator[Pair]:
    """The turns of two examples beside each other, without the system prompt."""
    for one, other in zip_longest(left[1:], right[1:], fillvalue=_EMPTY):
        yield Pair(one.speaker, *differences(whole(one), whole(other)))


def whole(turn: Turn) -> str:
    """A turn as one text: results and words, or words and calls."""
    calls = (render_call(ToolCall("", call.name, call.arguments)) for call in turn.calls)
    return "\n".join(part for part in (*turn.results, turn.text, *calls) if part)


def differences(left: str, right: str) -> tuple[tuple[tuple[Kind, str], ...], tuple[tuple[Kind, str], ...]]:
    """Two texts cut into what both have and what only one has, word by word."""
    from rapidfuzz.distance import Indel

    ours, theirs = (re.findall(r"\s+|\w+|[^\w\s]", text) for text in (left, right))
    pieces: tuple[list[tuple[Kind, str]], list[tuple[Kind, str]]] = ([], [])
    for step in Indel.opcodes(ours, theirs):
        kind: Kind = "same" if step.tag == "equal" else "only"
        for side, text in zip(
            pieces, (ours[step.src_start : step.src_end], theirs[step.dest_start : step.dest_end]), strict=True
        ):
            if text:
                side.append((kind, "".join(text)))
    return tuple(pieces[0]), tuple(pieces[1])
