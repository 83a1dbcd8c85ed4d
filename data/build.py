"""Writes a dataset: puts the rows of all units aside, lets the last stages choose, files what stays, and publishes.

A dataset is complete when its manifest is there: it is removed first and written last.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from data.config import DataConfig
from data.extract.transcript import Reason
from data.finished import Done
from data.last import book, choose
from data.origins import PREFERRED
from data.record import Tally
from data.shelf import Shelf
from data.spool import Entry, Spool
from data.stage import Ledger, check
from data.stages import ORDER
from data.validate import stats
from data.validate.rows import Manifest, is_dataset_file
from data.validate.schema import SHOWN
from data.writer import Input, Writer

BUILDING = ".building"


class BrokenRows(Exception):
    """Rows that break the contract, one sentence each: a bug of the pipeline, found before it harms."""


class Coverage(msgspec.Struct, frozen=True):
    """Which share (0..1) of what the assistants showed is trained: of their text, and of text and call arguments."""

    text: float
    shown: float


def build(results: Iterable[Done], source: Input, config: DataConfig, out: Path) -> tuple[Manifest, Ledger]:
    """Build a dataset into a folder from what workers made.

    Raises LedgerImbalance where something is unaccounted for, BrokenRows where a row breaks the contract.
    """
    ledger = Ledger()
    with staging_folder(out) as staging:
        aside = (staging / "rows.spool", staging / "preferred.spool")
        with Writer(staging, config) as writer, Spool(aside[0]) as spool, Shelf(aside[1]) as shelf:
            entries = _put_aside(results, spool, shelf, writer, ledger)
            refuse_doubles(entries)
            stay, balance, split_of = choose(entries, spool, config, ledger, writer.drop)
            for entry, split in stay:
                row = spool.read(entry)
                book(row, ledger)
                writer.row(row, split)
            for preferred in shelf.settle(ledger, writer.drop):
                writer.preferred(preferred, split_of(preferred.group))
        for path in aside:
            path.unlink()
        check(ledger, ORDER)
        write_json(staging / "ledger.json", ledger)
        manifest = writer.manifest(source, balance)
        _publish(staging, out, manifest)
    return manifest, ledger


def _put_aside(results: Iterable[Done], spool: Spool, shelf: Shelf, writer: Writer, ledger: Ledger) -> list[Entry]:
    """The rows of all units in the order of time; their drops are written and their books added at once."""
    entries: list[Entry] = []
    problems: list[str] = []
    for done in results:
        ledger.merge(done.ledger)
        writer.drops(done.drops)
        problems.extend(done.problems[: SHOWN - len(problems)])
        entries.extend(map(spool.add, done.rows))
        for row in done.preferred:
            shelf.add(row)
    if problems:
        raise BrokenRows("\n".join(problems))
    return sorted(entries, key=lambda entry: entry.place)


def refuse_doubles(entries: Sequence[Entry]) -> None:
    """Each row stands once. Raises BrokenRows with those that do not."""
    rows = Counter(entry.id for entry in entries)
    if problems := [f"row {name} stands {count} times." for name, count in rows.items() if count > 1]:
        raise BrokenRows("\n".join(problems[:SHOWN]))


@contextmanager
def staging_folder(out: Path) -> Iterator[Path]:
    """A folder beside the dataset for what is not finished; it is gone afterwards, whatever happened.

    Raises OSError where it cannot be made, or another build is writing the dataset.
    """
    staging = out / BUILDING
    out.mkdir(parents=True, exist_ok=True)
    with _locked(out):
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir()
        try:
            yield staging
        finally:
            shutil.rmtree(staging, ignore_errors=True)


@contextmanager
def _locked(out: Path) -> Iterator[None]:
    """The folder itself is the lock: it is free again when its holder ends, however that ends."""
    handle = os.open(out, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            problem = "another build is writing this dataset. Wait for it, or choose another folder with --out"
            raise OSError(errno.EBUSY, problem, str(out)) from None
        yield
    finally:
        os.close(handle)


def write_json(path: Path, value: object) -> None:
    path.write_bytes(msgspec.json.format(msgspec.json.encode(value)) + b"\n")


def _publish(staging: Path, out: Path, manifest: Manifest) -> None:
    """Move the finished files into place, the manifest last; files of an earlier build that are no more are removed."""
    write_json(staging / "manifest.json", manifest)
    write_json(staging / "stats.json", stats.collect(staging))
    (out / "manifest.json").unlink(missing_ok=True)
    for stale in out.glob("*.jsonl"):
        if stale.name not in manifest.files and (is_dataset_file(stale.name) or stale.name == PREFERRED):
            stale.unlink()
    names = sorted(path.name for path in staging.iterdir() if path.name != "manifest.json")
    for name in [*names, "manifest.json"]:
        (staging / name).replace(out / name)


def coverage(ledger: Ledger) -> Coverage:
    """The shares trained, in characters as recorded. What the client wrote in the model's name is not the model's."""
    invented = ledger.set_aside.get(Reason.SYNTHETIC, Tally())
    read, went = ledger.read, ledger.account(ORDER[-1]).went
    return Coverage(
        text=went.said / max(read.said - invented.said, 1),
        shown=went.chars / max(read.chars - invented.chars, 1),
    )
