"""The last stages, which see all rows of a build: duplicates go, splits are given, roles are balanced.

They judge rows in the order of their sessions' time, so that neither the names of files nor their order decide which
of two alike rows stays, and a later session never takes the place of an earlier one.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

from data.config import DataConfig
from data.finished import Finished
from data.record import Drop, Split, Tally
from data.spool import Entry, Spool
from data.stage import Account, Ledger
from data.transform import balance as balancing
from data.transform import deduplicator
from data.transform.balance import Balance
from data.transform.deduplicator import Candidate, Deduplicator, DropReason, Verdict, rivals
from data.transform.splitter import splitter


def choose(
    entries: Sequence[Entry], spool: Spool, config: DataConfig, ledger: Ledger, drop: Callable[[Drop], None]
) -> tuple[list[tuple[Entry, Split]], Balance, Callable[[str], Split]]:
    """The rows that stay, each with its split, in order, and how the roles were balanced. `drop` takes the others.

    Last comes what gives a group its split.
    """
    single = _without_duplicates(entries, spool, config, ledger.account(deduplicator.STAGE), drop)
    split_of = splitter(Counter(entry.group for entry in single), config.seed, config.split)
    placed = [(entry, split_of(entry.group)) for entry in single]
    training = [(entry.id, entry.role) for entry, split in placed if split == "train"]
    leaving, counts = balancing.balance(training, config.balance, config.seed)
    account = ledger.account(balancing.STAGE)
    stay: list[tuple[Entry, Split]] = []
    for entry, split in placed:
        if entry.id in leaving:
            reason = balancing.Reason.OVER_SHARE
            row = spool.read(entry)
            _pass(row.tally, ledger.account(deduplicator.STAGE))
            drop(_drop(row, balancing.STAGE, reason, entry.role, account))
        else:
            stay.append((entry, split))
    return stay, counts, split_of


def book(row: Finished, ledger: Ledger) -> None:
    """Enter a row that stays into the books of the last stages."""
    _pass(row.tally, ledger.account(deduplicator.STAGE))
    _pass(row.tally, ledger.account(balancing.STAGE))


def _pass(tally: Tally, account: Account) -> None:
    account.came += tally
    account.went += tally


def _without_duplicates(
    entries: Sequence[Entry], spool: Spool, config: DataConfig, account: Account, drop: Callable[[Drop], None]
) -> list[Entry]:
    judge = Deduplicator(config.dedup, rivals(spool.bands))
    once = _TrainedOnce(spool)
    kept: list[Entry] = []
    for entry in entries:
        shingles = partial(_shingles_of, spool, entry)
        verdict = once.judge(entry) or judge.judge(
            Candidate(entry.id, entry.role, entry.exact, spool.bands_of(entry), shingles)
        )
        if verdict:
            drop(_drop(spool.read(entry), deduplicator.STAGE, verdict.reason, verdict.detail, account))
        else:
            kept.append(entry)
    return kept


class _TrainedOnce:
    """Sees to it that no message id is trained twice.

    The readers train each reply once; clients with ids of their own making may use one for replies that have nothing
    to do with each other.
    """

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._doubles = rivals(spool.trained)
        self._trained: set[int] = set()

    def judge(self, entry: Entry) -> Verdict | None:
        """Why a row that trains a message of a row before it leaves."""
        if not self._doubles:
            return None
        ids = self._doubles.intersection(array("Q", self._spool.read(entry).trained))
        if not ids.isdisjoint(self._trained):
            return Verdict(DropReason.SAME_REPLY, "under the same message id")
        self._trained |= ids
        return None


def _shingles_of(spool: Spool, entry: Entry) -> bytes:
    return spool.read(entry).shingles


def _drop(row: Finished, stage: str, reason: str, detail: str, account: Account) -> Drop:
    account.came += row.tally
    account.drop(reason, row.tally)
    return Drop(stage, reason, row.id, detail, tally=row.tally)
