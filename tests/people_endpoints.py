"""Real servers on 127.0.0.1 that answer as OpenAI's API does, or in one of the ways in which endpoints fail."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = Callable[["Talk"], None]


class Talk:
    """One request to such a server, and the ways to answer it."""

    def __init__(self, handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        self._handler = handler
        self.body = body
        self.key = handler.headers.get("authorization", "")

    @property
    def prompt(self) -> str:
        asked: str = self.body["messages"][-1]["content"]
        return asked

    def begin(self, kind: str = "text/event-stream", status: int = 200, **headers: str) -> None:
        self._handler.send_response(status)
        for name, value in {"content-type": kind, "connection": "close", **headers}.items():
            self._handler.send_header(name.replace("_", "-"), value)
        self._handler.end_headers()

    def send(self, data: bytes) -> None:
        self._handler.wfile.write(data)
        self._handler.wfile.flush()

    def event(self, value: Any) -> None:
        self.send(b"data: " + json.dumps(value).encode() + b"\n\n")

    def say(self, text: str, **delta: Any) -> None:
        self.event({"choices": [{"index": 0, "delta": {"content": text, **delta}, "finish_reason": None}]})

    def finish(self, reason: str = "stop", usage: Mapping[str, int] | None = None) -> None:
        self.event({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
        self.event({"choices": [], "usage": usage or {"prompt_tokens": 9, "completion_tokens": 4}})
        self.send(b"data: [DONE]\n\n")

    def refuse(self, status: int, message: str = "", **headers: str) -> None:
        self.begin("application/json", status, **headers)
        self.send(json.dumps({"error": {"message": message}}).encode())


def says(text: str, reason: str = "stop", **headers: str) -> Reply:
    """A whole answer, streamed in two pieces."""

    def reply(talk: Talk) -> None:
        talk.begin(**headers)
        talk.say(text[: len(text) // 2])
        talk.say(text[len(text) // 2 :])
        talk.finish(reason)

    return reply


def in_one_piece(text: str) -> Reply:
    def reply(talk: Talk) -> None:
        talk.begin("application/json")
        message = {"role": "assistant", "content": text}
        value = {"choices": [{"message": message, "finish_reason": "stop"}], "usage": {"completion_tokens": 2}}
        talk.send(json.dumps(value).encode())

    return reply


def refuses(status: int, message: str = "", **headers: str) -> Reply:
    return lambda talk: talk.refuse(status, message, **headers)


def sends(*parts: bytes, kind: str = "text/event-stream", pause: float = 0.0) -> Reply:
    """Whatever bytes, and the end of the connection."""

    def reply(talk: Talk) -> None:
        talk.begin(kind)
        for part in parts:
            talk.send(part)
            time.sleep(pause)

    return reply


@contextmanager
def endpoint(reply: Reply, model: str = "m") -> Iterator[tuple[str, list[Talk]]]:
    """The URL#MODEL of a server that answers each request with `reply`, and the requests so far."""
    talks: list[Talk] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            talks.append(Talk(self, body))
            with suppress(OSError):  # the client is gone
                reply(talks[-1])

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1#{model}", talks
    finally:
        server.shutdown()
        server.server_close()


def nobody(model: str = "m") -> str:
    """An address at which nobody listens."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{closed.getsockname()[1]}/v1#{model}"
