"""Stages and the ledger: applies the stages in order and accounts for everything that went in.

A stage is a function from one conversation to what becomes of it. The runner alone counts, so that a stage
cannot forget to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TypeAlias

import msgspec

from data.record import Conversation, Drop, Tally, replies, weigh

Outcome: TypeAlias = Conversation | Drop
Stage: TypeAlias = Callable[[Conversation], Iterable[Outcome]]


class LedgerImbalance(Exception):
    """Something went in and neither came out nor left under a name: a bug, never a warning."""


class Account(msgspec.Struct):
    """One stage's books: what came, what went on, what left and why, what was changed."""

    came: Tally = Tally()
    went: Tally = Tally()
    left: dict[str, Tally] = {}
    notes: dict[str, int] = {}

    def drop(self, reason: str, tally: Tally) -> None:
        self.left[reason] = self.left.get(reason, Tally()) + tally

    def note(self, reason: str, count: int) -> None:
        self.notes[reason] = self.notes.get(reason, 0) + count

    def add(self, other: Account) -> None:
        self.came += other.came
        self.went += other.went
        for reason, tally in other.left.items():
            self.drop(reason, tally)
        for reason, count in other.notes.items():
            self.note(reason, count)


class Choices(msgspec.Struct):
    """The books of one kind of preference: how many candidates there were, how many became rows, why others did not."""

    found: int = 0
    rows: int = 0
    left: dict[str, int] = {}

    def drop(self, reason: str, count: int = 1) -> None:
        self.left[reason] = self.left.get(reason, 0) + count

    def add(self, other: Choices) -> None:
        self.found += other.found
        self.rows += other.rows
        for reason, count in other.left.items():
            self.drop(reason, count)


class Ledger(msgspec.Struct):
    """The account of a whole build.

    `records` counts what every source read, by fate: `used` plus one entry for each named reason.
    `set_aside` weighs the replies that a reader recognised as no training target (synthetic, rewound ...).
    `preferences` are the books of what people preferred, by method and kind: `dpo: rejected call`.
    """

    records: dict[str, dict[str, int]] = {}
    read: Tally = Tally()
    set_aside: dict[str, Tally] = {}
    stages: dict[str, Account] = {}
    preferences: dict[str, Choices] = {}

    def choices(self, kind: str) -> Choices:
        return self.preferences.setdefault(kind, Choices())

    def account(self, stage: str) -> Account:
        return self.stages.setdefault(stage, Account())

    def count_records(self, source: str, fate: str, count: int) -> None:
        fates = self.records.setdefault(source, {})
        fates[fate] = fates.get(fate, 0) + count

    def take(self, drop: Drop) -> None:
        """Book what a reader set aside: records always, replies where the drop had any."""
        if drop.records:
            self.count_records(drop.stage, drop.reason, drop.records)
        if drop.tally.replies:
            self.read += drop.tally
            self.set_aside[drop.reason] = self.set_aside.get(drop.reason, Tally()) + drop.tally

    def admit(self, conversation: Conversation) -> None:
        """Book a conversation that a reader made."""
        self.read += weigh(replies(conversation), conversations=1)

    def merge(self, other: Ledger) -> None:
        self.read += other.read
        for source, fates in other.records.items():
            for fate, count in fates.items():
                self.count_records(source, fate, count)
        for reason, tally in other.set_aside.items():
            self.set_aside[reason] = self.set_aside.get(reason, Tally()) + tally
        for name, account in other.stages.items():
            self.account(name).add(account)
        for kind, choices in other.preferences.items():
            self.choices(kind).add(choices)


def run(items: Iterable[Outcome], stages: Iterable[tuple[str, Stage]], ledger: Ledger) -> Iterator[Outcome]:
    """Pass conversations through the stages in order; drops pass by the remaining ones."""
    for name, stage in stages:
        items = _apply(name, stage, items, ledger.account(name))
    return iter(items)


def _apply(name: str, stage: Stage, items: Iterable[Outcome], account: Account) -> Iterator[Outcome]:
    for item in items:
        if isinstance(item, Drop):
            yield item
        else:
            yield from _apply_one(name, stage, item, account)


def _apply_one(name: str, stage: Stage, conversation: Conversation, account: Account) -> list[Outcome]:
    came = weigh(replies(conversation), conversations=1)
    outcomes = list(stage(conversation))
    went, left = Tally(), Tally()
    for outcome in outcomes:
        if isinstance(outcome, Drop):
            left += outcome.tally
            account.drop(outcome.reason, outcome.tally)
        else:
            unchanged = outcome.messages is conversation.messages
            went += came if unchanged else weigh(replies(outcome), conversations=1)
            _count_notes(name, outcome, account)
    _balance(name, conversation.id, came, went + left)
    account.came += came
    account.went += went
    return outcomes


def _count_notes(name: str, conversation: Conversation, account: Account) -> None:
    for note in conversation.notes:
        if note.stage == name:
            account.note(note.reason, note.count)


def _balance(stage: str, subject: str, came: Tally, accounted: Tally) -> None:
    """Replies, calls and characters must be equal; tokens too once they are known."""
    units = ("replies", "calls", "said", "chars") + (("tokens",) if came.tokens else ())
    for unit in units:
        before, after = getattr(came, unit), getattr(accounted, unit)
        if before != after:
            raise LedgerImbalance(f"stage {stage}, {subject}: {before} {unit} came in, {after} are accounted for")


def check(ledger: Ledger, order: Sequence[str]) -> None:
    """The whole build balances: what was read is what the first stage got, and so on down the line.

    Raises LedgerImbalance with the unit and both numbers.
    """
    ledger.stages = {name: ledger.account(name) for name in order}
    aside = sum(ledger.set_aside.values(), Tally())
    _balance("reading", "the whole build", ledger.read, ledger.account(order[0]).came + aside)
    for before, after in pairwise(order):
        _balance(f"{before} to {after}", "the whole build", ledger.account(before).went, ledger.account(after).came)
    for kind, books in ledger.preferences.items():
        accounted = books.rows + sum(books.left.values())
        if books.found != accounted:
            raise LedgerImbalance(f"preferences, {kind}: {books.found} were found, {accounted} are accounted for")
    ledger.preferences = dict(sorted(ledger.preferences.items()))
