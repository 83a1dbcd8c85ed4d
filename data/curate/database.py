"""The SQLite file of curation: opened by several processes at once, brought to its newest form by numbered steps."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from data.config import ConfigError

MIGRATIONS = Path(__file__).parent / "migrations"
STEPS = tuple(sorted(MIGRATIONS.glob("*.sql")))
FORMS = len(STEPS)
PATIENCE = 30.0  # seconds that one process waits for another one that is writing


def connect(path: Path) -> sqlite3.Connection:
    """The database, made or migrated where that is needed. Raises ConfigError, one sentence with the fix."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        database = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None, check_same_thread=False)
        database.row_factory = sqlite3.Row
        _prepare(database, path)
    except (OSError, sqlite3.Error) as problem:
        raise ConfigError(
            f"{path} cannot be opened ({problem}). Check the file, or choose another --database."
        ) from None
    return database


def _prepare(database: sqlite3.Connection, path: Path) -> None:
    if str(database.execute("PRAGMA journal_mode").fetchone()[0]) != "wal":
        database.execute("PRAGMA journal_mode = wal")
    # A decision that was confirmed is on the disk, even if the power fails next.
    database.execute("PRAGMA synchronous = full")
    # What is forgotten must not be left in free pages.
    database.execute("PRAGMA secure_delete = on")
    _migrate(database, path)
    _make_index(database)


def form_of(database: sqlite3.Connection) -> int:
    return int(database.execute("PRAGMA user_version").fetchone()[0])


def _migrate(database: sqlite3.Connection, path: Path) -> None:
    """Apply the steps that the file does not know yet, each with its number in one transaction."""
    for number, step in enumerate(STEPS, 1):
        if form_of(database) >= number:
            continue
        with transaction(database):
            if form_of(database) < number:
                for statement in _statements(step.read_text("utf-8")):
                    database.execute(statement)
                database.execute(f"PRAGMA user_version = {number}")
    if form_of(database) > FORMS:
        raise ConfigError(f"{path} was written by a newer lora-forge than this one. Update: git pull.")


def _make_index(database: sqlite3.Connection) -> None:
    """The index of words, where this SQLite can keep one; without it a search reads every text.

    It keeps no copy of the texts. Examples that were read without it stay without it.
    """
    if has_index(database) or database.execute("SELECT 1 FROM examples LIMIT 1").fetchone():
        return
    with suppress(sqlite3.OperationalError):
        database.execute("CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5 (text, content = '', detail = none)")


def has_index(database: sqlite3.Connection) -> bool:
    return database.execute("SELECT 1 FROM sqlite_master WHERE name = 'words'").fetchone() is not None


def _statements(script: str) -> Iterator[str]:
    """The single statements of a script; a trigger has semicolons inside."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


@contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    """All of it or nothing; nobody else writes meanwhile. Raises ConfigError where it cannot be written."""
    try:
        database.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as problem:
        raise ConfigError(
            f"The decisions cannot be written ({problem}). Wait for the other process, or check the disk."
        ) from None
    try:
        yield
    except BaseException:
        database.execute("ROLLBACK")
        raise
    database.execute("COMMIT")
