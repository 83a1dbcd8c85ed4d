"""What a killed command left is taken in or cleaned up by the next one, and `check` finds contradictions."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from deploy.adapter import Refusal, read_object
from deploy.registry import folders, records
from deploy.registry.database import transaction
from deploy.registry.lineage import LINEAGE, load


def recover(database: sqlite3.Connection, root: Path) -> None:
    """Put back what was being replaced, and take in folders without a row; nothing where all is as it should be."""
    adapters = root / "adapters"
    if not list(_left_over(database, adapters)):
        return
    with folders.locked(adapters):
        for replaced in adapters.glob(f"{folders.REPLACED}*/"):
            folders.put_back(replaced)
        for folder in _left_over(database, adapters):
            _adopt(database, folder)


def _left_over(database: sqlite3.Connection, adapters: Path) -> Iterator[Path]:
    """Adapters that were being replaced, and whole version folders that are in no row."""
    known = {(row["role"], row["number"]) for row in database.execute("SELECT role, number FROM versions")}
    yield from sorted(adapters.glob(f"{folders.REPLACED}*/"))
    for folder in folders.all_versions(adapters):
        if (folder.parent.name, int(folder.name[1:])) not in known and (folder / folders.VERSION_FILE).is_file():
            yield folder


def _adopt(database: sqlite3.Connection, folder: Path) -> None:
    """The row of a version whose command died between the two, or whose database is gone."""
    about = read_about(folder)
    if about is not None:
        with transaction(database):
            records.insert(database, about, load(folder / LINEAGE))


def read_about(folder: Path) -> records.About | None:
    """version.json of a folder that is as it says, else None."""
    try:
        about = read_object(folder / folders.VERSION_FILE)
        same = (about["role"], about["number"]) == (folder.parent.name, int(folder.name[1:]))
        return about if same and not list(folders.faults(folder, about["files"])) else None
    except (Refusal, OSError, KeyError, AttributeError):
        return None


def contradictions(database: sqlite3.Connection, root: Path) -> Iterator[str]:
    """Where database and folders say different things; one sentence each."""
    adapters = root / "adapters"
    (answer,) = database.execute("PRAGMA integrity_check").fetchone()
    if answer != "ok":
        yield f"The database is damaged ({answer}). Restore it from a copy."
    for version in records.versions(database, root):
        if wrong := list(folders.faults(version.folder, version.files)):
            yield f"{version.folder} is not as it was registered ({', '.join(wrong)}). Register the adapter again."
        elif read_about(version.folder) is None:
            yield f"{version.folder / folders.VERSION_FILE} does not describe its folder. Restore it from a copy."
    known = {version.folder for version in records.versions(database, root)}
    for folder in folders.all_versions(adapters):
        if folder not in known:
            yield f"{folder} is a version that nobody registered, and not whole. Delete it."
