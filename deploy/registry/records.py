"""The rows of the database about versions: written once, read as `Version`."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from deploy.adapter import CONFIG, Refusal, read_object
from deploy.evidence import adapter_digest
from deploy.registry import folders
from deploy.registry.judging import KEPT, Judged, Report
from deploy.registry.lineage import Lineage
from deploy.registry.training import read_run
from deploy.registry.values import Evaluation, Version

About = dict[str, Any]


def now() -> str:
    """UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def describe(adapter: Path, role: str, lineage: Lineage) -> About:
    """What version.json tells of an adapter, but for its number and its files."""
    config = folders.check_adapter(adapter)
    run = read_run(adapter)
    settings = run.settings if run else {}
    base = config.get("base_model_name_or_path") or settings.get("base_model")
    if not isinstance(base, str):
        raise Refusal(f"{adapter / CONFIG} does not say what base model it belongs to. Train it again.")
    return {
        "role": role,
        "base_model": base,
        "base_revision": config.get("revision") or settings.get("revision_of_model"),
        "sha256": adapter_digest(adapter),
        "run": run_name(adapter),
        "manifest_sha256": lineage.manifest_sha256,
        "notes": lineage.notes,
        "registered_at": now(),
    }


def run_name(adapter: Path) -> str:
    """The name of the training: that of the adapter's folder, or what a version says."""
    about = adapter / folders.VERSION_FILE
    return str(read_object(about)["run"]) if about.is_file() else adapter.resolve().name


def number_of(database: sqlite3.Connection, role: str, sha256: str) -> int | None:
    """The newest version that an adapter is already."""
    select = "SELECT max(number) AS number FROM versions WHERE (role, sha256) = (?, ?)"
    number: int | None = database.execute(select, (role, sha256)).fetchone()["number"]
    return number


def notes_of(database: sqlite3.Connection, role: str, number: int) -> list[str]:
    """What is not known of the origin of a version."""
    row = database.execute("SELECT notes FROM versions WHERE (role, number) = (?, ?)", (role, number)).fetchone()
    notes: list[str] = json.loads(row["notes"])
    return notes


def next_number(database: sqlite3.Connection, role: str, role_folder: Path) -> int:
    """One more than any in the database or on disk."""
    (known,) = database.execute("SELECT max(number) FROM versions WHERE role = ?", (role,)).fetchone()
    return max(known or 0, *folders.numbers(role_folder), 0) + 1


def insert(database: sqlite3.Connection, about: Mapping[str, Any], lineage: Lineage) -> None:
    """A version whose folder is in place, with the sessions behind it."""
    columns = ("role", "number", "sha256", "base_model", "base_revision", "run", "manifest_sha256", "registered_at")
    values = [*(about[column] for column in columns), json.dumps(about["files"]), json.dumps(about["notes"])]
    row = database.execute(
        f"INSERT INTO versions ({', '.join(columns)}, files, notes) VALUES ({', '.join('?' * len(values))})", values
    ).lastrowid
    database.executemany(
        "INSERT INTO sessions VALUES (?, ?, ?)", [(row, name, rows) for name, rows in lineage.sessions.items()]
    )
    database.executemany("INSERT INTO transcripts VALUES (?, ?)", [(row, file) for file in lineage.transcripts])


def versions(database: sqlite3.Connection, root: Path, role: str | None = None) -> Iterator[Version]:
    """All versions, or those of one role, the oldest first."""
    where, values = ("", ()) if role is None else ("WHERE role = ?", (role,))
    for row in database.execute(f"SELECT * FROM versions {where} ORDER BY role, number", values).fetchall():
        yield Version(
            role=row["role"],
            number=row["number"],
            folder=root / "adapters" / row["role"] / f"v{row['number']}",
            base_model=row["base_model"],
            base_revision=row["base_revision"] or _revision(database, row["id"]),
            sha256=row["sha256"],
            run=row["run"],
            manifest_sha256=row["manifest_sha256"],
            files=json.loads(row["files"]),
            notes=tuple(json.loads(row["notes"])),
            registered_at=row["registered_at"],
            evaluation=_evaluation(database, row["id"], root),
        )


def _newest(database: sqlite3.Connection, version: int) -> sqlite3.Row | None:
    found: sqlite3.Row | None = database.execute(
        "SELECT * FROM evaluations WHERE version = ? ORDER BY id DESC LIMIT 1", (version,)
    ).fetchone()
    return found


def _revision(database: sqlite3.Connection, version: int) -> str | None:
    """The base's revision as the evaluation saw it."""
    row = _newest(database, version)
    return row["base_revision"] if row else None


def _evaluation(database: sqlite3.Connection, version: int, root: Path) -> Evaluation | None:
    row = _newest(database, version)
    if row is None:
        return None
    report = msgspec.json.decode(row["report"], type=Report)
    deciding = report.rows[-1] if report.rows else None
    return Evaluation(
        passed=row["code"] == 0,
        outcome=report.outcome,
        reasons=report.reasons,
        margin=report.margin,
        about=deciding.role if deciding else None,
        base=deciding.base.rate() if deciding else None,
        adapter=deciding.adapter.rate() if deciding else None,
        difference=deciding.difference.rate() if deciding else None,
        roles=tuple(row.role for row in report.rows),
        smoke=bool(row["smoke"]),
        base_results=root / KEPT / f"{row['base_results']}.json",
        adapter_results=root / KEPT / f"{row['adapter_results']}.json",
        evaluated_at=row["evaluated_at"],
        measure=report.measure,
    )


def insert_evaluation(database: sqlite3.Connection, version: Version, judged: Judged) -> None:
    """What the gate said."""
    database.execute(
        "INSERT INTO evaluations"
        " (version, code, report, base_results, adapter_results, smoke, base_revision, evaluated_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            row_of(database, version),
            judged.code,
            msgspec.json.encode(judged.report).decode(),
            judged.base.stem,
            judged.adapter.stem,
            judged.smoke,
            judged.base_revision,
            now(),
        ),
    )


def row_of(database: sqlite3.Connection, version: Version) -> int:
    """The key of a version in the database."""
    key = (version.role, version.number)
    return int(database.execute("SELECT id FROM versions WHERE (role, number) = (?, ?)", key).fetchone()["id"])


def lineage(database: sqlite3.Connection, version: Version) -> tuple[dict[str, int], tuple[str, ...]]:
    """The sessions behind a version with how many rows of each, and the transcripts that these show."""
    key = (row_of(database, version),)
    rows = database.execute("SELECT session, rows FROM sessions WHERE version = ? ORDER BY session", key)
    files = database.execute("SELECT file FROM transcripts WHERE version = ? ORDER BY file", key)
    return {row["session"]: row["rows"] for row in rows}, tuple(row["file"] for row in files)
