"""Asks an endpoint once, with a clock: `ask(endpoint, messages)` gives the whole `Answer`, or raises `Failed`."""

import re
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from eval.people.endpoint import TIMEOUT_SECONDS, Answer, Endpoint, Messages
from eval.people.failures import broke_off, late, no_chat, no_text, refused, unreachable
from eval.people.stream import Broken, Garbage, Pieces, read_whole

if TYPE_CHECKING:
    import httpx

CONNECT_SECONDS = 10.0
MOST_BYTES = 16 * 2**20  # of one answer: what is longer has no end
LOOPBACK = ("127.0.0.1", "localhost", "::1")
SERVED_AS = "x-forge-model"  # our gateway says in it which version answered: mayor@v3
OUR_VERSION = re.compile(r"[a-z][a-z0-9_-]*@v\d+", re.ASCII)


def ask(
    endpoint: Endpoint,
    messages: Messages,
    options: Mapping[str, Any] | None = None,
    timeout: float = TIMEOUT_SECONDS,
    on_text: Callable[[str], None] = lambda text: None,
) -> Answer:
    """The answer to `messages`; `on_text` gets the text as it comes. Raises Failed."""
    import httpx

    body = {"model": endpoint.model, "messages": list(messages), "stream": True, **(options or {})}
    body["stream_options"] = {"include_usage": True}
    headers = {"authorization": f"Bearer {endpoint.key}"} if endpoint.key else {}
    # What is on this machine is never asked through a proxy.
    trusted = urlsplit(endpoint.url).hostname not in LOOPBACK
    secure = endpoint.url.startswith("https:")  # certificates take longer to load than a small answer to come
    limits = httpx.Timeout(timeout, connect=min(timeout, CONNECT_SECONDS))
    pieces = Pieces(on_text)
    try:
        with httpx.Client(timeout=limits, trust_env=trusted, verify=secure) as client:
            started = time.perf_counter()
            with client.stream("POST", f"{endpoint.url}/chat/completions", json=body, headers=headers) as response:
                return _read(endpoint, response, pieces, started, timeout)
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol, httpx.InvalidURL) as problem:
        raise unreachable(endpoint, "SSL" in str(problem)) from None
    except (httpx.TimeoutException, _Late):
        raise late(endpoint, timeout, pieces) from None
    except (httpx.HTTPError, Broken) as problem:
        raise broke_off(endpoint, pieces, str(problem) if isinstance(problem, Broken) else "") from None
    except Garbage as problem:
        raise no_chat(endpoint, str(problem)) from None


class _Late(Exception):
    """The whole time is over, although something still comes."""


def _read(endpoint: Endpoint, response: "httpx.Response", pieces: Pieces, started: float, timeout: float) -> Answer:
    """The answer in a response, as a stream or in one piece."""
    streamed = response.status_code == 200 and "json" not in response.headers.get("content-type", "")
    body, size = bytearray(), 0
    for part in response.iter_bytes():
        size += len(part)
        if size > MOST_BYTES:
            raise Garbage("an answer without an end")
        if time.perf_counter() > started + timeout:
            raise _Late
        if streamed:
            pieces.take(part)
        else:
            body += part
    if response.status_code != 200:
        raise refused(endpoint, response.status_code, bytes(body), response.headers.get("retry-after", ""))
    said = pieces.close() if streamed else read_whole(bytes(body))
    served = response.headers.get(SERVED_AS, "")
    if not said.text.strip():
        raise no_text(endpoint)
    return Answer(
        text=said.text,
        seconds=time.perf_counter() - started,
        reasoning=said.reasoning,
        finish=said.finish,
        first_seconds=pieces.first - started if streamed and pieces.first else None,
        prompt_tokens=said.prompt_tokens,
        new_tokens=said.new_tokens,
        served=served if OUR_VERSION.fullmatch(served) else "",
    )
