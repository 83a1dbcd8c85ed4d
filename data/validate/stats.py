"""The numbers of a build: what is in it by split and role, and what was left out and why.

`python -m data.validate.stats DIR` prints them as tables. The pipeline calls `collect` and keeps the result as
stats.json. Rows pass by one at a time and percentiles come from counts of lengths, so memory does not grow.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from data.record import SPLITS, Split, Tally
from data.stage import Ledger
from data.transform.chat_formatter import Row
from data.validate.rows import DatasetError, open_build, open_ledger, read_build

BIN = 256  # tokens; the width of a bar of the length histogram

_CALL_NAME = re.compile(r'^<tool_call>\n\{"name": "((?:[^"\\]|\\.)*)"', re.MULTILINE)


class Spread(msgspec.Struct, frozen=True):
    """Nearest-rank percentiles of a quantity; all 0 where there is none."""

    p10: float = 0
    p50: float = 0
    p90: float = 0
    max: float = 0


class Part(msgspec.Struct, frozen=True):
    """What some rows hold.

    `replies` and `calls` count trained messages and the tool calls in them, so over a build nothing twice.
    `histogram` counts rows by tokens in bins of BIN; `quality` counts rows by score in ten bins of 0..1.
    """

    rows: int
    sessions: int
    tokens: int
    trained_tokens: int
    messages: int
    replies: int
    calls: dict[str, int]
    length: Spread
    score: Spread
    histogram: tuple[int, ...]
    quality: tuple[int, ...]


class Loss(msgspec.Struct, frozen=True):
    """What left at one place for one reason."""

    stage: str
    reason: str
    tally: Tally


class Stats(msgspec.Struct, frozen=True):
    """Everything in a build; `role_rows` are a role's rows by split, `losses` are the largest first."""

    total: Part
    splits: dict[Split, Part]
    roles: dict[str, Part]
    role_rows: dict[str, dict[Split, int]]
    records: dict[str, dict[str, int]]
    read: Tally
    losses: tuple[Loss, ...]
    changes: dict[str, dict[str, int]]


class Tallier:
    """Adds up rows as they pass by."""

    def __init__(self) -> None:
        self.messages = self.replies = self.trained_tokens = 0
        self.sessions: set[str] = set()
        self.calls: Counter[str] = Counter()
        self.lengths: Counter[int] = Counter()
        self.scores: Counter[float] = Counter()

    def add(self, row: Row) -> None:
        trained = [turn.value for turn in row.conversations if turn.train]
        self.messages += len(row.conversations)
        self.replies += len(trained)
        self.trained_tokens += row.metadata.trained_tokens
        self.sessions.add(row.metadata.session_id)
        self.calls.update(name for value in trained for name in _CALL_NAME.findall(value))
        self.lengths[row.metadata.tokens] += 1
        self.scores[round(row.metadata.quality_score, 3)] += 1

    def part(self) -> Part:
        return Part(
            rows=self.lengths.total(),
            sessions=len(self.sessions),
            tokens=sum(length * count for length, count in self.lengths.items()),
            trained_tokens=self.trained_tokens,
            messages=self.messages,
            replies=self.replies,
            calls=dict(sorted(self.calls.items(), key=lambda item: (-item[1], item[0]))),
            length=spread(self.lengths),
            score=spread(self.scores),
            histogram=_binned((max(length - 1, 0) // BIN, count) for length, count in self.lengths.items()),
            quality=_binned(((min(int(score * 10), 9), count) for score, count in self.scores.items()), 10),
        )


def collect(folder: Path) -> Stats:
    """The numbers of the build in a folder, finished or about to be.

    Raises DatasetError where the folder holds no build or a line of it is no row.
    """
    ledger = open_ledger(folder)
    by_cell: dict[tuple[str, Split], int] = {}
    total, splits, roles = Tallier(), {split: Tallier() for split in SPLITS}, dict[str, Tallier]()
    for split, row in read_build(folder):
        role = row.metadata.role
        by_cell[role, split] = by_cell.get((role, split), 0) + 1
        for tallier in (total, splits[split], roles.setdefault(role, Tallier())):
            tallier.add(row)
    names = sorted(roles)
    return Stats(
        total=total.part(),
        splits={split: tallier.part() for split, tallier in splits.items()},
        roles={role: roles[role].part() for role in names},
        role_rows={role: {split: by_cell.get((role, split), 0) for split in SPLITS} for role in names},
        records=ledger.records,
        read=ledger.read,
        losses=tuple(sorted(_losses(ledger), key=lambda loss: (-loss.tally.chars, loss.stage, loss.reason))),
        changes={stage: account.notes for stage, account in ledger.stages.items() if account.notes},
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


def _losses(ledger: Ledger) -> Iterator[Loss]:
    """What left with a weight: set aside by the readers, then dropped by the stages."""
    for reason, tally in ledger.set_aside.items():
        yield Loss("extract", reason, tally)
    for stage, account in ledger.stages.items():
        for reason, tally in account.left.items():
            yield Loss(stage, reason, tally)


def main(arguments: Sequence[str] | None = None) -> int:
    from rich.console import Console

    from data.validate.tables import show

    parser = argparse.ArgumentParser(prog="python -m data.validate.stats", description="The numbers of a build.")
    parser.add_argument("folder", type=Path, metavar="DIR", help="the output folder of a build")
    folder = parser.parse_args(arguments).folder
    try:
        manifest = open_build(folder)
        stats = collect(folder)
    except DatasetError as error:
        print(error, file=sys.stderr)
        return 1
    console = Console()
    if manifest.sample:
        console.print("These rows come from the built-in sample town, not from your transcripts.")
    show(stats, console)
    return 0


if __name__ == "__main__":
    sys.exit(main())
