"""Reads the examples of a dataset into the store, some hundred in a transaction: what was read stays read.

An example that is there keeps its decision. One that a build made by a decision (an edit's result) is the one that was
decided about. What a dataset no longer has is stale, and nothing is deleted but what somebody asked to forget.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Collection, Sequence
from itertools import islice
from pathlib import Path

import msgspec

from data.curate.database import has_index, transaction
from data.curate.rows import Loaded, read_examples
from data.curate.similar import bands_of
from data.curate.store import Store
from data.curate.turns import Turn
from data.origins import is_file_of
from data.validate.rows import open_build

BATCH = 256


class Read(msgspec.Struct, frozen=True):
    """What an import did: examples met, new ones, and those left out because their session is forgotten."""

    met: int = 0
    new: int = 0
    forgotten: int = 0
    unchanged: bool = False


def load(store: Store, folder: Path, forgotten: Collection[str] = (), keep_missing: bool = False) -> Read:
    """Read a dataset; nothing where it is the one that was read last. Raises DatasetError where it cannot be read.

    `keep_missing`: examples that are not in it any more stay in the queue, because undecided ones are left out.
    """
    open_build(folder)
    manifest = hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()
    name = str(folder.resolve())
    before = store.database.execute("SELECT number, manifest FROM imports WHERE folder = ?", (name,)).fetchone()
    if before and before["manifest"] == manifest:
        return Read(unchanged=True)
    number = (before["number"] if before else 0) + 1
    read = Read()
    examples = read_examples(folder)
    while batch := list(islice(examples, BATCH)):
        known = [one for one in batch if not is_forgotten(one.metadata.session_id, one.files, forgotten)]
        with transaction(store.database):
            new = _add_all(store.database, known, name, number)
        read = Read(read.met + len(batch), read.new + new, read.forgotten + len(batch) - len(known))
    with transaction(store.database):
        if not keep_missing:
            store.database.execute("UPDATE examples SET stale = 1 WHERE folder = ? AND seen < ?", (name, number))
        values = (name, number, manifest)
        store.database.execute("INSERT OR REPLACE INTO imports (folder, number, manifest) VALUES (?, ?, ?)", values)
    return read


def is_forgotten(session: str, files: Sequence[str], forgotten: Collection[str]) -> bool:
    """Whether an example is of a session on the list, or was made of its transcript."""
    return session in forgotten or any(is_file_of(file, name) for file in files for name in forgotten)


def _add_all(database: sqlite3.Connection, batch: Sequence[Loaded], folder: str, number: int) -> int:
    """How many of the examples are new."""
    new = [one for one in batch if not _meet(database, one, folder, number)]
    # A dataset may hold the same text twice, and the second one is met then.
    places = {one.key: _add(database, one, folder, number) for one in {one.key: one for one in new}.values()}
    keys = list(places)
    turns = {one.key: one.turns for one in new}
    for key, bands in zip(keys, bands_of([turns[key] for key in keys]), strict=True):
        database.executemany("INSERT OR IGNORE INTO bands VALUES (?, ?)", [(band, places[key]) for band in bands])
    return len(places)


def _meet(database: sqlite3.Connection, one: Loaded, folder: str, number: int) -> bool:
    """Whether the store has the example already, or the one that a build made it of by a decision."""
    return bool(
        database.execute(
            "UPDATE examples SET stale = 0, folder = ?, seen = ?, split = ?, id = ?"
            " WHERE key = ? OR decision IN (SELECT id FROM decisions WHERE result = ?)",
            (folder, number, one.split, one.metadata.id, one.key, one.key),
        ).rowcount
    )


def _add(database: sqlite3.Connection, one: Loaded, folder: str, number: int) -> int:
    about = one.metadata
    values = {
        "key": one.key, "id": about.id, "role": about.role, "split": one.split, "source": about.source,
        "session": about.session_id, "files": "\n".join(one.files), "folder": folder, "tokens": about.tokens,
        "trained": about.trained_tokens, "quality": about.quality_score, "preview": one.preview, "seen": number,
    }  # fmt: skip
    names = ", ".join(values)
    query = f"INSERT INTO examples ({names}) VALUES ({', '.join('?' * len(values))})"
    place = int(database.execute(query, tuple(values.values())).lastrowid or 0)
    turns = msgspec.json.encode(one.turns).decode()
    database.execute("INSERT INTO texts VALUES (?, ?, ?)", (place, turns, msgspec.json.encode(one.about).decode()))
    if has_index(database):
        database.execute("INSERT INTO words (rowid, text) VALUES (?, ?)", (place, words_of(one.turns)))
    return place


def words_of(turns: Sequence[Turn]) -> str:
    """All that is said, called and returned, for the search. The system prompt is everybody's."""
    parts: list[str] = []
    for turn in turns:
        if turn.speaker != "system":
            parts += (*turn.results, turn.text, *(f"{call.name} {call.arguments}" for call in turn.calls))
    return "\n".join(parts)
