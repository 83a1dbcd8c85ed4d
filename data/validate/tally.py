"""Adds up rows as they pass by: a `Tallier` for each part of a build, and the `Part` that comes of it.

Percentiles come from counts of lengths and scores, so memory does not grow with the number of rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec
from msgspec.structs import astuple

from data.record import Quality
from data.transform.chat_formatter import NativeRow, Row
from data.validate.report_messages import calls_in, is_cut, messages_of

BIN = 256  # tokens; the width of a bar of the length histogram
PARTS = Quality.__struct_fields__
UNKNOWN = 0.5  # what a part of the score is where nothing is known


class Spread(msgspec.Struct, frozen=True):
    """Nearest-rank percentiles of a quantity; all 0 where there is none."""

    p10: float = 0
    p50: float = 0
    p90: float = 0
    max: float = 0


class Known(msgspec.Struct, frozen=True):
    """In how many rows something is known of a part of the score, and the mean (0..1) over those."""

    rows: int
    mean: float


class Part(msgspec.Struct, frozen=True):
    """What some rows hold.

    `replies` and `calls` count trained messages and the tool calls in them, so over a build nothing twice. `cut`
    counts rows in which something is left out to make them fit. `histogram` counts rows by tokens in bins of BIN;
    `quality` counts rows by score in ten bins of 0..1; `known` is by part of the score.
    """

    rows: int
    sessions: int
    tokens: int
    trained_tokens: int
    messages: int
    replies: int
    cut: int
    calls: dict[str, int]
    length: Spread
    score: Spread
    histogram: tuple[int, ...]
    quality: tuple[int, ...]
    known: dict[str, Known]


class Facts(msgspec.Struct, frozen=True):
    """What is counted of a row's messages, found once for all the parts that it belongs to."""

    messages: int
    replies: int
    calls: list[str]
    cut: bool
    known: dict[str, float]


def facts_of(row: Row | NativeRow) -> Facts:
    messages = replies = 0
    calls: list[str] = []
    cut = False
    for speaker, text, trained in messages_of(row):
        messages += 1
        if trained:
            replies += 1
            calls += calls_in(text)
        cut = cut or is_cut(speaker, text)
    parts = astuple(row.metadata.quality_parts)
    known = {name: value for name, value in zip(PARTS, parts, strict=True) if value != UNKNOWN}
    return Facts(messages, replies, calls, cut, known)


class Tallier:
    """Adds up rows as they pass by."""

    def __init__(self) -> None:
        self.messages = self.replies = self.cut = self.trained_tokens = 0
        self.sessions: set[str] = set()
        self.calls: Counter[str] = Counter()
        self.lengths: Counter[int] = Counter()
        self.scores: Counter[float] = Counter()
        self.known: Counter[str] = Counter()
        self.sums = dict.fromkeys(PARTS, 0.0)

    def add(self, row: Row | NativeRow, facts: Facts) -> None:
        about = row.metadata
        self.messages += facts.messages
        self.replies += facts.replies
        self.cut += facts.cut
        self.trained_tokens += about.trained_tokens
        self.sessions.add(about.session_id)
        self.calls.update(facts.calls)
        self.lengths[about.tokens] += 1
        self.scores[round(about.quality_score, 3)] += 1
        self.known.update(facts.known.keys())
        for name, value in facts.known.items():
            self.sums[name] += value

    def part(self) -> Part:
        return Part(
            rows=self.lengths.total(),
            sessions=len(self.sessions),
            tokens=sum(length * count for length, count in self.lengths.items()),
            trained_tokens=self.trained_tokens,
            messages=self.messages,
            replies=self.replies,
            cut=self.cut,
            calls=dict(sorted(self.calls.items(), key=lambda item: (-item[1], item[0]))),
            length=spread(self.lengths),
            score=spread(self.scores),
            histogram=_binned((max(length - 1, 0) // BIN, count) for length, count in self.lengths.items()),
            quality=_binned(((min(int(score * 10), 9), count) for score, count in self.scores.items()), 10),
            known={name: Known(self.known[name], self.sums[name] / (self.known[name] or 1)) for name in PARTS},
        )


def spread(counts: Counter[int] | Counter[float]) -> Spread:
    """The exact percentiles of counted values: the smallest value that p % of all do not exceed."""
    if not counts:
        return Spread()
    ordered = sorted(counts.items())
    return Spread(*(_at_rank(ordered, share, counts.total()) for share in (10, 50, 90, 100)))


def _at_rank(ordered: Sequence[tuple[float, int]], share: int, total: int) -> float:
    rank, passed = -(-share * total // 100), 0
    for value, count in ordered:
        passed += count
        if passed >= rank:
            return value
    return ordered[-1][0]


def _binned(counted: Iterable[tuple[int, int]], least: int = 0) -> tuple[int, ...]:
    """Counts by bin, from the first bin to the last that holds any, at least `least` of them."""
    bins: Counter[int] = Counter()
    for index, count in counted:
        bins[index] += count
    return tuple(bins[index] for index in range(max(max(bins, default=-1) + 1, least)))
