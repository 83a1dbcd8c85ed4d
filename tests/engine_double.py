"""An engine for quick tests that speaks as llama-server does and misbehaves when asked to; a fleet, a gateway for it.

What it does is chosen by the last message: `say WORDS`, `call TOOL`, `wait S WORDS` (S before each word), `flood MB`,
`die at once`, `die after N`, `end after N` (without [DONE]), `status N`.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from deploy.adapter import Refusal
from deploy.serve.__main__ import bound, server_of
from deploy.serve.app import Gateway
from deploy.serve.config import ServeConfig
from deploy.serve.types import Change, Exchange, Lease, RoleState, Unavailable, UnknownModel

SECRET_PATH = "/srv/models/secret/mayor.gguf"
ENGINE_KEY = "engine-key-that-nobody-sees"


@dataclass
class EngineDouble:
    """A server on a free port of 127.0.0.1. `requests` are the bodies that it got, `left` how many hung up early."""

    url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    left: int = 0
    under_way: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.under_way += 1
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            size = next(int(line.split(":")[1]) for line in head.split("\r\n") if line.startswith("content-length"))
            body = json.loads(await reader.readexactly(size))
            self.requests.append(body)
            if f"authorization: bearer {ENGINE_KEY}" not in head:
                return await self.whole(writer, 401, {"error": {"message": "Invalid API Key"}})
            await self.answer(body, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            self.left += 1
        finally:
            self.under_way -= 1
            writer.close()

    async def answer(self, body: dict[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        content = body["messages"][-1].get("content") or ""
        words = content.split() if isinstance(content, str) else ["parts"]
        match words:
            case ["status", number]:
                message = f"error loading {SECRET_PATH} at {self.url}"
                await self.whole(writer, int(number), {"error": {"code": int(number), "message": message}})
            case ["die", "at", "once"]:
                writer.transport.abort()
            case _ if body.get("stream"):
                await self.stream(body["model"], words, reader, writer)
            case ["wait", seconds, *_]:
                await self.unless_left(reader, float(seconds))
                await self.whole(writer, 200, completion(body["model"], words))
            case _:
                await self.whole(writer, 200, completion(body["model"], words))

    async def stream(
        self, model: str, words: list[str], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nServer: llama.cpp\r\n")
        writer.write(b"Transfer-Encoding: chunked\r\n\r\n")
        for number, delta in enumerate(deltas(words)):
            if words[:2] == ["die", "after"] and number == int(words[2]):
                writer.transport.abort()
                return
            if words[:2] == ["end", "after"] and number == int(words[2]):
                break
            if words[:1] == ["wait"]:
                await self.unless_left(reader, float(words[1]))
            event = (
                b"data: "
                + json.dumps(chunk(model, ({} if number else {"role": "assistant"}) | delta)).encode()
                + b"\n\n"
            )
            writer.write(b"%x\r\n%s\r\n" % (len(event), event))
            await writer.drain()
        else:
            last = chunk(model, {}, "tool_calls" if words[:1] == ["call"] else "stop")
            last |= {"timings": {"prompt_n": 7, "cache_n": 4, "predicted_n": len(words)}}
            event = b"data: " + json.dumps(last).encode() + b"\n\ndata: [DONE]\n\n"
            writer.write(b"%x\r\n%s\r\n" % (len(event), event))
        writer.write(b"0\r\n\r\n")
        await writer.drain()

    async def unless_left(self, reader: asyncio.StreamReader, seconds: float) -> None:
        """Waits; raises ConnectionError as soon as the other side hangs up, as llama-server notices it."""
        with suppress(TimeoutError):
            await asyncio.wait_for(reader.read(1), seconds)
            raise ConnectionResetError

    async def whole(self, writer: asyncio.StreamWriter, status: int, value: dict[str, Any]) -> None:
        body = json.dumps(value).encode()
        writer.write(b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\n" % status)
        writer.write(b"Content-Length: %d\r\nServer: llama.cpp\r\n\r\n" % len(body) + body)
        await writer.drain()


def deltas(words: list[str]) -> Iterator[dict[str, Any]]:
    match words:
        case ["call", tool, *_]:
            yield {
                "tool_calls": [
                    {"index": 0, "id": "c1", "type": "function", "function": {"name": tool, "arguments": ""}}
                ]
            }
            for piece in ('{"city": ', '"Riga"}'):
                yield {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}
        case ["flood", megabytes, *_]:
            for _ in range(int(float(megabytes) * 16)):
                yield {"content": "x" * 65536}
        case ["wait", _, *rest]:
            yield from ({"content": f" {word}"} for word in rest)
        case ["die" | "end", "after", number]:
            yield from ({"content": f" {word}"} for word in range(int(number) + 1))
        case [_, *rest]:
            yield from ({"content": f" {word}"} for word in rest)


def chunk(model: str, delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": model,
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }  # fmt: skip


def completion(model: str, words: list[str]) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": " ".join(words[1:])}
    if words[:1] == ["call"]:
        function = {"name": words[1], "arguments": '{"city": "Riga"}'}
        message = {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c1", "type": "function", "function": function}],
        }
    return {
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 11, "completion_tokens": len(words), "total_tokens": 11 + len(words)},
    }  # fmt: skip


class FakeFleet:
    """`types.Fleet` over an address. The mayor's v3 is refused by the gate, and his v9 is not there."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.live = {"mayor": 2, "crew": 1}
        self.previous: dict[str, int | None] = {"mayor": 1, "crew": None}
        self.held: list[str] = []
        self.unavailable = False
        self.started = True
        self.deaths = 0

    async def start(self) -> None:
        return

    async def stop(self) -> None:
        return

    def ready(self) -> bool:
        return self.started

    def restarts(self) -> int:
        return self.deaths

    def state(self) -> tuple[RoleState, ...]:
        return tuple(
            RoleState(role, live, before, live, (live, before) if before else (live,))
            for role, live in sorted(self.live.items())
            for before in [self.previous[role]]
        )

    @contextmanager
    def lease(self, model: str) -> Iterator[Lease]:
        if self.unavailable:
            raise Unavailable(f"The engine at {self.url} is starting.", 3)
        names = {role: (role, live) for role, live in self.live.items()}
        names |= {f"gastown-{role}:latest": found for role, found in names.items()}
        names |= {"mayor@v1": ("mayor", 1), "mayor@v2": ("mayor", 2)}
        if not self.started or model not in names:
            raise UnknownModel(f"There is no model {model[:80]!r} here, only {', '.join(names)}.")
        role, version = names[model]
        lease = Lease(role, version, self.url, f"{role}@v{version}", {"authorization": f"Bearer {ENGINE_KEY}"})
        self.held.append(lease.name)
        try:
            yield lease
        finally:
            self.held.remove(lease.name)

    async def reload(self, role: str, version: int, by: str, force: bool = False, why: str = "") -> Change:
        if role not in self.live or version == 9:
            raise Refusal(f"{role}@v{version} is not in {SECRET_PATH}.")
        if version == 3 and not force:
            raise Refusal("mayor@v3 did not pass: a loss of 12 points. Train it longer, or use force with a reason.")
        before, self.live[role] = self.live[role], version
        self.previous[role] = before
        return Change(role, version, before, 0.25, "reload")

    async def rollback(self, role: str, by: str, why: str = "") -> Change:
        before = self.previous.get(role)
        if before is None:
            raise Refusal(f"{role} has no version before.")
        self.live[role], self.previous[role] = before, self.live[role]
        return Change(role, before, self.previous[role], 0.01, "rollback")


@contextmanager
def engine_double() -> Iterator[EngineDouble]:
    """The engine in a thread of its own, until the block ends."""
    double, loop, ready = EngineDouble(), asyncio.new_event_loop(), threading.Event()

    async def serve() -> None:
        server = await asyncio.start_server(double.serve, "127.0.0.1", 0)
        double.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        ready.set()

    def run() -> None:
        loop.run_until_complete(serve())
        loop.run_forever()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    ready.wait(10)
    try:
        yield double
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)


@dataclass
class Kept:
    """A `Recorder` that keeps what it is given."""

    exchanges: list[Exchange] = field(default_factory=list)

    async def start(self) -> None:
        return

    def note(self, exchange: Exchange) -> None:
        self.exchanges.append(exchange)

    async def stop(self) -> None:
        return


@dataclass(frozen=True)
class Served:
    """A gateway that listens at `url`, with its parts."""

    url: str
    gateway: Gateway
    fleet: FakeFleet
    engine: EngineDouble
    kept: Kept


@contextmanager
def served(config: ServeConfig, engine: EngineDouble, captures: bool = False) -> Iterator[Served]:
    """The real gateway under the real uvicorn, in a thread, until the block ends. It reads FORGE_API_KEYS here.

    Exchanges go to `kept`, or with `captures` to where the configuration says.
    """
    fleet, kept, ready = FakeFleet(engine.url), Kept(), threading.Event()
    listening = bound("127.0.0.1", 0)
    gateway = Gateway(config, fleet, None if captures else kept)
    server = server_of(gateway)

    async def serve() -> None:
        async with gateway.running() as starting:
            await starting
            serving = asyncio.create_task(server.serve(sockets=[listening]))
            while not server.started:
                await asyncio.sleep(0.005)
            ready.set()
            await serving

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    ready.wait(10)
    try:
        yield Served(f"http://127.0.0.1:{listening.getsockname()[1]}", gateway, fleet, engine, kept)
    finally:
        server.should_exit = True
        thread.join(15)
