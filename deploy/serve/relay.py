"""One request on its way to the version that answers it, and the answer on its way back."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from deploy.serve.errors import ApiError, Send, clean, encoded, send_error, send_json
from deploy.serve.presence import Presence
from deploy.serve.types import Ending, Exchange, Lease

if TYPE_CHECKING:
    import httpx

DONE = b"data: [DONE]"
ERROR = b'data: {"error"'
TAIL_BYTES = 8192  # usage and [DONE] stand in the last parts
MOST_BYTES = 16 * 2**20  # of an answer that is kept, or that comes in one piece
RETRY = 1.0  # seconds
# What llama-server's router says, as a 500, until it sees that a child is gone. No model has seen the request.
NOT_TAKEN = "Could not establish connection"


class Answered:
    """The parts of an answer: all of them where it is to be kept, else the last ones."""

    def __init__(self, keep: bool) -> None:
        self.whole = keep
        self._parts: deque[bytes] = deque()
        self._size = 0

    def add(self, part: bytes) -> None:
        self._parts.append(part)
        self._size += len(part)
        self.whole = self.whole and self._size <= MOST_BYTES
        while not self.whole and self._size - len(self._parts[0]) >= TAIL_BYTES:
            self._size -= len(self._parts.popleft())

    def bytes(self) -> bytes:
        return b"".join(self._parts)


class Relay:
    """`run` passes the request on and the answer back; `exchange` says afterwards what took place."""

    def __init__(
        self,
        request: Mapping[str, Any],
        send: Send,
        engine: httpx.AsyncClient,
        headers: dict[str, str],
        keep: bool,
        sampling: Mapping[str, Mapping[str, Any]],
    ) -> None:
        """`sampling` is, by role, what is asked of the engine where the request does not say it."""
        self.model: str = request["model"]
        self.lease: Lease | None = None
        self.gone = False
        """the client hung up"""
        self.stalled = False
        """the client does not read, or did not when the time was over"""
        self._request, self._send, self._engine, self._headers = request, send, engine, headers
        self._sampling = sampling
        self._streamed = request.get("stream") is True
        self._answer = Answered(keep)
        self._started = self._ended = False
        self._at, self._clock = datetime.now(UTC), time.perf_counter()
        self._first_byte: float | None = None

    async def run(self, lease: Lease, presence: Presence) -> None:
        """The whole exchange with the engine; raises `ApiError` where it fails, before or after the first byte."""
        import httpx

        self.lease = lease
        self._headers["x-forge-model"] = lease.name
        body = msgspec.json.encode({**self._sampling.get(lease.role, {}), **self._request, "model": lease.model})
        headers = {"content-type": "application/json", **lease.headers}
        presence.asked(self._streamed)
        try:
            async with self._engine.stream(
                "POST", f"{lease.url}/v1/chat/completions", content=body, headers=headers
            ) as reply:
                if reply.status_code != 200:
                    raise refusal(reply.status_code, await beginning(reply))
                await (self._stream(reply, presence) if self._streamed else self._pass_whole(reply))
        except (httpx.ConnectError, httpx.ConnectTimeout):
            raise ApiError(
                503, "The engine takes no requests now; it may be starting.", "unavailable", retry=RETRY
            ) from None
        except httpx.HTTPError:
            raise ApiError(502, "The engine broke off.", "engine_error") from None

    async def _stream(self, reply: httpx.Response, presence: Presence) -> None:
        """Every part at once. The next is read when the client has taken this one, so a slow one slows the engine."""
        async for part in reply.aiter_raw():
            if not self._started:
                presence.began()
                await self._begin("text/event-stream; charset=utf-8")
            self._answer.add(part)
            self.stalled = True
            await self._send({"type": "http.response.body", "body": part, "more_body": True})
            self.stalled = False
            presence.moved()
        if DONE not in self._answer.bytes():
            raise ApiError(502, "The engine broke off.", "engine_error")
        await self._send({"type": "http.response.body", "body": b""})
        self._ended = True

    async def _begin(self, kind: str) -> None:
        self._started, self._first_byte = True, time.perf_counter() - self._clock
        headers = {"content-type": kind, "cache-control": "no-store", "x-accel-buffering": "no", **self._headers}
        await self._send({"type": "http.response.start", "status": 200, "headers": encoded(headers.items())})

    async def _pass_whole(self, reply: httpx.Response) -> None:
        """An answer in one piece is read to its end first, so that half of one is never sent as if it were whole."""
        parts, size = [], 0
        async for part in reply.aiter_raw():
            self._first_byte = self._first_byte or time.perf_counter() - self._clock
            parts.append(part)
            size += len(part)
            if size > MOST_BYTES:
                raise ApiError(502, "The engine's answer has no end.", "engine_error")
        self._answer.add(b"".join(parts))
        self._started = True
        await send_json(self._send, 200, b"".join(parts), self._headers)
        self._ended = True

    async def fail(self, error: ApiError) -> None:
        """Tells the client: as the answer, or as the last event of a stream that has begun."""
        if not self._started:
            await send_error(self._send, error, self._headers)
        elif not self.stalled:
            await self._send({"type": "http.response.body", "body": b"\n\ndata: " + error.body() + b"\n\n"})

    def exchange(self, key: str, failure: ApiError | None) -> Exchange:
        """What took place."""
        assert self.lease is not None
        answer, ending = self._answer.bytes(), self._ending()
        return Exchange(
            at=self._at.isoformat(timespec="milliseconds"),
            role=self.lease.role,
            version=self.lease.version,
            key=key,
            request=self._request,
            answer=answer,
            streamed=self._streamed,
            ending=ending,
            status=200 if self._started else failure.status if failure else 499,
            seconds=time.perf_counter() - self._clock,
            first_byte_seconds=self._first_byte,
        )

    def _ending(self) -> Ending:
        """A client that hangs up after [DONE] has the whole answer: many do not wait for the connection to end."""
        answer = self._answer.bytes()
        if self._ended or (self._streamed and DONE in answer[-TAIL_BYTES:]):
            return Ending.INTERRUPTED if ERROR in answer[-TAIL_BYTES:] else Ending.COMPLETE
        return Ending.INTERRUPTED if self._started or self.gone else Ending.FAILED

    @property
    def kept(self) -> bool:
        """Whether the whole answer is at hand, for whoever wants to keep it."""
        return self._answer.whole


async def beginning(reply: httpx.Response) -> bytes:
    """At most 64 KB of a body."""
    body = b""
    async for part in reply.aiter_raw():
        body += part
        if len(body) > 65536:
            break
    return body


def refusal(status: int, body: bytes) -> ApiError:
    """The engine's error as ours. It knows best what is wrong with a request; its other troubles are its own."""
    said = clean(message_in(body))
    reason = f": {said}" if said else "."
    if status in (400, 413, 422, 501):
        return ApiError(400, f"The engine refuses the request{reason}", "engine_refused")
    if status in (404, 429, 503) or (status == 500 and NOT_TAKEN in said):
        return ApiError(503, f"The engine is not ready for this model{reason}", "unavailable", retry=RETRY)
    return ApiError(502, f"The engine failed{reason}", "engine_error")


def message_in(body: bytes) -> str:
    """The sentence in an engine's error; nothing where there is none."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ""
    for name in ("error", "message"):
        value = value.get(name, value) if isinstance(value, dict) else value
    return value if isinstance(value, str) else ""
