"""The HTTP parser of uvicorn with the limits that it lacks: a head has an end, comes in time, and errors are JSON."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from typing import Any, Final, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from deploy.serve.errors import ApiError, Scope

MOST_HEAD_BYTES = 32_768
HEAD_SECONDS = 10.0
HANG_UP = "forge.hang_up"
TOO_LARGE: Final = ApiError(431, f"The headers are larger than {MOST_HEAD_BYTES:,} bytes.", "headers_too_large")


class Guarded(HttpToolsProtocol):
    """A connection. The head of a request is counted and timed, from its first byte to its end."""

    _in_head = False
    _head_bytes = 0
    _late: asyncio.TimerHandle | None = None
    _fault: ApiError | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        was_in_head = self._in_head
        super().data_received(data)
        if not self._in_head or self.transport.is_closing():
            return
        self._head_bytes += len(data) if was_in_head else 0
        if self._head_bytes > MOST_HEAD_BYTES:
            self._refuse(TOO_LARGE)
        elif self._late is None:
            self._wait_for_head()

    def on_message_begin(self) -> None:
        self._in_head, self._head_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._stop_waiting()
        if sum(len(name) + len(value) for name, value in self.headers) + len(self.url) > MOST_HEAD_BYTES:
            self._fault = TOO_LARGE
            raise ValueError  # which the parser takes for a broken request
        cast(dict[str, Any], self.scope)[HANG_UP] = self.abort
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        self._refuse(self._fault or ApiError(400, msg, "invalid_http"))

    def abort(self) -> None:
        """For an answer that nobody reads. To close would wait until it is read, and even an aborted connection leaves
        megabytes with the kernel, which waits in our place; SO_LINGER of zero seconds throws them away."""
        with socket.socket(fileno=os.dup(self.transport.get_extra_info("socket").fileno())) as same:
            same.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def _wait_for_head(self) -> None:
        self._late = self.loop.call_later(HEAD_SECONDS, self._too_late)

    def _stop_waiting(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _too_late(self) -> None:
        if not self.transport.is_closing():
            self._refuse(ApiError(408, "The headers took too long.", "timeout"))

    def _refuse(self, error: ApiError) -> None:
        """The last answer of this connection. One that is under way was for an earlier request: it is cut off."""
        if self.cycle is None or self.cycle.response_complete:
            body = error.body()
            lines = [f"HTTP/1.1 {error.status} Refused", "content-type: application/json"]
            lines += [f"content-length: {len(body)}", "connection: close", "", ""]
            self.transport.write("\r\n".join(lines).encode() + body)
        self.transport.close()


async def hang_up(scope: Scope) -> None:
    """Ends the connection of a request at once; returns when uvicorn knows."""
    end: Any = scope.get(HANG_UP)
    if end is not None:
        end()
        await asyncio.sleep(0)
