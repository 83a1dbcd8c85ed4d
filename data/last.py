"""The last stages, which see all rows of a build: duplicates go, splits are given, roles are balanced.

They judge rows in the order of their sessions' time, so that neither the names of files nor their order decide which
of two alike rows stays, and a later session never takes the place of an earlier one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from data.config import DataConfig
from data.record import Drop, Split, Tally
from data.spool import Entry, Spool
from data.stage import Account, Ledger
from data.transform import balance as balancing
from data.transform import deduplicator
from data.transform.balance import Balance
from data.transform.deduplicator import Candidate, Deduplicator, rivals
from data.transform.splitter import split_of


def choose(
    entries: Sequence[Entry], spool: Spool, config: DataConfig, ledger: Ledger
) -> tuple[list[tuple[Entry, Split]], list[Drop], Balance]:
    """The rows that stay, each with its split, in order; the drops of the others; and how the roles were balanced."""
    single, drops = _without_duplicates(entries, spool, config, ledger.account(deduplicator.STAGE))
    placed = [(entry, split_of(entry.group, config.seed, config.split)) for entry in single]
    training = [(entry.id, entry.role) for entry, split in placed if split == "train"]
    leaving, counts = balancing.balance(training, config.balance, config.seed)
    account = ledger.account(balancing.STAGE)
    stay: list[tuple[Entry, Split]] = []
    for entry, split in placed:
        if entry.id in leaving:
            drops.append(_drop(entry, balancing.STAGE, balancing.Reason.OVER_SHARE, entry.role, account))
        else:
            _pass(entry.tally, account)
            stay.append((entry, split))
    return stay, drops, counts


def _without_duplicates(
    entries: Sequence[Entry], spool: Spool, config: DataConfig, account: Account
) -> tuple[list[Entry], list[Drop]]:
    judge = Deduplicator(config.dedup, rivals(_first_of_each(entries)))
    kept: list[Entry] = []
    drops: list[Drop] = []
    for entry in entries:
        shingles = partial(spool.shingles, entry)
        verdict = judge.judge(Candidate(entry.id, entry.role, entry.exact, entry.bands, shingles))
        if verdict:
            drops.append(_drop(entry, deduplicator.STAGE, verdict.reason, verdict.detail, account))
        else:
            _pass(entry.tally, account)
            kept.append(entry)
    return kept, drops


def _first_of_each(entries: Sequence[Entry]) -> Iterator[bytes]:
    """The bands of rows that are no exact copy of one before."""
    seen: set[bytes] = set()
    for entry in entries:
        if entry.exact not in seen:
            seen.add(entry.exact)
            yield entry.bands


def _pass(tally: Tally, account: Account) -> None:
    account.came += tally
    account.went += tally


def _drop(entry: Entry, stage: str, reason: str, detail: str, account: Account) -> Drop:
    account.came += entry.tally
    account.drop(reason, entry.tally)
    return Drop(stage, reason, entry.id, detail, tally=entry.tally)
