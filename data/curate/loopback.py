"""Keeps the page to this machine: it binds to the loopback only, and answers nobody whom another site sent.

What it shows are private sessions, and a request may decide something. So a request has to name this machine as its
host (a name of somebody else's that points here is refused), and whatever changes something has to come from the page
itself.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from typing import TYPE_CHECKING

from data.config import ConfigError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

NAMES = ("127.0.0.1", "localhost", "[::1]")
# The page loads its own files and nothing else; a text of an example can never run.
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
        " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cache-control": "no-store",
}


def check_host(host: str) -> str:
    """The address to bind to. Raises ConfigError where others could reach it."""
    try:
        if host == "localhost" or ipaddress.ip_address(host).is_loopback:
            return host
    except ValueError:
        pass
    raise ConfigError(f"--host {host}: the page shows private sessions and opens on this machine only. Use 127.0.0.1.")


class Loopback:
    """Middleware that refuses foreign hosts and origins, and sends the headers that keep the page alone."""

    def __init__(self, app: ASGIApp, names: Collection[str] = NAMES) -> None:
        self.app = app
        self.names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        from starlette.responses import PlainTextResponse

        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_closed(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *((k.encode(), v.encode()) for k, v in HEADERS.items())]
            await send(message)

        if problem := self._problem(scope):
            await PlainTextResponse(problem + "\n", 403)(scope, receive, send_closed)
        else:
            await self.app(scope, receive, send_closed)

    def _problem(self, scope: Scope) -> str:
        """Why a request is refused, or nothing."""
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        host = headers.get("host", "")
        if _name_of(host) not in self.names:
            return "This page answers on this machine only. Open it at http://127.0.0.1."
        if scope["method"] in ("GET", "HEAD"):
            return ""
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        if (origin == f"http://{host}" and site in (None, "same-origin")) or (origin is None and site == "same-origin"):
            return ""
        return "Decisions are taken from this page only. Open it and decide there."


def _name_of(host: str) -> str:
    """The host without its port."""
    name, _, port = host.rpartition(":")
    return name if name and port.isdigit() else host
