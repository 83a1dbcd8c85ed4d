"""What the parts of the gateway say to each other: a version in use, a change of versions, an exchange.

`Fleet` is the side of the engine (fleet.py), `Recorder` that of the capture (capture.py); the HTTP side (app.py) knows
only these.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol


class UnknownModel(Exception):
    """No role, version or prefix has this name; the message is one sentence that lists what there is."""


class Unavailable(Exception):
    """The engine cannot answer now (it starts again, or nothing is live); `seconds` until another try makes sense."""

    def __init__(self, message: str, seconds: float = 1.0) -> None:
        super().__init__(message)
        self.seconds = seconds


@dataclass(frozen=True)
class Lease:
    """The version that answers one request from its first byte to its last, whatever is promoted meanwhile."""

    role: str
    version: int
    url: str
    """base URL of the engine, such as http://127.0.0.1:40123"""
    model: str
    """name of the version on the engine: mayor@v3"""
    headers: Mapping[str, str] = field(default_factory=dict)
    """what the engine wants to see, its own key among it; never shown to a client"""

    @property
    def name(self) -> str:
        """The name for clients: mayor@v3."""
        return f"{self.role}@v{self.version}"


@dataclass(frozen=True)
class RoleState:
    """What serves a role now. `promoted` is what the registry wants; `problem` says why it is not live."""

    role: str
    live: int | None
    previous: int | None
    promoted: int | None
    loaded: tuple[int, ...] = ()
    in_flight: Mapping[int, int] = field(default_factory=dict)
    """requests that are being answered, by version"""
    problem: str = ""


@dataclass(frozen=True)
class Change:
    """A switch that took place. `seconds` until new requests went to `version`, with loading and probing."""

    role: str
    version: int
    before: int | None
    seconds: float
    kind: str
    """reload or rollback"""


class Fleet(Protocol):
    """The versions that an engine holds, and which of them answers for each role.

    `restarts` counts how often the engine died and is up again. `reload` and `rollback` raise `deploy.adapter.Refusal`
    where the registry's gate or the probe says no; the old version stays live then.
    """

    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    def state(self) -> tuple[RoleState, ...]: ...
    def ready(self) -> bool: ...
    def restarts(self) -> int: ...
    def lease(self, model: str) -> AbstractContextManager[Lease]: ...
    async def reload(self, role: str, version: int, by: str, force: bool = False, why: str = "") -> Change: ...
    async def rollback(self, role: str, by: str, why: str = "") -> Change: ...


class Ending(StrEnum):
    """How an answer ended."""

    COMPLETE = "complete"
    INTERRUPTED = "interrupted"
    """the client went away, or the engine stopped in the middle"""
    FAILED = "failed"
    """there is no answer: refused by the engine, timed out"""


@dataclass(frozen=True)
class Exchange:
    """One request and what came back, as the gateway saw it; nothing in it is redacted yet."""

    at: str
    """UTC, ISO 8601"""
    role: str
    version: int
    key: str
    """the name of the key that asked, never the key"""
    request: Mapping[str, Any]
    answer: bytes
    """the body: JSON, or server-sent events where `streamed`"""
    streamed: bool
    ending: Ending
    status: int
    seconds: float
    first_byte_seconds: float | None = None


class Recorder(Protocol):
    """Takes exchanges without making anybody wait."""

    def note(self, exchange: Exchange) -> None: ...
    async def start(self) -> None: ...
    async def stop(self) -> None: ...
