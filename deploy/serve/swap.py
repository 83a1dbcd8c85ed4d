"""Changes the live version of a role without a lost request: load, probe, promote, flip, drain, unload.

Whatever fails before the flip leaves the old version live. The one that was live before stays loaded, so that a
rollback is a flip; versions before that are unloaded when their last answer is complete.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any

from deploy.adapter import Refusal
from deploy.registry import RoleVersions
from deploy.serve.backend import Backend
from deploy.serve.leases import Leases
from deploy.serve.served import Ask, Served
from deploy.serve.types import Change, Unavailable

log = logging.getLogger("deploy.serve")
# What an engine says when it cannot.
CANNOT = (Refusal, Unavailable)


class Swap:
    """The steps of a change. `moved` is called after each flip, `spawn` runs what nobody waits for."""

    def __init__(
        self,
        backend: Backend,
        leases: Leases,
        ask: Ask,
        moved: Callable[[], None],
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
    ) -> None:
        self._backend = backend
        self._leases = leases
        self._ask = ask
        self._moved = moved
        self._spawn = spawn

    async def reload(self, served: Served, number: int, by: str, force: bool, why: str) -> Change:
        """Makes a registered version live. Raises `Refusal`; then the old one is still live and the new one is gone."""
        async with served.lock:
            start, before = time.monotonic(), served.live
            try:
                with served.keeping(number):
                    await self._load(served, number)
                    self._flip(served, await self._ask.promote(served.role, number, by, force, why))
            except BaseException:
                self._drain(served)
                raise
            return Change(served.role, number, before, time.monotonic() - start, "reload")

    async def rollback(self, served: Served, by: str, why: str) -> Change:
        """Back to the version that was live before. Raises `Refusal` where there is none, or it does not answer."""
        async with served.lock:
            start, before = time.monotonic(), served.live
            known = (await self._ask.roles()).get(served.role)
            back = known.previous if known is not None else None
            with served.keeping(back):
                if back is not None:
                    await self._load(served, back)
                versions = await self._ask.rollback(served.role, by, why)
                if versions.live is not None:
                    await self._load(served, versions.live)  # there already, unless another process was faster
                self._flip(served, versions)
            self._spawn(self.settle(served))
            return Change(served.role, served.live or 0, before, time.monotonic() - start, "rollback")

    async def settle(self, served: Served) -> None:
        """Brings a role to what the registry says now, as far as the engine can; what it cannot is in `problem`."""
        async with served.lock:
            versions = (await self._ask.roles()).get(served.role)
            if versions is None or versions.live is None:
                return
            served.promoted = versions.live
            problem = await self._try(served, versions.live)
            if not problem:
                self._flip(served, versions)
            if versions.previous is not None and (fault := await self._try(served, versions.previous)):
                problem = problem or fault
            elif served.live is None and versions.previous is not None:
                # Nothing has answered yet, and the promoted one cannot: better the one before than nobody.
                served.live = versions.previous
            served.problem = problem
            self._moved()
            self._drain(served)

    async def _try(self, served: Served, number: int) -> str:
        """Why a version cannot be loaded; nothing where it is."""
        try:
            await self._load(served, number)
        except CANNOT as fault:
            return str(fault)
        return ""

    async def _load(self, served: Served, number: int) -> None:
        """Returns when a version is loaded and has answered. Raises `Refusal` or `Unavailable`; it is gone then."""
        if number in served.loaded:
            return
        if (leaving := served.leaving.get(number)) is not None:
            await asyncio.wait([leaving])
        artefact = self._backend.artefact(*await self._ask.version(served.role, number))
        try:
            await self._backend.ensure(artefact)
            await self._backend.probe(artefact.name)
            served.loaded.add(number)
        except BaseException:
            with contextlib.suppress(*CANNOT):
                await self._backend.unload(artefact.name)
            raise

    def _flip(self, served: Served, versions: RoleVersions) -> None:
        """From here on new requests go to the live version; those that run stay where they are."""
        served.live, served.previous, served.promoted = versions.live, versions.previous, versions.live
        served.problem = ""
        self._moved()
        self._drain(served)

    def _drain(self, served: Served) -> None:
        for number in served.loaded - served.needed - set(served.leaving):
            served.leaving[number] = self._spawn(self._leave(served, number))

    async def _leave(self, served: Served, number: int) -> None:
        """Unloads a version after its last answer, unless it is needed again by then."""
        try:
            await self._leases.drained(served.role, number)
            if number in served.needed:
                return
            served.loaded.discard(number)
            await self._backend.unload(served.name(number))
        except CANNOT as fault:
            log.warning("%s stays on the engine: %s", served.name(number), fault)
        finally:
            del served.leaving[number]
