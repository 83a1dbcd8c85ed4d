"""Keeps the judge's page to the people at this machine: loopback names only, and no form of another site's page.

A page whose own name resolves to 127.0.0.1 cannot hide that name in `Host`; what a browser sends on behalf of another
page carries `Origin` or `Sec-Fetch-Site`, which no page can take away.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

LOOPBACK = ("127.0.0.1", "localhost", "::1")
MOST_BYTES = 64 * 1024  # of a form
HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src data:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "cache-control": "no-store",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
}


class Guard:
    """An ASGI application around another one."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        problem = why_not(scope)
        if problem:
            body = problem.encode()
            await send(
                {"type": "http.response.start", "status": 403, "headers": _encoded({"content-type": "text/plain"})}
            )
            await send({"type": "http.response.body", "body": body})
            return

        async def sealed(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *_encoded({})]
            await send(message)

        await self._app(scope, receive, sealed)


def why_not(scope: Scope) -> str:
    """Why a request is not let in; empty where it is."""
    hosts, origins, sites = (_values(scope, name) for name in (b"host", b"origin", b"sec-fetch-site"))
    if len(hosts) != 1 or _name(hosts[0]) not in LOOPBACK:
        return "This page is for this machine: open it at 127.0.0.1 or localhost.\n"
    if any(site not in ("same-origin", "none") for site in sites) or any(o != f"http://{hosts[0]}" for o in origins):
        return "This came from another site's page.\n"
    lengths = _values(scope, b"content-length")
    if scope["method"] not in ("GET", "HEAD") and (len(lengths) != 1 or not _is_small(lengths[0])):
        return "This is no form of this page.\n"
    return ""


def _is_small(length: str) -> bool:
    return length.isdecimal() and len(length) < 10 and int(length) <= MOST_BYTES


def _name(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _values(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]


def _encoded(more: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in {**HEADERS, **more}.items()]
