"""Files rows by split and role, drops and origins, and counts what it wrote for the manifest."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path
from typing import IO

import msgspec

from data.config import DataConfig
from data.finished import Finished, Preferred, drop_lines
from data.origins import DROPS, ORIGINS, PREFERRED
from data.record import SPLITS, Drop, Split
from data.trace import with_split
from data.transform.balance import Balance
from data.validate.rows import COMBINED, File, Manifest, file_name


class Input(msgspec.Struct, frozen=True):
    """What a build was made from."""

    units: int
    bytes: int
    sample: bool


class Writer:
    """Writes into a folder. Every file has its hash while it is written, so nothing is read twice."""

    def __init__(self, folder: Path, config: DataConfig) -> None:
        self.folder = folder
        self.config = config
        self._files: dict[str, IO[bytes]] = {}
        self._digests: dict[str, hashlib._Hash] = {}
        self._rows: Counter[str] = Counter()
        self._totals: dict[str, Counter[str]] = {split: Counter() for split in SPLITS}
        self._roles: Counter[str] = Counter()
        self._sessions: set[str] = set()

    def __enter__(self) -> Writer:
        for name in (DROPS, ORIGINS):
            self._open(name)
        return self

    def __exit__(self, *exc: object) -> None:
        for file in self._files.values():
            file.close()

    def drop(self, drop: Drop) -> None:
        self.drops(drop_lines([drop]))

    def drops(self, lines: bytes) -> None:
        self._write(DROPS, lines, lines.count(b"\n"))

    def row(self, row: Finished, split: Split) -> None:
        """File a row and its origin."""
        for family in (COMBINED, row.role):
            self._write(file_name(family, split), row.line + b"\n")
        self._write(ORIGINS, with_split(row.trace, split) + b"\n")
        self._totals[split].update(rows=1, tokens=row.tokens, trained=row.tally.tokens)
        self._roles[row.role] += 1
        self._sessions.add(row.session)

    def preferred(self, row: Preferred, split: Split) -> None:
        """File a row of preferences and its origin."""
        for family in (COMBINED, row.role):
            self._write(file_name(family, split, row.method), row.line + b"\n")
        self._write(PREFERRED, with_split(row.trace, split) + b"\n")

    def manifest(self, source: Input, balance: Balance) -> Manifest:
        """The description of what was written."""
        files = {
            name: File(digest.hexdigest(), self._rows[name], (self.folder / name).stat().st_size)
            for name, digest in sorted(self._digests.items())
        }
        return Manifest(
            sample=source.sample,
            base_model=self.config.base_model,
            seed=self.config.seed,
            config_sha256=hashlib.sha256(msgspec.json.encode(self.config, order="sorted")).hexdigest(),
            input_bytes=source.bytes,
            units=source.units,
            sessions=len(self._sessions),
            rows=self._per_split("rows"),
            tokens=self._per_split("tokens"),
            trained_tokens=self._per_split("trained"),
            roles=dict(sorted(self._roles.items())),
            balanced=balance.roles,
            files=files,
        )

    def _per_split(self, unit: str) -> dict[str, int]:
        return {split: self._totals[split][unit] for split in SPLITS}

    def _open(self, name: str) -> IO[bytes]:
        if name not in self._files:
            self._files[name] = (self.folder / name).open("wb")
            self._digests[name] = hashlib.sha256()
        return self._files[name]

    def _write(self, name: str, lines: bytes, count: int = 1) -> None:
        self._open(name).write(lines)
        self._digests[name].update(lines)
        self._rows[name] += count
