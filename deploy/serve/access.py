"""Who asks: the holder of a key, or a program on this machine.

No key is needed on this machine for what `make serve` is for, so "this machine" has to mean it. A peer address of
127.0.0.1 alone does not: a reverse proxy, and every web page in a browser on this machine, come from there as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from deploy.serve.config import is_loopback
from deploy.serve.errors import ApiError, Scope
from deploy.serve.key_line import Rate
from deploy.serve.keyring import KeyRing

# Whoever sets one of these speaks for somebody else. uvicorn is told not to believe them, and we only look for them.
FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via")
LOCAL = "local"


@dataclass(frozen=True)
class Caller:
    """Who asks, and what that one may do."""

    name: str
    """the key's name; `local` for programs on this machine without a key"""
    roles: frozenset[str] | None = None
    """None: all of them"""
    admin: bool = False
    rate: Rate | None = None
    streams: int | None = None

    def may_use(self, role: str) -> bool:
        return self.roles is None or role in self.roles


class Door:
    """Lets callers in, by the keys that count at that moment."""

    def __init__(self, keys: KeyRing) -> None:
        self._keys = keys

    def caller(self, scope: Scope) -> Caller:
        """Who may chat: a key, or this machine where no keys are set. Raises `ApiError` 401."""
        if (holder := self.holder(scope)) is not None:
            return holder
        if self._keys.required:
            raise ApiError(401, "A key is needed: Authorization: Bearer KEY.", "missing_api_key")
        if not is_this_machine(scope):
            raise ApiError(401, "Without a key only programs on the gateway's own machine get in.", "missing_api_key")
        return Caller(LOCAL, admin=True)

    def observer(self, scope: Scope) -> Caller:
        """Who may see numbers: any key, or this machine. Raises `ApiError` 401."""
        if (holder := self.holder(scope)) is not None:
            return holder
        if not is_this_machine(scope):
            raise ApiError(401, "A key is needed: Authorization: Bearer KEY.", "missing_api_key")
        return Caller(LOCAL, admin=True)

    def admin(self, scope: Scope) -> Caller:
        """Who may change what is live: an admin key, or this machine. Raises `ApiError` 401 or 403."""
        caller = self.observer(scope)
        if not caller.admin:
            raise ApiError(403, "This needs an admin key.", "not_an_admin")
        return caller

    def holder(self, scope: Scope) -> Caller | None:
        """The holder of the key in the request; None where it has none. A wrong key is 401, on this machine too.

        Where no keys are set, none is wrong: OpenAI's clients do not start without one, so people make one up.
        """
        presented = headers(scope, b"authorization")
        if not presented or not self._keys.required:
            return None
        kind, _, key = presented[0].partition(b" ")
        found = self._keys.find(key.strip()) if len(presented) == 1 and kind.lower() == b"bearer" else None
        if found is None:
            raise ApiError(401, "This key is not known here, or it was revoked.", "invalid_api_key")
        return Caller(found.name, found.roles, found.admin, found.rate, found.streams)


def is_this_machine(scope: Scope) -> bool:
    """Whether a program of this machine asks for itself: the peer is loopback, and nothing says that it is a messenger.

    The Host header has to be a loopback name as well: a page whose own name resolves to 127.0.0.1 (DNS rebinding) is to
    its browser the same origin as we are, but cannot hide its name. And what a browser sends because some other page
    told it to (CSRF) carries Origin or Sec-Fetch-Site, which no page can take away.
    """
    peer = scope.get("client")
    hosts = headers(scope, b"host")
    return (
        peer is not None
        and is_loopback(peer[0])
        and not any(headers(scope, name.encode()) for name in FORWARDED)
        and len(hosts) == 1
        and is_loopback(host_name(hosts[0]))
        and is_own_page(scope)
    )


def is_own_page(scope: Scope) -> bool:
    """Whether a browser, if it is one, sends this for a page of ours, or for an address that a person typed."""
    sites = headers(scope, b"sec-fetch-site")
    origins = headers(scope, b"origin")
    # Who ends TLS in front of us leaves the host as it is.
    ours = [scheme + host for host in headers(scope, b"host") for scheme in (b"http://", b"https://")]
    return all(site in (b"same-origin", b"none") for site in sites) and all(origin in ours for origin in origins)


def host_name(host: bytes) -> str:
    """The name in a Host header, without its port."""
    try:
        return urlsplit(f"//{host.decode('ascii')}").hostname or ""
    except ValueError:
        return ""


def headers(scope: Scope, name: bytes) -> list[bytes]:
    """All values of a header."""
    return [value for key, value in scope["headers"] if key == name]
