"""Counts who is being answered by which version, so that none is taken out while it still speaks."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager


class Leases:
    """The requests in flight, by role and version. For one event loop."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, int]] = Counter()
        self._waiting: dict[tuple[str, int], asyncio.Event] = {}

    @contextmanager
    def held(self, role: str, version: int) -> Iterator[None]:
        key = (role, version)
        self._counts[key] += 1
        try:
            yield
        finally:
            self._counts[key] -= 1
            if not self._counts[key]:
                del self._counts[key]
                if (waiting := self._waiting.pop(key, None)) is not None:
                    waiting.set()

    def count(self, role: str, version: int) -> int:
        return self._counts[role, version]

    def of(self, role: str) -> Mapping[int, int]:
        """Requests in flight by version."""
        return {version: count for (owner, version), count in self._counts.items() if owner == role}

    async def drained(self, role: str, version: int) -> None:
        """Returns when nobody holds the version; true until the caller waits for something else."""
        while self._counts[role, version]:
            await self._waiting.setdefault((role, version), asyncio.Event()).wait()
