"""Writes a dataset: removes duplicates, splits, and files the rows; then the ledger, the numbers, the manifest.

A dataset is complete when its manifest is there: it is removed first and written last.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import msgspec

from data.config import DataConfig
from data.extract.transcript import Reason
from data.record import SPLITS, Conversation, Drop, Split, Tally
from data.stage import Ledger, Outcome, check, run
from data.stages import ORDER, last_stages
from data.transform.chat_formatter import to_row
from data.transform.splitter import split_of
from data.validate import stats
from data.validate.rows import COMBINED, File, Manifest
from data.validate.schema import SHOWN, check_files
from data.workers import Result

BUILDING = ".building"


class BrokenRows(Exception):
    """Rows that break the contract, one sentence each: a bug of the pipeline, found before it harms."""


class Coverage(msgspec.Struct, frozen=True):
    """Which share (0..1) of what the assistants showed is trained: of their text, and of text and call arguments."""

    text: float
    shown: float


class Input(msgspec.Struct, frozen=True):
    """What a build was made from."""

    units: int
    bytes: int
    sample: bool


def build(results: Iterable[Result], source: Input, config: DataConfig, out: Path) -> tuple[Manifest, Ledger]:
    """Build a dataset into a folder from what workers made.

    Raises LedgerImbalance where something is unaccounted for, BrokenRows where a row breaks the contract.
    """
    with staging_folder(out) as staging:
        ledger = Ledger()
        with Writer(staging, config) as writer:
            for outcome in run(collect(results, ledger), last_stages(config), ledger):
                writer.take(outcome)
        check(ledger, ORDER)
        refuse_broken_rows(staging)
        write_json(staging / "ledger.json", ledger)
        manifest = _manifest(writer, config, source)
        _publish(staging, out, manifest)
    return manifest, ledger


@contextmanager
def staging_folder(out: Path) -> Iterator[Path]:
    """A folder beside the dataset for what is not finished; it is gone afterwards, whatever happened."""
    staging = out / BUILDING
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def refuse_broken_rows(folder: Path) -> None:
    """Check what was written with the checks that others can run. Raises BrokenRows before anything is published."""
    files = sorted(path for split in SPLITS for path in folder.glob(f"*_{split}.jsonl"))
    problems = [problem for problem in check_files(files) if problem]
    if problems:
        raise BrokenRows("\n".join(problems[:SHOWN]))


def write_json(path: Path, value: object) -> None:
    path.write_bytes(msgspec.json.format(msgspec.json.encode(value)) + b"\n")


def collect(results: Iterable[Result], ledger: Ledger) -> Iterator[Outcome]:
    """The outcomes of all results in order; their books are added to the ledger."""
    for items, part in results:
        ledger.merge(part)
        yield from items


class Writer:
    """Writes rows into the files of their split and role, drops into drops.jsonl, and counts what it wrote."""

    def __init__(self, folder: Path, config: DataConfig) -> None:
        self.folder = folder
        self.config = config
        self.files: dict[str, IO[bytes]] = {}
        self.digests: dict[str, hashlib._Hash] = {}
        self.rows: dict[str, int] = {}
        self.per_split: dict[str, list[int]] = {}
        self.roles: dict[str, int] = {}
        self.sessions: set[str] = set()
        self.encoder = msgspec.json.Encoder()

    def __enter__(self) -> Writer:
        self._file("drops.jsonl")
        return self

    def __exit__(self, *exc: object) -> None:
        for file in self.files.values():
            file.close()

    def take(self, outcome: Outcome) -> None:
        if isinstance(outcome, Drop):
            self._write("drops.jsonl", self.encoder.encode(outcome))
        else:
            self._row(outcome)

    def _row(self, window: Conversation) -> None:
        split: Split = split_of(window.origin.group, self.config.seed, self.config.split)
        row = to_row(window)
        line = self.encoder.encode(row)
        self._write(f"{COMBINED}_{split}.jsonl", line)
        self._write(f"{window.role}_{split}.jsonl", line)
        totals = self.per_split.setdefault(split, [0, 0, 0])
        totals[0] += 1
        totals[1] += row.metadata.tokens
        totals[2] += row.metadata.trained_tokens
        self.roles[window.role] = self.roles.get(window.role, 0) + 1
        self.sessions.add(window.origin.session)

    def _file(self, name: str) -> IO[bytes]:
        if name not in self.files:
            self.files[name] = (self.folder / name).open("wb")
            self.digests[name] = hashlib.sha256()
            self.rows[name] = 0
        return self.files[name]

    def _write(self, name: str, line: bytes) -> None:
        data = line + b"\n"
        self._file(name).write(data)
        self.digests[name].update(data)
        self.rows[name] += 1


def _manifest(writer: Writer, config: DataConfig, source: Input) -> Manifest:
    totals = {split: writer.per_split.get(split, [0, 0, 0]) for split in SPLITS}
    files = {
        name: File(digest.hexdigest(), writer.rows[name], (writer.folder / name).stat().st_size)
        for name, digest in sorted(writer.digests.items())
    }
    return Manifest(
        sample=source.sample,
        base_model=config.base_model,
        seed=config.seed,
        config_sha256=hashlib.sha256(msgspec.json.encode(config, order="sorted")).hexdigest(),
        input_bytes=source.bytes,
        units=source.units,
        sessions=len(writer.sessions),
        rows={split: numbers[0] for split, numbers in totals.items()},
        tokens={split: numbers[1] for split, numbers in totals.items()},
        trained_tokens={split: numbers[2] for split, numbers in totals.items()},
        roles=dict(sorted(writer.roles.items())),
        files=files,
    )


def _publish(staging: Path, out: Path, manifest: Manifest) -> None:
    """Move the finished files into place, the manifest last; files of an earlier build that are no more are removed."""
    write_json(staging / "manifest.json", manifest)
    write_json(staging / "stats.json", stats.collect(staging))
    (out / "manifest.json").unlink(missing_ok=True)
    for stale in out.glob("*.jsonl"):
        if stale.name not in manifest.files and stale.name.endswith(("_train.jsonl", "_val.jsonl", "_test.jsonl")):
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
