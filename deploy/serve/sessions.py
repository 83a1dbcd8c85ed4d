"""Who looks at the status page: this machine, an admin key in a header, or a browser that logged in with one.

A browser gets a random id in a cookie; everything else about its session stays here and ends with the gateway. A key
that is revoked ends its sessions.
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from deploy.serve.access import Caller, Door, headers
from deploy.serve.errors import ApiError, Scope
from deploy.serve.keyring import KeyRing

COOKIE = "forge_session"
LASTS = 8 * 3600.0  # seconds from the login on
ATTEMPTS = 5  # wrong keys from one address in a minute; keys cannot be guessed, this only keeps noise away
ATTEMPTS_OF_ALL = 60
_MINUTE = 60.0
_MOST = 200  # sessions


class TooMany(Exception):
    """Too many wrong keys came lately."""


@dataclass(frozen=True)
class Session:
    """A browser that logged in. The key is kept to see whether it still counts, and shown to nobody."""

    key: bytes = field(repr=False)
    ends: float


@dataclass(frozen=True)
class Visitor:
    """An admin who looks at the page. `token` has to come with each form; `session` is empty without a login."""

    caller: Caller
    token: str
    session: str = ""


class Sessions:
    """The browsers that are logged in."""

    def __init__(self, door: Door, keys: KeyRing, clock: Callable[[], float] = time.monotonic) -> None:
        self._door = door
        self._keys = keys
        self._clock = clock
        self._secret = secrets.token_bytes(32)
        self._open: dict[str, Session] = {}
        self._wrong: dict[str, deque[float]] = {}

    def visitor(self, scope: Scope) -> Visitor | None:
        """The admin who asks, or nobody. A session goes before what the door says of the address."""
        session = self._cookie(scope)
        if (caller := self._caller(session)) is not None:
            return Visitor(caller, self._token(session), session)
        try:
            return Visitor(self._door.admin(scope), self._token(""))
        except ApiError:
            return None

    def is_from_page(self, visitor: Visitor, token: str) -> bool:
        """Whether a form that was sent is one that we gave this visitor."""
        return hmac.compare_digest(visitor.token.encode(), token.encode("utf-8", "replace"))

    def log_in(self, key: str, address: str) -> str:
        """The id of a new session; empty where this is no admin key. Raises `TooMany`."""
        self._refuse_many(address)
        presented = key.strip().encode("utf-8", "replace")
        found = self._keys.find(presented)
        if found is None or not found.admin:
            self._remember(address)
            return ""
        self._forget_old()
        name = secrets.token_urlsafe(32)
        self._open[name] = Session(presented, self._clock() + LASTS)
        return name

    def log_out(self, visitor: Visitor) -> None:
        self._open.pop(visitor.session, None)

    def _caller(self, session: str) -> Caller | None:
        found = self._open.get(session)
        if found is None:
            return None
        key = self._keys.find(found.key)
        if self._clock() >= found.ends or key is None or not key.admin:
            del self._open[session]
            return None
        return Caller(key.name, key.roles, admin=True)

    def _token(self, session: str) -> str:
        return hmac.new(self._secret, session.encode(), "sha256").hexdigest()

    def _cookie(self, scope: Scope) -> str:
        for line in headers(scope, b"cookie"):
            for part in line.decode("latin-1").split(";"):
                name, _, value = part.strip().partition("=")
                if name == COOKIE:
                    return value
        return ""

    def _forget_old(self) -> None:
        """Sessions that have ended go; where there are too many, the oldest."""
        now = self._clock()
        self._open = {name: session for name, session in self._open.items() if session.ends > now}
        while len(self._open) >= _MOST:
            del self._open[next(iter(self._open))]

    def _refuse_many(self, address: str) -> None:
        now = self._clock()
        for name, times in list(self._wrong.items()):
            while times and now - times[0] > _MINUTE:
                times.popleft()
            if not times:
                del self._wrong[name]
        of_all = sum(map(len, self._wrong.values()))
        if len(self._wrong.get(address, ())) >= ATTEMPTS or of_all >= ATTEMPTS_OF_ALL:
            raise TooMany

    def _remember(self, address: str) -> None:
        self._wrong.setdefault(address, deque()).append(self._clock())
