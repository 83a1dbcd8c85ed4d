"""A scripted OpenAI-compatible server on 127.0.0.1 for tests: one model, answers from a function."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Choice = dict[str, Any]
"""What the server says: {"message": {...}, "finish_reason": ...}, or {"status": 500}."""


def says(text: str | None, **more: Any) -> Choice:
    """An ordinary answer."""
    return {"message": {"role": "assistant", "content": text, **more}, "finish_reason": "stop"}


class Patient(ThreadingHTTPServer):
    """Lets many clients wait: those that find the queue full try again after 1, 3 and 7 seconds."""

    request_queue_size = 128


@contextmanager
def chat_server(
    answer: Callable[[list[dict[str, str]]], Choice], model: str = "mayor", greeting: int = 200
) -> Iterator[tuple[str, list[Any]]]:
    """Serves `answer(messages)`, and the list of models with status `greeting`.

    Yields the address with the model's name, and the list of request bodies.
    """
    requests: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._send(greeting, {"data": [{"id": model}]})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            requests.append(body)
            choice = answer(body["messages"])
            status = choice.get("status", 200)
            usage = {"prompt_tokens": 7, "completion_tokens": 3}
            answered = {"choices": [{"index": 0, **choice}], "usage": usage}
            self._send(status, answered if status == 200 else {"error": "broken"})

        def _send(self, status: int, value: Any) -> None:
            raw = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = Patient(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1#{model}", requests
    finally:
        server.shutdown()
        server.server_close()
