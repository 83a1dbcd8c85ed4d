"""The stronger model that is down, slow, busy, wrong or hostile: one sentence in bounded time, and no key in it."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from scripts.loop import strong
from scripts.loop.gateway import reload
from scripts.loop.settings import Strong
from scripts.loop.strong import Down, ask

KEY = "sk-made-up-key-of-this-test"
ASKED = [{"role": "user", "content": "Give me examples."}]
Answer = Callable[[BaseHTTPRequestHandler, int], None]


def send(handler: BaseHTTPRequestHandler, status: int, body: bytes, **headers: str) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def completion(text: Any) -> bytes:
    return json.dumps({"choices": [{"message": {"role": "assistant", "content": text}}]}).encode()


@contextmanager
def server(answer: Answer) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """A server whose answer to the n-th request (from 1) is `answer(handler, n)`; yields URL and requests' headers."""
    seen: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            seen.append({"path": self.path, **dict(self.headers)})
            answer(self, len(seen))

        def log_message(self, format: str, *args: Any) -> None:
            pass

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{running.server_port}/v1", seen
    finally:
        running.shutdown()
        running.server_close()


def asked(url: str, **other: Any) -> str:
    return ask(Strong(**{"endpoint": f"{url}#big", "seconds": 5, "tries": 2, **other}), ASKED, pause=0.01)


def test_the_key_goes_in_a_header_and_never_into_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with server(lambda handler, _: send(handler, 200, completion("[]"))) as (url, seen):
        assert asked(url) == "[]"
    assert seen[0]["Authorization"] == f"Bearer {KEY}" and seen[0]["path"] == "/v1/chat/completions"
    with server(lambda handler, _: send(handler, 401, b"")) as (url, _), pytest.raises(Down) as down:
        asked(url)
    assert KEY not in str(down.value) and "OPENAI_API_KEY" in str(down.value)


FAILURES: dict[str, tuple[Answer, int, str]] = {
    "broken": (lambda handler, _: send(handler, 500, b"oops"), 2, "status 500"),
    "busy": (lambda handler, _: send(handler, 429, b""), 2, "status 429"),
    "no key": (lambda handler, _: send(handler, 403, b""), 1, "Set OPENAI_API_KEY"),
    "no model": (lambda handler, _: send(handler, 404, b""), 1, "Correct the endpoint"),
    "redirect": (lambda handler, _: send(handler, 302, b"", Location="http://127.0.0.1:1/"), 1, "answers 302"),
    "no JSON": (lambda handler, _: send(handler, 200, b"<html>"), 2, "no chat completion"),
    "no choices": (lambda handler, _: send(handler, 200, b'{"choices": []}'), 2, "no chat completion"),
    "no text": (lambda handler, _: send(handler, 200, completion(None)), 2, "an answer without text"),
    "cut": (lambda handler, _: cut(handler), 2, "gave no answer in 2 tries"),
    "not HTTP": (lambda handler, _: handler.wfile.write(b"\x00\x01 nonsense\r\n\r\n"), 2, "gave no answer in 2 tries"),
}


def cut(handler: BaseHTTPRequestHandler) -> None:
    """Promises more than it sends."""
    handler.send_response(200)
    handler.send_header("Content-Length", "500")
    handler.end_headers()
    handler.wfile.write(b'{"choices"')
    handler.close_connection = True


@pytest.mark.parametrize("name", FAILURES)
def test_an_endpoint_that_fails_is_one_sentence_after_so_many_tries(name: str) -> None:
    answer, tries, said = FAILURES[name]
    with server(answer) as (url, seen), pytest.raises(Down) as down:
        asked(url)
    assert len(seen) == tries and said in str(down.value) and "\n" not in str(down.value)


def test_nobody_at_the_address_is_one_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    with pytest.raises(Down, match=r"gave no answer in 2 tries .*refused"):
        asked(f"http://127.0.0.1:{port}/v1")


def test_a_name_that_does_not_exist_is_one_sentence() -> None:
    with pytest.raises(Down, match="gave no answer"):
        asked("http://no-such-host.invalid/v1", tries=1)


def test_a_server_that_says_nothing_or_drips_is_left_after_its_time() -> None:
    def drip(handler: BaseHTTPRequestHandler, _: int) -> None:
        handler.send_response(200)
        handler.end_headers()
        for _ in range(200):
            try:
                handler.wfile.write(b" ")
                handler.wfile.flush()
            except OSError:
                return
            time.sleep(0.05)

    with server(drip) as (url, seen), pytest.raises(Down, match="took too long"):
        asked(url, seconds=0.3, tries=1)
    with server(lambda handler, _: time.sleep(1)) as (url, seen), pytest.raises(Down, match="timed out"):
        asked(url, seconds=0.3, tries=1)
    assert len(seen) == 1


def test_an_endless_answer_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strong, "MOST_BYTES", 10_000)
    with server(lambda handler, _: send(handler, 200, b" " * 50_000)) as (url, _), pytest.raises(Down, match="MB"):
        asked(url, tries=1)


def test_a_server_that_is_busy_for_a_moment_is_asked_again() -> None:
    def second(handler: BaseHTTPRequestHandler, number: int) -> None:
        send(handler, *((503, b"") if number == 1 else (200, completion("here"))))

    with server(second) as (url, seen):
        assert asked(url) == "here" and len(seen) == 2


def test_pauses_grow_and_the_server_may_ask_for_a_longer_one(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(strong.time, "sleep", waits.append)
    after = ("0", "7", "9999", "0")

    def busy(handler: BaseHTTPRequestHandler, number: int) -> None:
        send(handler, 429, b"", Retry_After=after[number - 1])

    with server(busy) as (url, _), pytest.raises(Down):
        asked(url, tries=4)
    assert waits == [0.01, 7.0, strong.LONGEST_PAUSE]


# --- the gateway ----------------------------------------------------------------------------------------------------

GATEWAY: dict[int, tuple[bytes, str]] = {
    200: (b"{}", "serves v3 now"),
    401: (b'{"error": {"message": "A key is needed."}}', "Set FORGE_KEY"),
    409: (b'{"error": {"message": "It did not pass."}}', "did not take it (409: It did not pass.)"),
    500: (b"oops", "did not take it (500"),
}


@pytest.mark.parametrize("status", GATEWAY)
def test_what_the_gateway_says_is_a_sentence(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORGE_KEY", KEY)
    body, said = GATEWAY[status]
    with server(lambda handler, _: send(handler, status, body)) as (url, seen):
        told = reload(url.removesuffix("/v1"), "mayor", 3)
    assert said in told and KEY not in told
    assert seen[0]["path"] == "/admin/reload-model" and seen[0]["Authorization"] == f"Bearer {KEY}"


def test_a_gateway_that_does_not_run_is_no_failure() -> None:
    assert "No gateway runs" in reload("http://127.0.0.1:1", "mayor", 3)
    assert "No gateway is configured" in reload("", "mayor", 3)
