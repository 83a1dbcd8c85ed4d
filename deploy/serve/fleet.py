"""The versions that an engine holds, and which of them answers: follows the registry, swaps without a lost request.

`open_fleet(config, root, prefix, packs)` makes the one of the gateway. Only the live version of a role and the one
before it are loaded. The registry alone says what is promoted; what other processes promote or roll back is followed in
a second.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

from deploy.adapter import Refusal
from deploy.engine import find_server
from deploy.registry import Registry
from deploy.serve.backend import Backend
from deploy.serve.engine_config import EngineConfig, LlamaServer
from deploy.serve.leases import Leases
from deploy.serve.names import NO_PACKS, names, unknown
from deploy.serve.served import Ask, Served
from deploy.serve.stopping import ended
from deploy.serve.swap import CANNOT, Swap
from deploy.serve.types import Change, Lease, RoleState, Unavailable

log = logging.getLogger("deploy.serve")
Result = TypeVar("Result")
# How often the registry and the engine are looked at, and how often a version that could not be loaded is tried again.
EVERY: Final = 1.0  # seconds
TRY_AGAIN: Final = 30.0  # seconds


def open_fleet(config: EngineConfig, root: Path, prefix: str, packs: Mapping[str, str] = NO_PACKS) -> EngineFleet:
    """The fleet of the engine that the configuration names; `start` has yet to be called. Raises `Refusal`."""
    if isinstance(config, LlamaServer):
        from deploy.serve.llama_router import LlamaRouter

        server = find_server()
        if server is None:
            raise Refusal("There is no llama-server here. Build it once (make engine), or name one in LLAMA_SERVER.")
        return EngineFleet(LlamaRouter(config, server, root / "serve"), root, prefix, config.loads_at_once, packs)
    from deploy.serve.vllm import Vllm

    return EngineFleet(Vllm(config, root), root, prefix, config.loads_at_once, packs)


class EngineFleet:
    """`types.Fleet` on one engine. For one event loop, which nothing here holds up."""

    def __init__(
        self,
        backend: Backend,
        root: Path,
        prefix: str,
        loads_at_once: int = 4,
        packs: Mapping[str, str] = NO_PACKS,
    ) -> None:
        self._backend = backend
        self._root = root
        self._prefix, self._packs = prefix, packs
        self._roles: dict[str, Served] = {}
        self._names: dict[str, tuple[str, int]] = {}
        self._leases = Leases()
        self._ask = Ask(root)
        self._swap = Swap(backend, self._leases, self._ask, self._moved, self._spawn)
        self._at_once = asyncio.Semaphore(loads_at_once)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._registry: Registry | None = None

    async def start(self) -> None:
        """Starts the engine and loads every role; one that cannot be loaded says so in its state. Raises `Refusal`."""
        self._registry = Registry.open(self._root)
        await self._backend.start()
        changes = self._registry.change_count()
        await self._settle(everything=True)
        self._spawn(self._follow(self._registry, changes))

    async def stop(self) -> None:
        await ended(self._tasks)
        await self._backend.stop()
        if self._registry is not None:
            self._registry.close()

    def state(self) -> tuple[RoleState, ...]:
        return tuple(
            RoleState(
                role.role, role.live, role.previous, role.promoted,
                tuple(sorted(role.loaded)), self._leases.of(role.role), role.problem,
            )
            for _, role in sorted(self._roles.items())
        )  # fmt: skip

    def ready(self) -> bool:
        """Whether the engine is up and at least one role answers."""
        with contextlib.suppress(Unavailable):
            self._backend.address()
            return any(role.live is not None for role in self._roles.values())
        return False

    def restarts(self) -> int:
        return self._backend.restarts()

    @contextmanager
    def lease(self, model: str) -> Iterator[Lease]:
        """The version that `model` means now; it stays loaded until the end. Raises `UnknownModel`, `Unavailable`."""
        role, number = self._meant(model)
        address = self._backend.address()
        with self._leases.held(role, number):
            yield Lease(role, number, address.url, f"{role}@v{number}", address.headers)

    async def reload(self, role: str, version: int, by: str, force: bool = False, why: str = "") -> Change:
        """Makes a registered version live. It is carried through even where nobody waits for it any longer."""
        if role not in self._roles:
            await self._ask.version(role, version)  # a Refusal where there is no such thing
        served = self._roles.setdefault(role, Served(role))
        return await self._carried_through(self._swap.reload(served, version, by, force, why))

    async def rollback(self, role: str, by: str, why: str = "") -> Change:
        """Back to the version that was live before."""
        if role not in self._roles:
            raise Refusal(
                f"{role[:80]!r} is not served here; these roles are: {', '.join(sorted(self._roles)) or 'none'}."
            )
        return await self._carried_through(self._swap.rollback(self._roles[role], by, why))

    def _meant(self, model: str) -> tuple[str, int]:
        if (meant := self._names.get(model)) is not None:
            return meant
        if (served := self._roles.get(model)) is not None and served.problem:
            raise Unavailable(f"No version of {model} answers: {served.problem}", TRY_AGAIN)
        raise unknown(model, dict.fromkeys(self._names.values()))

    def _moved(self) -> None:
        """A role has other versions: so have its names."""
        self._names = {
            name: meant
            for role, served in sorted(self._roles.items())
            if served.live is not None
            for name, meant in names(role, served.live, served.answering(), self._prefix, self._packs)
        }

    async def _follow(self, registry: Registry, changes: int) -> None:
        """Once a second: what others changed in the registry, and what the engine lost."""
        tried = time.monotonic()
        while True:
            await asyncio.sleep(EVERY)
            try:
                with contextlib.suppress(*CANNOT):
                    await self._backend.check()
                again = time.monotonic() - tried > TRY_AGAIN
                if (now := registry.change_count()) != changes or again:
                    changes, tried = now, time.monotonic() if again else tried
                    await self._settle(everything=again)
            except Exception:  # one bad second must not end the following
                log.exception("the registry could not be followed; the next second tries again")

    async def _settle(self, everything: bool) -> None:
        """Brings all roles to what the registry says; those that agree with it only where `everything` is asked for."""
        try:
            roles = await self._ask.roles()
        except Refusal as fault:
            log.warning("the registry cannot be read: %s", fault)
            return
        differ = []
        for role, versions in roles.items():
            served = self._roles.get(role)
            if versions.live is not None and (
                everything or served is None or (served.live, served.previous) != (versions.live, versions.previous)
            ):
                differ.append(self._roles.setdefault(role, Served(role)))
        await asyncio.gather(*map(self._settle_one, differ))

    async def _settle_one(self, served: Served) -> None:
        async with self._at_once:
            await self._swap.settle(served)
        if served.problem:
            log.warning("%s: %s", served.role, served.problem)

    def _spawn(self, work: Coroutine[Any, Any, Result]) -> asyncio.Task[Result]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _carried_through(self, work: Coroutine[Any, Any, Result]) -> Result:
        return await asyncio.shield(self._spawn(work))
