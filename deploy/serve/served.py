"""What is known of a role that is served, and the registry as seen from the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from deploy.registry import Export, Promotion, Registry, RoleVersions, Version

Answer = TypeVar("Answer")


@dataclass
class Served:
    """A role. `lock` is held by whoever changes its versions; `live` is always in `loaded`."""

    role: str
    live: int | None = None
    previous: int | None = None
    promoted: int | None = None
    loaded: set[int] = field(default_factory=set)
    kept: int | None = None
    """what a change that is under way is about"""
    leaving: dict[int, asyncio.Task[None]] = field(default_factory=dict)
    """versions that are being unloaded"""
    problem: str = ""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def needed(self) -> set[int]:
        """What must not be unloaded, whether somebody uses it now or not."""
        return {number for number in (self.live, self.previous, self.kept) if number is not None}

    @contextmanager
    def keeping(self, number: int | None) -> Iterator[None]:
        """The version is not unloaded meanwhile, though nobody may have needed it before."""
        self.kept = number
        try:
            yield
        finally:
            self.kept = None

    def answering(self) -> list[int]:
        """The versions that take new requests, the live one first."""
        return [number for number in (self.live, self.previous) if number is not None and number in self.loaded]

    def name(self, number: int) -> str:
        return f"{self.role}@v{number}"


class Ask:
    """Questions to the registry, each in a thread with a connection of its own: none of them holds up an answer."""

    def __init__(self, root: Path) -> None:
        self._root = root

    async def roles(self) -> dict[str, RoleVersions]:
        return await self._of(lambda registry: {versions.role: versions for versions in registry.roles()})

    async def version(self, role: str, number: int) -> tuple[Version, Mapping[str, Export]]:
        return await self._of(lambda registry: (registry.version(role, number), registry.exports(role, number)))

    async def promote(self, role: str, number: int, by: str, force: bool, why: str) -> RoleVersions:
        """What is live and previous after the promotion. Raises `Refusal` where the gate says no."""
        return await self._changed(role, lambda registry: registry.promote(role, number, by=by, force=force, why=why))

    async def rollback(self, role: str, by: str, why: str) -> RoleVersions:
        return await self._changed(role, lambda registry: registry.rollback(role, by=by, why=why))

    async def _changed(self, role: str, change: Callable[[Registry], Promotion]) -> RoleVersions:
        def both(registry: Registry) -> RoleVersions:
            change(registry)
            return next(versions for versions in registry.roles() if versions.role == role)

        return await self._of(both)

    async def _of(self, question: Callable[[Registry], Answer]) -> Answer:
        def asked() -> Answer:
            with Registry.open(self._root) as registry:
                return question(registry)

        return await asyncio.to_thread(asked)
