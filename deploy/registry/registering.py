"""From an adapter folder to a version: copied beside its place, named, entered in the database; all or nothing."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from deploy.adapter import Refusal
from deploy.evidence import adapter_digest
from deploy.registry import folders, records
from deploy.registry.database import transaction
from deploy.registry.lineage import LINEAGE, Lineage, dump, lineage_of
from deploy.registry.training import read_run, role_of


def role_for(adapter: Path) -> str:
    """The role whose rows an adapter was trained on. Raises `Refusal` where nobody can tell."""
    folders.check_adapter(adapter)
    role = role_of(read_run(adapter))
    if role is None:
        raise Refusal(f"nobody can tell from {adapter} which role it was trained for. Say it: --role mayor.")
    return role


def find(database: sqlite3.Connection, adapter: Path, role: str) -> int | None:
    """The newest version that an adapter is already. Raises `Refusal` where it is no adapter, or that no role."""
    if not folders.ROLE.fullmatch(role):
        raise Refusal(f"'{role}' is not a role: a role is a lower-case name such as mayor.")
    folders.check_adapter(adapter)
    return records.number_of(database, role, adapter_digest(adapter))


def register(database: sqlite3.Connection, root: Path, adapter: Path, role: str, manifest: Path | None) -> int:
    """The number of the version that an adapter is now, or is already."""
    with folders.locked(root / "adapters"):
        number, lineage = find(database, adapter, role), lineage_of(adapter, root, manifest)
        if number is not None and (lineage.notes or not records.notes_of(database, role, number)):
            return number
        return _add(database, adapter, role, root / "adapters" / role, lineage)


def _add(database: sqlite3.Connection, adapter: Path, role: str, role_folder: Path, lineage: Lineage) -> int:
    """A new version under the lock of the folders; its number is chosen under that of the database."""
    known, run = records.describe(adapter, role, lineage), read_run(adapter)
    made = {LINEAGE: dump(lineage), **({folders.RECIPE: run.config.encode()} if run else {})}
    staged, files = folders.stage(adapter, role_folder, made)
    if adapter_digest(staged) != known["sha256"]:
        raise Refusal(f"{adapter} changed while it was copied. Wait until it is finished, and register it again.")
    with transaction(database):
        number = records.next_number(database, role, role_folder)
        about = {**known, "number": number, "files": files}
        folders.put_in_place(staged, number, about)
        records.insert(database, about, lineage)
    return number
