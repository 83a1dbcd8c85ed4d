"""How the gateway talks to the engine: httpx over a transport of our own.

httpx's usual one parses HTTP in Python, which was three quarters of all that a streamed answer cost the gateway
(measured: 221 microseconds per part, 51 without it). This one reads what the socket has and leaves the parsing to
httptools, in C, which uvicorn needs as well. It makes one connection per request: an idle one that is kept holds a
thread of llama-server, and may be closed by the engine in the very moment in which the next request is written to it.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator

import httptools
import httpx

READ_BYTES = 65536
MOST_HEADER_BYTES = 65536


def engine_client(connect_seconds: float) -> httpx.AsyncClient:
    """The client for all requests to engines. Only connecting has a time limit here; the proxy has the others."""
    return httpx.AsyncClient(
        transport=EngineLink(), timeout=httpx.Timeout(None, connect=connect_seconds), trust_env=False
    )


class EngineLink(httpx.AsyncBaseTransport):
    """HTTP/1.1, one request per connection. Raises `httpx.ConnectError`, `ConnectTimeout` and `ReadError`."""

    def __init__(self) -> None:
        self._tls = ssl.create_default_context()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        reader, writer = await self._connect(request)
        answer = Answer(reader, writer)
        try:
            writer.write(head_of(request) + await request.aread())
            await writer.drain()
            await answer.read_head()
        except OSError as problem:
            await answer.aclose()
            raise httpx.ReadError(str(problem)) from problem
        except BaseException:
            await answer.aclose()
            raise
        return httpx.Response(answer.status, headers=answer.headers, stream=answer)

    async def _connect(self, request: httpx.Request) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        url, seconds = request.url, request.extensions.get("timeout", {}).get("connect")
        tls = self._tls if url.scheme == "https" else None
        port = url.port or (443 if tls else 80)
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.open_connection(url.host, port, ssl=tls, limit=READ_BYTES)
        except TimeoutError:
            raise httpx.ConnectTimeout("the engine takes no connection") from None
        except OSError as problem:
            raise httpx.ConnectError(str(problem)) from problem


def head_of(request: httpx.Request) -> bytes:
    """The first lines of the request; httpx has checked every header for line breaks."""
    lines = [b"%s %s HTTP/1.1" % (request.method.encode(), request.url.raw_path)]
    lines += [name + b": " + value for name, value in request.headers.raw if name.lower() != b"connection"]
    return b"\r\n".join([*lines, b"Connection: close", b"", b""])


class Answer(httpx.AsyncByteStream):
    """An answer as it arrives. `httptools` calls the methods that begin with `on_`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self._reader, self._writer = reader, writer
        self._parser = httptools.HttpResponseParser(self)
        self._parts: list[bytes] = []
        self._header_bytes = 0
        self._has_head = self._complete = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        self._has_head = self.status >= 200
        if not self._has_head:
            self.headers.clear()

    def on_body(self, body: bytes) -> None:
        self._parts.append(body)

    def on_message_complete(self) -> None:
        self._complete = self._has_head

    async def read_head(self) -> None:
        """Returns when status and headers are there; raises `httpx.ReadError` where they never come."""
        while not self._has_head:
            size = await self._more()
            self._header_bytes += size
            if self._header_bytes > MOST_HEADER_BYTES and not self._has_head:
                raise httpx.ReadError("the engine's headers have no end")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """The body without its framing, all that a read of the socket brought in one part."""
        while True:
            if self._parts:
                part = b"".join(self._parts)
                self._parts.clear()
                yield part
            if self._complete:
                return
            await self._more()

    async def _more(self) -> int:
        """Reads once; raises `httpx.ReadError` where the engine broke off or speaks something else."""
        try:
            data = await self._reader.read(READ_BYTES)
            if data:
                self._parser.feed_data(data)
            elif self._ends_with_connection():
                self._complete = True
            else:
                raise httpx.ReadError("the engine closed the connection in the middle")
        except (OSError, httptools.HttpParserError) as problem:
            raise httpx.ReadError(str(problem)) from problem
        return len(data)

    def _ends_with_connection(self) -> bool:
        """Whether the end of the connection is the end of the body, as no header says how long it is."""
        framed = (b"content-length", b"transfer-encoding")
        return self._has_head and not any(name.lower() in framed for name, _ in self.headers)

    async def aclose(self) -> None:
        """Hangs up at once. An engine takes that as the wish to stop computing."""
        self._writer.transport.abort()
