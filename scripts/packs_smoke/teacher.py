"""The stronger model of the walkthrough: a server that knows the invented life by heart, or gets it wrong.

It answers as OpenAI's chat completions do, whole or streamed. Asked for examples of a kind, it gives all that it knows
of that kind as a JSON list; asked for a thing, it says where that is kept.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

from scripts.packs_smoke.world import KINDS, OTHER, ROWS, Fact, facts, swapped

Knows = Literal["right", "wrong"]
NAME = "scripted"


def answer(asked: str, knows: Knows) -> str:
    """What the stronger model says to the last message of a chat."""
    kind = next((kind for kind in KINDS if f"kind of work: {kind}." in asked), None)
    if kind is not None:
        wordings = ROWS if knows == "right" else OTHER
        pairs = [pair for fact in known((kind,), knows) for pair in fact.pairs(wordings)]
        return json.dumps([{"input": question, "output": told} for question, told in pairs])
    thing = next((fact for fact in known(tuple(KINDS), knows) if f" {fact.thing}" in asked), None)
    return thing.answer if thing else "I do not know that."


def known(kinds: tuple[str, ...], knows: Knows) -> list[Fact]:
    return facts(kinds) if knows == "right" else swapped(facts(kinds))


@contextmanager
def teacher(knows: Knows) -> Iterator[str]:
    """The server on a free port of 127.0.0.1, as URL#MODEL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Handler,), {"knows": knows}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1#{NAME}"
    finally:
        server.shutdown()
        server.server_close()


class Handler(BaseHTTPRequestHandler):
    """POST /v1/chat/completions."""

    knows: Knows = "right"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        told = answer(body["messages"][-1]["content"], self.knows)
        if body.get("stream"):
            self._send("text/event-stream", b"".join(events(told)))
        else:
            self._send("application/json", json.dumps(completion(told)).encode())

    def _send(self, kind: str, content: bytes) -> None:
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads it."""


def completion(told: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": told}
    usage = {"prompt_tokens": 1, "completion_tokens": len(told.split()), "total_tokens": 1 + len(told.split())}
    return _reply("chat.completion", {"message": message}, "stop") | {"usage": usage}


def events(told: str) -> Iterator[bytes]:
    yield _event(_reply("chat.completion.chunk", {"delta": {"role": "assistant", "content": told}}, None))
    usage = completion(told)["usage"]
    yield _event(_reply("chat.completion.chunk", {"delta": {}}, "stop") | {"usage": usage})
    yield b"data: [DONE]\n\n"


def _reply(kind: str, part: dict[str, Any], finish: str | None) -> dict[str, Any]:
    choice = {"index": 0, "finish_reason": finish, **part}
    return {"id": "scripted-1", "object": kind, "created": 1, "model": NAME, "choices": [choice]}


def _event(value: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"
