"""The numbers of a build: what is in it by split and role, and what was left out and why.

`python -m data.validate.stats DIR` prints them as tables. The pipeline calls `collect` and keeps the result as
stats.json. Rows pass by one at a time.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from heapq import nsmallest
from pathlib import Path

import msgspec

from data.record import SPLITS, Drop, Split, Tally
from data.stage import Choices, Ledger
from data.transform.chat_formatter import NativeRow, Row
from data.validate.rows import DatasetError, open_build, open_ledger, read_build, read_lines
from data.validate.tally import Part, Tallier, facts_of

LARGEST = 20  # sessions that are named


class Weight(msgspec.Struct):
    """How much there is of something."""

    rows: int = 0
    tokens: int = 0
    trained_tokens: int = 0

    def add(self, row: Row | NativeRow) -> None:
        self.rows += 1
        self.tokens += row.metadata.tokens
        self.trained_tokens += row.metadata.trained_tokens


class Session(msgspec.Struct, frozen=True):
    """One session in the rows; all its rows are in one split."""

    id: str
    role: str
    source: str
    split: Split
    weight: Weight


class Loss(msgspec.Struct, frozen=True):
    """What left at one place for one reason."""

    stage: str
    reason: str
    tally: Tally


class Stats(msgspec.Struct, frozen=True):
    """Everything in a build; `role_rows` are a role's rows by split, `losses` and `sessions` are the largest first.

    `sources` is by kind of source; `sessions` are the LARGEST; `balanced` is what the stage `balance` took from the
    train split, by role. `preferences` are by method and kind.
    """

    total: Part
    splits: dict[Split, Part]
    roles: dict[str, Part]
    role_rows: dict[str, dict[Split, int]]
    sources: dict[str, Weight]
    sessions: tuple[Session, ...]
    records: dict[str, dict[str, int]]
    read: Tally
    losses: tuple[Loss, ...]
    changes: dict[str, dict[str, int]]
    balanced: dict[str, Tally]
    preferences: dict[str, Choices]


class _Books:
    """All that `collect` adds up. A row counts in the total, its split, its role, its source and its session."""

    def __init__(self) -> None:
        self.total = Tallier()
        self.splits = {split: Tallier() for split in SPLITS}
        self.roles: dict[str, Tallier] = {}
        self.cells: Counter[tuple[str, Split]] = Counter()
        self.sources: dict[str, Weight] = {}
        self.sessions: dict[str, Session] = {}

    def add(self, split: Split, row: Row | NativeRow) -> None:
        about, facts = row.metadata, facts_of(row)
        for tallier in (self.total, self.splits[split], self.roles.setdefault(about.role, Tallier())):
            tallier.add(row, facts)
        self.cells[about.role, split] += 1
        self.sources.setdefault(about.source, Weight()).add(row)
        if about.session_id not in self.sessions:
            self.sessions[about.session_id] = Session(about.session_id, about.role, about.source, split, Weight())
        self.sessions[about.session_id].weight.add(row)

    def largest(self) -> tuple[Session, ...]:
        return tuple(nsmallest(LARGEST, self.sessions.values(), key=lambda one: (-one.weight.tokens, one.id)))


def collect(folder: Path) -> Stats:
    """The numbers of the build in a folder, finished or about to be.

    Raises DatasetError where the folder holds no build or a line of it is no row.
    """
    ledger, books = open_ledger(folder), _Books()
    for split, row in read_build(folder):
        books.add(split, row)
    names = sorted(books.roles)
    return Stats(
        total=books.total.part(),
        splits={split: tallier.part() for split, tallier in books.splits.items()},
        roles={role: books.roles[role].part() for role in names},
        role_rows={role: {split: books.cells[role, split] for split in SPLITS} for role in names},
        sources=dict(sorted(books.sources.items())),
        sessions=books.largest(),
        records=ledger.records,
        read=ledger.read,
        losses=tuple(sorted(_losses(ledger), key=lambda loss: (-loss.tally.chars, loss.stage, loss.reason))),
        changes={stage: account.notes for stage, account in ledger.stages.items() if account.notes},
        balanced=_balanced(folder) if ledger.account("balance").left else {},
        preferences=ledger.preferences,
    )


def _losses(ledger: Ledger) -> Iterator[Loss]:
    """What left with a weight: set aside by the readers, then dropped by the stages."""
    for reason, tally in ledger.set_aside.items():
        yield Loss("extract", reason, tally)
    for stage, account in ledger.stages.items():
        for reason, tally in account.left.items():
            yield Loss(stage, reason, tally)


def _balanced(folder: Path) -> dict[str, Tally]:
    """What was dropped to balance the roles; such a drop's detail is its role."""
    taken: dict[str, Tally] = {}
    decoder = msgspec.json.Decoder(Drop)
    for _, raw in read_lines(folder / "drops.jsonl"):
        if b'"stage":"balance"' in raw:
            drop = decoder.decode(raw)
            taken[drop.detail] = taken.get(drop.detail, Tally()) + drop.tally
    return dict(sorted(taken.items()))


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
