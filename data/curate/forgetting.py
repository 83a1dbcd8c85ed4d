"""Takes out of the store what somebody asked to forget: the examples of a session, their texts and their decisions.

It is the only thing that the store ever deletes, and it leaves nothing in the file's free pages or its log.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from pathlib import Path

import msgspec

from data.curate.database import connect, has_index, transaction
from data.curate.loading import is_forgotten, words_of
from data.curate.turns import Turn


def forget(database: sqlite3.Connection, sessions: Collection[str]) -> tuple[int, int]:
    """How many examples and decisions went. A decision about an example that a build made of the session goes too."""
    rows = database.execute("SELECT place, key, session, files FROM examples").fetchall() if sessions else []
    gone = [row for row in rows if is_forgotten(row["session"], row["files"].split("\n"), sessions)]
    if not gone:
        return 0, 0
    decisions = 0
    with transaction(database):
        for row in gone:
            database.execute("INSERT OR IGNORE INTO forgotten VALUES (?)", (row["key"],))
            decisions += database.execute("DELETE FROM decisions WHERE key = ?", (row["key"],)).rowcount
            if has_index(database):
                _take_words(database, row["place"])
            for table in ("bands", "texts", "examples"):
                database.execute(f"DELETE FROM {table} WHERE place = ?", (row["place"],))
        if has_index(database):
            database.execute("INSERT INTO words (words) VALUES ('optimize')")
    database.execute("PRAGMA wal_checkpoint(truncate)").fetchall()
    return len(gone), decisions


def _take_words(database: sqlite3.Connection, place: int) -> None:
    """The index keeps no texts, so it has to be told which words go."""
    turns = database.execute("SELECT turns FROM texts WHERE place = ?", (place,)).fetchone()["turns"]
    words = words_of(msgspec.json.decode(turns, type=tuple[Turn, ...]))
    database.execute("INSERT INTO words (words, rowid, text) VALUES ('delete', ?, ?)", (place, words))


def forget_in(path: Path, session: str) -> tuple[int, int]:
    """The same for whoever has no store open; nothing where there is no database. Raises ConfigError."""
    if not path.is_file():
        return 0, 0
    database = connect(path)
    try:
        return forget(database, {session})
    finally:
        database.close()
