"""The registry as an object: `Registry.open(root)` reads and changes `<root>/registry.db` and the version folders.

Several processes may do so at once, and any of them may be killed: the folder of a version is in place before its row,
and whoever opens the registry next takes in what a dead one left. One object belongs to one thread.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from deploy.adapter import Refusal
from deploy.registry import exports, folders, gate, history, judging, records, recovery, registering
from deploy.registry.database import connect, transaction
from deploy.registry.forgotten import names_in
from deploy.registry.values import Evaluation, Export, Promotion, RoleVersions, Version


class Registry:
    """Versions, their evaluations, and what is live."""

    def __init__(self, root: Path, database: sqlite3.Connection) -> None:
        self.root = root
        self._database = database

    @classmethod
    def open(cls, root: Path) -> Registry:
        """The registry below `root`, made where there is none. Raises `Refusal`."""
        registry = cls(root, connect(root))
        recovery.recover(registry._database, root)
        return registry

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    def __enter__(self) -> Registry:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def adapters(self) -> Path:
        """The folder of adapters and versions."""
        return self.root / "adapters"

    def register(
        self, adapter: Path, role: str | None = None, results: Sequence[Path] = (), manifest: Path | None = None
    ) -> Version:
        """The adapter in this folder as a version: a new one, or the one that it is already.

        An adapter whose sessions were not known, and now are, is a new version. `results` are those of the base and
        of the adapter, which are judged at once. Raises `Refusal`.
        """
        if len(results) not in (0, 2):
            raise Refusal("results come in pairs: those of the base, then those of the adapter.")
        role = role or registering.role_for(adapter)
        number = registering.register(self._database, self.root, adapter, role, manifest)
        if results:
            base_results, adapter_results = results
            self.attach_evaluation(role, number, base_results, adapter_results)
        return self.version(role, number)

    def find(self, adapter: Path, role: str | None = None) -> Version | None:
        """The newest version that the adapter in a folder is already. Raises `Refusal` where it is none."""
        role = role or registering.role_for(adapter)
        number = registering.find(self._database, adapter, role)
        return None if number is None else self.version(role, number)

    def roles(self) -> tuple[RoleVersions, ...]:
        """Every role that has versions, by name."""
        return history.roles(self._database)

    def live(self, role: str) -> int:
        """The version that is live. Raises `Refusal` where none is."""
        return history.live(self._database, role)

    def version(self, role: str, number: int) -> Version:
        """One version. Raises `Refusal` where there is none."""
        for version in records.versions(self._database, self.root, role):
            if version.number == number:
                return version
        there = ", ".join(f"v{version.number}" for version in self.versions(role)) or "none"
        raise Refusal(
            f"{role} has no version {number} (there: {there}). Register one: python -m deploy.registry register."
        )

    def versions(self, role: str | None = None) -> tuple[Version, ...]:
        """All versions, or those of one role, the oldest first."""
        return tuple(records.versions(self._database, self.root, role))

    def attach_evaluation(
        self, role: str, number: int, base_results: Path, adapter_results: Path, margin: float | None = None
    ) -> Evaluation:
        """Lets the gate judge a version on these results, and keeps both with what it said. Raises `Refusal`."""
        version = self.version(role, number)
        judged = judging.judge(self.root, version, base_results, adapter_results, margin)
        with transaction(self._database):
            records.insert_evaluation(self._database, version, judged)
        evaluation = self.version(role, number).evaluation
        assert evaluation is not None
        return evaluation

    def reasons_against(self, role: str, number: int) -> tuple[str, ...]:
        """All that speaks against a promotion, each with its fix; nothing if it may go live."""
        version = self.version(role, number)
        sessions, transcripts = records.lineage(self._database, version)
        return tuple(gate.reasons_against(version, sessions, transcripts, self.root))

    def promote(self, role: str, number: int, *, by: str, force: bool = False, why: str = "") -> Promotion:
        """Makes a version live. Raises `Refusal` with every reason against it, which `force` overrules and records."""
        if force and not why.strip():
            raise Refusal("a gate is overruled for a reason, which is recorded. Say it: --why TEXT.")
        with folders.locked(self.adapters), transaction(self._database):
            version = self.version(role, number)
            if reasons := self.reasons_against(role, number):
                if not force:
                    raise Refusal("\n".join(reasons))
                folders.check_adapter(version.folder)
            return history.promote(self._database, version, by, why, reasons)

    def rollback(self, role: str, *, by: str, why: str = "") -> Promotion:
        """Back to the version that was live before. Raises `Refusal` where there is none, or its files are gone.

        Whatever else speaks against that version is recorded and does not hold it up: this is for emergencies.
        """
        with folders.locked(self.adapters), transaction(self._database):
            number = history.previous(self._database, role)
            reasons = self.reasons_against(role, number)
            folders.check_adapter(self.version(role, number).folder)
            return history.rollback(self._database, role, by, why, reasons)

    def history(self, role: str | None = None) -> tuple[Promotion, ...]:
        """Every promotion and rollback, the oldest first."""
        return tuple(history.promotions(self._database, role))

    def change_count(self) -> int:
        """A number that differs from the last one where another process changed something meanwhile."""
        return int(self._database.execute("PRAGMA data_version").fetchone()[0])

    def add_export(
        self, role: str, number: int, kind: str, path: Path, base: Path | None, report: Mapping[str, Any]
    ) -> Export:
        """Notes a version in another format, with its hash and size."""
        version, measured = self.version(role, number), exports.measure(path)
        needed = None if base is None else self._stored(base)
        with transaction(self._database):
            exports.insert(self._database, version, kind, self._stored(path), needed, measured, report)
        return self.exports(role, number)[kind]

    def exports(self, role: str, number: int) -> dict[str, Export]:
        """The newest export of each kind."""
        version = self.version(role, number)
        found = exports.newest(self._database, version)
        return {kind: replace(e, path=self._found(e.path), base=e.base and self._found(e.base)) for kind, e in found}

    def _stored(self, path: Path) -> str:
        """Relative to the root where it lies below, so that the root may move."""
        whole, root = path.resolve(), self.root.resolve()
        return str(whole.relative_to(root)) if whole.is_relative_to(root) else str(whole)

    def _found(self, stored: Path) -> Path:
        return self.root / stored

    def sessions_of(self, role: str, number: int) -> Mapping[str, int]:
        """The sessions that a version learned from, with how many rows of each."""
        return records.lineage(self._database, self.version(role, number))[0]

    def holding(self, session: str) -> tuple[Version, ...]:
        """The versions that learned from a session, or from rows that show its transcript."""
        return tuple(self._holding(session))

    def _holding(self, session: str) -> Iterator[Version]:
        for version in self.versions():
            sessions, transcripts = records.lineage(self._database, version)
            if session in sessions or any(session in names_in(file) for file in transcripts):
                yield version

    def check(self) -> tuple[str, ...]:
        """Contradictions between database and folders; one sentence each."""
        with folders.locked(self.adapters):
            return tuple(recovery.contradictions(self._database, self.root))
