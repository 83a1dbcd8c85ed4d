"""The registry's SQLite file: opened by several processes at once, brought to its newest form by numbered steps."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.adapter import Refusal
from deploy.registry.folders import locked

FILE = "registry.db"
MIGRATIONS = Path(__file__).parent / "migrations"
# How long a command waits for another one that is writing.
PATIENCE = 30.0  # seconds


def connect(root: Path) -> sqlite3.Connection:
    """The database below `root`, made or migrated where that is needed. Raises `Refusal`."""
    path = root / FILE
    try:
        root.mkdir(parents=True, exist_ok=True)
        database = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None)
        database.row_factory = sqlite3.Row
        _prepare(database, path)
    except (OSError, sqlite3.Error) as problem:
        raise Refusal(f"{path} cannot be opened ({problem}). Check the folder, or choose another --root.") from None
    return database


def _prepare(database: sqlite3.Connection, path: Path) -> None:
    if _mode(database) != "wal":
        with locked(path.parent):
            if _mode(database) != "wal":
                database.execute("PRAGMA journal_mode = wal")
    database.execute("PRAGMA foreign_keys = on")
    migrate(database, path)


def _mode(database: sqlite3.Connection) -> str:
    return str(database.execute("PRAGMA journal_mode").fetchone()[0])


def migrate(database: sqlite3.Connection, path: Path) -> None:
    """Apply the steps that the file does not know yet, each with its number in one transaction."""
    steps = sorted(MIGRATIONS.glob("*.sql"))
    for number, step in enumerate(steps, 1):
        if _form(database) >= number:
            continue
        with transaction(database):
            if _form(database) < number:
                for statement in statements(step.read_text(encoding="utf-8")):
                    database.execute(statement)
                database.execute(f"PRAGMA user_version = {number}")
    if _form(database) > len(steps):
        raise Refusal(f"{path} was written by a newer lora-forge than this one. Update: git pull.")


def _form(database: sqlite3.Connection) -> int:
    return int(database.execute("PRAGMA user_version").fetchone()[0])


def statements(script: str) -> Iterator[str]:
    """The single statements of a script; a trigger has semicolons inside."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


@contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    """All of it or nothing; nobody else writes meanwhile."""
    try:
        database.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as problem:
        raise Refusal(
            f"the registry cannot be written ({problem}). Wait for the other command, or check the disk."
        ) from None
    try:
        yield
    except BaseException:
        database.execute("ROLLBACK")
        raise
    database.execute("COMMIT")
