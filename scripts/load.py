"""Twenty people at once: a client for streaming chats that costs little, for the gateway's benchmark and walkthrough.

It speaks HTTP/1.1 over a bare socket and reads each answer to its end, so that what it measures is the server.
"""

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

DONE: Final = b"data: [DONE]"


@dataclass(frozen=True)
class Answer:
    """One answer. `status` 0: the connection broke; `version`: what the gateway named; times in seconds."""

    status: int
    version: str
    text: str
    tokens: int
    whole: bool
    """whether the stream came to its end"""
    started: float
    first_byte: float
    seconds: float

    @property
    def good(self) -> bool:
        """Whether a person got a whole answer."""
        return self.status == 200 and self.whole and bool(self.text)


class Load:
    """`clients` people who ask one thing after the other; their answers grow in `answers`.

    After a refusal (429, 503) or a broken connection a person waits a tenth of a second.
    """

    def __init__(self, url: str, model: str, headers: Mapping[str, str], clients: int = 20, tokens: int = 80) -> None:
        self._asked = (url, model, headers, "go", tokens)
        self._clients = clients
        self._stopped = False
        self._seconds = 0.0
        self.answers: list[Answer] = []

    async def until_stopped(self) -> None:
        """Goes on until `stop`; every answer that was begun is read to its end."""
        started = time.perf_counter()
        await asyncio.gather(*(self._one() for _ in range(self._clients)))
        self._seconds = time.perf_counter() - started

    async def run(self, seconds: float) -> None:
        """The same for `seconds`."""
        asyncio.get_running_loop().call_later(seconds, self.stop)
        await self.until_stopped()

    def stop(self) -> None:
        self._stopped = True

    @property
    def tokens_per_second(self) -> float:
        return sum(answer.tokens for answer in self.answers) / self._seconds

    async def _one(self) -> None:
        while not self._stopped:
            answer = await ask(*self._asked)
            self.answers.append(answer)
            if not answer.good:
                await asyncio.sleep(0.1)


async def ask(url: str, model: str, headers: Mapping[str, str], words: str, tokens: int) -> Answer:
    """One streamed chat completion of at most `tokens` tokens."""
    started = time.perf_counter()
    body = {"model": model, "messages": [{"role": "user", "content": words}], "stream": True, "max_tokens": tokens}
    try:
        head, first, raw = await _exchange(url, headers, json.dumps(body).encode(), started)
    except (OSError, asyncio.IncompleteReadError):
        return Answer(0, "", "", 0, False, started, 0.0, time.perf_counter() - started)
    lines = head.decode("latin-1").split("\r\n")
    named = (line.split(":", 1)[1].strip() for line in lines if line.lower().startswith("x-forge-model:"))
    stream = _unchunked(raw) if b"chunked" in head.lower() else raw
    pieces = _pieces(stream)
    return Answer(
        int(lines[0].split()[1]),
        next(named, ""),
        "".join(pieces),
        len(pieces),
        DONE in stream,
        started,
        first,
        time.perf_counter() - started,
    )


async def _exchange(url: str, headers: Mapping[str, str], body: bytes, started: float) -> tuple[bytes, float, bytes]:
    """The head of the answer, the seconds to the first byte of its body, and the body as it came."""
    place = urlsplit(url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    try:
        lines = [
            "POST /v1/chat/completions HTTP/1.1",
            f"Host: {place.netloc}",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
            "Connection: close",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        head = await reader.readuntil(b"\r\n\r\n")
        parts = [await reader.read(65536)]
        first = time.perf_counter() - started
        while part := await reader.read(65536):
            parts.append(part)
        return head, first, b"".join(parts)
    finally:
        writer.close()


def _unchunked(raw: bytes) -> bytes:
    """A body without the sizes of its chunks; what was cut off stays cut off."""
    parts, at = [], 0
    while (end := raw.find(b"\r\n", at)) > 0 and (size := int(raw[at:end], 16)):
        parts.append(raw[end + 2 : end + 2 + size])
        at = end + 2 + size + 2
    return b"".join(parts)


def _pieces(stream: bytes) -> list[str]:
    """The texts of a stream's events."""
    found = []
    for line in stream.split(b"\n"):
        if line.startswith(b"data: {"):
            try:
                choices: list[dict[str, Any]] = json.loads(line[6:]).get("choices") or []
            except ValueError:
                continue
            found += [text for choice in choices if (text := choice.get("delta", {}).get("content"))]
    return found
