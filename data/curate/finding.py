"""Finds examples: lists with filters, what comes next, what is like another, and how much is done."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence

from data.curate.database import has_index
from data.curate.store import ENTRY, LIVE, entry_of
from data.curate.values import LENGTHS, STATES, Entry, Filters

PAGE = 50


def page(database: sqlite3.Connection, filters: Filters, offset: int = 0, limit: int = PAGE) -> list[Entry]:
    """Some of the examples that fit, in order."""
    where, values = _where(database, filters)
    query = f"SELECT {ENTRY} FROM examples WHERE {where} ORDER BY place LIMIT ? OFFSET ?"
    return [entry_of(row) for row in database.execute(query, (*values, limit, offset)).fetchall()]


def count(database: sqlite3.Connection, filters: Filters) -> int:
    where, values = _where(database, filters)
    return int(database.execute(f"SELECT count(*) FROM examples WHERE {where}", values).fetchone()[0])


def rank(database: sqlite3.Connection, filters: Filters, place: int) -> int:
    """How many of the examples that fit stand before a place."""
    where, values = _where(database, filters)
    query = f"SELECT count(*) FROM examples WHERE place < ? AND {where}"
    return int(database.execute(query, (place, *values)).fetchone()[0])


def after(database: sqlite3.Connection, filters: Filters, place: int = 0) -> Entry | None:
    """The next example that fits."""
    return _beside(database, filters, place, ">", "ASC")


def before(database: sqlite3.Connection, filters: Filters, place: int) -> Entry | None:
    """The one before."""
    return _beside(database, filters, place, "<", "DESC")


def _beside(
    database: sqlite3.Connection, filters: Filters, place: int, side: str, order: str, also: str = ""
) -> Entry | None:
    where, values = _where(database, filters)
    query = f"SELECT {ENTRY} FROM examples WHERE place {side} ? AND {where}{also} ORDER BY place {order} LIMIT 1"
    row = database.execute(query, (place, *values)).fetchone()
    return entry_of(row) if row else None


def undecided(database: sqlite3.Connection, filters: Filters, place: int = 0) -> Entry | None:
    """The next example that fits and that nobody has decided about; from the beginning again after the last one."""
    also = " AND state = 'undecided'"
    found = _beside(database, filters, place, ">", "ASC", also)
    return found or (_beside(database, filters, 0, ">", "ASC", also) if place else None)


def progress(database: sqlite3.Connection, filters: Filters | None = None) -> dict[str, int]:
    """How many examples are in each state, and how many there are."""
    where, values = _where(database, filters or Filters())
    query = f"SELECT state, count(*) AS n FROM examples WHERE {where} GROUP BY state"
    found = {row["state"]: row["n"] for row in database.execute(query, values).fetchall()}
    counts: dict[str, int] = {state: found.get(state, 0) for state in STATES}
    return {"examples": sum(counts.values()), **counts}


def choices(database: sqlite3.Connection) -> dict[str, list[str]]:
    """What there is to filter by."""
    found = {}
    for column in ("role", "split", "source"):
        rows = database.execute(f"SELECT DISTINCT {column} FROM examples WHERE {LIVE} ORDER BY 1").fetchall()
        found[column] = [row[0] for row in rows]
    return found | {"decision": list(STATES), "length": list(LENGTHS)}


def last_of(database: sqlite3.Connection, author: str) -> str:
    """The key of the example that somebody decided about last, and whose decision still stands; empty for none."""
    row = database.execute(
        "SELECT e.key FROM decisions d JOIN examples e ON e.decision = d.id WHERE d.author = ?"
        " ORDER BY d.id DESC LIMIT 1",
        (author,),
    ).fetchone()
    return row["key"] if row else ""


def _where(database: sqlite3.Connection, filters: Filters) -> tuple[str, Sequence[str | int]]:
    parts, values = [LIVE], list[str | int]()
    for column in ("role", "split", "source"):
        if value := getattr(filters, column):
            parts.append(f"{column} = ?")
            values.append(value)
    if filters.decision:
        parts.append("state != 'undecided'" if filters.decision == "decided" else "state = ?")
        values += [] if filters.decision == "decided" else [filters.decision]
    if filters.length in LENGTHS:
        parts.append("tokens >= ? AND tokens < ?")
        values += LENGTHS[filters.length]
    if asked := re.findall(r"[^\W_]+", filters.search):
        _search(database, asked)
        parts.append("place IN (SELECT place FROM temp.found)")
    return " AND ".join(parts), values


def _search(database: sqlite3.Connection, words: Sequence[str]) -> None:
    """Put the examples with all the words, each as the beginning of one, into a table of this connection.

    A page asks several times about the same search, which is made once, until examples come or go.
    """
    stamp = database.execute("SELECT count(*), max(place) FROM examples").fetchone()
    made = " ".join((*words, *map(str, stamp)))
    database.execute("CREATE TEMP TABLE IF NOT EXISTS found (place INTEGER PRIMARY KEY)")
    database.execute("CREATE TEMP TABLE IF NOT EXISTS searched (made TEXT)")
    if database.execute("SELECT 1 FROM temp.searched WHERE made = ?", (made,)).fetchone():
        return
    database.execute("DELETE FROM temp.searched")
    database.execute("DELETE FROM temp.found")
    if has_index(database):
        query = "SELECT rowid FROM words WHERE words MATCH ?"
        values = [" ".join(f'"{word}"*' for word in words)]
    else:
        query = f"SELECT place FROM texts WHERE {' AND '.join('turns LIKE ?' for _ in words)}"
        values = [f"%{word}%" for word in words]
    database.execute(f"INSERT INTO temp.found {query}", values)
    database.execute("INSERT INTO temp.searched VALUES (?)", (made,))
