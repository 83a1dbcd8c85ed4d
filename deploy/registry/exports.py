"""The rows of the database about a version in other formats."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from deploy.adapter import Refusal
from deploy.registry.folders import file_sha256
from deploy.registry.records import now, row_of
from deploy.registry.values import Export, Version


def insert(
    database: sqlite3.Connection,
    version: Version,
    kind: str,
    stored: str,
    base: str | None,
    measured: tuple[str, int],
    report: Mapping[str, Any],
) -> None:
    """One export with its digest and size."""
    database.execute(
        "INSERT INTO exports (version, kind, path, base, sha256, size, report, made_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (row_of(database, version), kind, stored, base, *measured, json.dumps(report), now()),
    )


def newest(database: sqlite3.Connection, version: Version) -> Iterator[tuple[str, Export]]:
    """The newest of each kind, as it was stored."""
    for row in database.execute(
        "SELECT * FROM exports WHERE id IN (SELECT max(id) FROM exports WHERE version = ? GROUP BY kind) ORDER BY kind",
        (row_of(database, version),),
    ).fetchall():
        base = Path(row["base"]) if row["base"] else None
        report = json.loads(row["report"])
        yield (
            row["kind"],
            Export(row["kind"], Path(row["path"]), base, row["sha256"], row["size"], report, row["made_at"]),
        )


def measure(path: Path) -> tuple[str, int]:
    """Digest and bytes of a file, or of all files of a folder with their names. Raises `Refusal` where it is none."""
    if path.is_file():
        return file_sha256(path), path.stat().st_size
    files = sorted(file for file in path.rglob("*") if file.is_file())
    if not files:
        raise Refusal(f"{path} holds no file, so there is nothing to note. Export it again.")
    lines = "".join(f"{file_sha256(file)}  {file.relative_to(path).as_posix()}\n" for file in files)
    return hashlib.sha256(lines.encode()).hexdigest(), sum(file.stat().st_size for file in files)
