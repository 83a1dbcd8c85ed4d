"""What is live: a history that only grows. A promotion stands on the one before it; a rollback steps down one."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence

from deploy.adapter import Refusal
from deploy.registry.records import now, row_of
from deploy.registry.values import Promotion, RoleVersions, Version

_ROWS = """
SELECT p.*, v.number, before.number AS before
FROM promotions p JOIN versions v ON v.id = p.version
LEFT JOIN promotions last ON last.id = (SELECT max(id) FROM promotions WHERE role = p.role AND id < p.id)
LEFT JOIN versions before ON before.id = last.version
"""


def roles(database: sqlite3.Connection) -> tuple[RoleVersions, ...]:
    """Every role that has versions, by name."""
    found: dict[str, list[int]] = {}
    for row in database.execute("SELECT role, number FROM versions ORDER BY role, number"):
        found.setdefault(row["role"], []).append(row["number"])
    return tuple(RoleVersions(role, *_pointers(database, role), tuple(numbers)) for role, numbers in found.items())


def _head(database: sqlite3.Connection, role: str) -> sqlite3.Row | None:
    found: sqlite3.Row | None = database.execute(
        f"{_ROWS} WHERE p.role = ? ORDER BY p.id DESC LIMIT 1", (role,)
    ).fetchone()
    return found


def _row(database: sqlite3.Connection, key: int) -> sqlite3.Row:
    found: sqlite3.Row = database.execute(f"{_ROWS} WHERE p.id = ?", (key,)).fetchone()
    return found


def _pointers(database: sqlite3.Connection, role: str) -> tuple[int | None, int | None]:
    head = _head(database, role)
    if head is None:
        return None, None
    return head["number"], _row(database, head["parent"])["number"] if head["parent"] else None


def live(database: sqlite3.Connection, role: str) -> int:
    """The version that is live. Raises `Refusal` where none is."""
    now_live, _ = _pointers(database, role)
    if now_live is None:
        raise Refusal(f"nothing of {role} is live. Promote a version: python -m deploy.registry promote {role} v1.")
    return now_live


def previous(database: sqlite3.Connection, role: str) -> int:
    """The version that a rollback goes back to. Raises `Refusal` where there is none."""
    number = live(database, role)
    _, before = _pointers(database, role)
    if before is None:
        raise Refusal(f"{role}@v{number} is the first that was live, so there is none before it. Promote another one.")
    return before


def promote(database: sqlite3.Connection, version: Version, by: str, why: str, reasons: Sequence[str]) -> Promotion:
    """A new row on top, in the transaction of the caller; none where the version is live already."""
    head = _head(database, version.role)
    if head is not None and head["number"] == version.number:
        return _promotion(head)
    key = row_of(database, version)
    return _insert(database, (key, version.role, "promote", head and head["id"], by, bool(reasons), why), reasons)


def rollback(database: sqlite3.Connection, role: str, by: str, why: str, reasons: Sequence[str]) -> Promotion:
    """One step down, in the transaction of the caller. Raises `Refusal` where there is none."""
    previous(database, role)
    head = _head(database, role)
    assert head is not None
    below = _row(database, head["parent"])
    return _insert(database, (below["version"], role, "rollback", below["parent"], by, False, why), reasons)


def _insert(database: sqlite3.Connection, values: tuple[object, ...], reasons: Sequence[str]) -> Promotion:
    key = database.execute(
        "INSERT INTO promotions (version, role, kind, parent, actor, forced, why, overruled, promoted_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (*values, json.dumps(reasons), now()),
    ).lastrowid
    assert key is not None
    return _promotion(_row(database, key))


def promotions(database: sqlite3.Connection, role: str | None = None) -> Iterator[Promotion]:
    """The whole history, or that of one role, the oldest first."""
    where, values = ("", ()) if role is None else ("WHERE p.role = ?", (role,))
    yield from map(_promotion, database.execute(f"{_ROWS} {where} ORDER BY p.id", values).fetchall())


def _promotion(row: sqlite3.Row) -> Promotion:
    return Promotion(
        role=row["role"],
        number=row["number"],
        before=row["before"],
        kind=row["kind"],
        by=row["actor"],
        forced=bool(row["forced"]),
        why=row["why"],
        overruled=tuple(json.loads(row["overruled"])),
        promoted_at=row["promoted_at"],
    )
