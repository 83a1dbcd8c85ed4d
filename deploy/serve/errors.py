"""Errors as OpenAI's clients expect them: {"error": {"message", "type", "param", "code"}}, and nothing else in them.

What others said (the engine, the registry) passes `clean` before a client sees it: no address and no folder of this
machine.
"""

from __future__ import annotations

import math
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Any

import msgspec

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

# What OpenAI's API calls the kinds; the Python client chooses its exception by the status alone.
TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    429: "rate_limit_error",
}
URL = re.compile(r"\b[a-z][a-z+]*://\S+", re.IGNORECASE)
ABSOLUTE_PATH = re.compile(r"(?<![\w.~-])~?/(?:[^\s/:,;'\"()]+/)+(?=[^\s/:,;'\"()]*)|[A-Za-z]:\\(?:[^\s\\]+\\)+")


class ApiError(Exception):
    """An answer that is no success. `message` is for the client; `retry`: seconds until another try."""

    def __init__(
        self, status: int, message: str, code: str | None = None, param: str | None = None, retry: float | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.param, self.retry = status, message, code, param, retry

    def body(self) -> bytes:
        """The JSON object for the client."""
        kind = TYPES.get(self.status, "server_error" if self.status >= 500 else "invalid_request_error")
        return msgspec.json.encode(
            {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}
        )

    def headers(self) -> dict[str, str]:
        found = {} if self.retry is None else {"retry-after": str(max(1, math.ceil(self.retry)))}
        return found | ({"www-authenticate": "Bearer"} if self.status == 401 else {})


def clean(text: str) -> str:
    """A sentence of somebody else for a client: one line of at most 600 characters, of a path only the last part."""
    line = " ".join(URL.sub("(address)", text).split())
    return ABSOLUTE_PATH.sub("", line)[:600]


async def send_error(send: Send, error: ApiError, headers: Mapping[str, str] | None = None) -> None:
    await send_json(send, error.status, error.body(), error.headers() | dict(headers or {}))


async def send_json(send: Send, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
    """A whole answer in JSON; nobody may keep it, as it is for one key alone."""
    given = {"content-type": "application/json", "content-length": str(len(body)), "cache-control": "no-store"}
    await send(
        {"type": "http.response.start", "status": status, "headers": encoded((given | dict(headers or {})).items())}
    )
    await send({"type": "http.response.body", "body": body})


def encoded(headers: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
