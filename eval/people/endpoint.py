"""One side of a comparison: an OpenAI-compatible endpoint that is asked once, with a clock.

`ask(endpoint, messages)` gives the whole `Answer`, or raises `Failed` with one sentence: which side, and what to do.
The key of the local side comes from FORGE_KEY, that of the stronger one from OPENAI_API_KEY; neither gets the other's.
"""

import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from eval.errors import BadInput
from eval.people.stream import Broken, Garbage, Pieces, message_in, read_whole
from eval.printable import one_line
from eval.targets import resolve_target

if TYPE_CHECKING:
    import httpx

TIMEOUT_SECONDS = 300.0
CONNECT_SECONDS = 10.0
MOST_BYTES = 16 * 2**20  # of one answer: what is longer has no end
LOOPBACK = ("127.0.0.1", "localhost", "::1")
SERVED_AS = "x-forge-model"  # our gateway says in it which version answered: mayor@v3
OUR_VERSION = re.compile(r"[a-z][a-z0-9_-]*@v\d+", re.ASCII)

Messages = Sequence[Mapping[str, str]]


class Side(StrEnum):
    """Which of the two models."""

    LOCAL = "local"
    STRONG = "strong"

    @property
    def words(self) -> str:
        return "the local model" if self is Side.LOCAL else "the stronger model"

    @property
    def key(self) -> str:
        """The variable of the environment that holds its key."""
        return "FORGE_KEY" if self is Side.LOCAL else "OPENAI_API_KEY"


@dataclass(frozen=True)
class Endpoint:
    """Where a side answers; `url` ends in /v1."""

    side: Side
    url: str
    model: str
    key: str = field(default="", repr=False)

    @property
    def name(self) -> str:
        """The side with its model and address, for sentences."""
        return f"{self.side.words} ({one_line(self.model, 60)} at {self.url})"


@dataclass(frozen=True)
class Answer:
    """What a side said, and what it cost. `served` is the version of our gateway that said it, empty elsewhere.

    Tokens are None where the server does not count them; `first_seconds` where it answers in one piece.
    """

    text: str
    seconds: float
    reasoning: str = ""
    finish: str = ""
    first_seconds: float | None = None
    prompt_tokens: int | None = None
    new_tokens: int | None = None
    served: str = ""


class Failed(Exception):
    """A side that gave no whole answer; the message is one sentence. `lasting`: asking again changes nothing."""

    def __init__(self, sentence: str, lasting: bool = False) -> None:
        super().__init__(sentence)
        self.lasting = lasting


def endpoint_of(side: Side, address: str) -> Endpoint:
    """The endpoint that URL#MODEL names, with the key of the environment. Raises BadInput."""
    if not address.startswith(("http://", "https://")):
        raise BadInput(f"{one_line(address)} is no endpoint; give --{side} http://HOST/v1#MODEL.")
    if urlsplit(address).username is not None:
        raise BadInput(f"the address of --{side} holds a name or password; put the key into {side.key} instead.")
    server = resolve_target(address, None, "").server
    assert server is not None
    key = os.environ.get(side.key, "").strip()
    if not (key.isascii() and key.isprintable()):
        raise BadInput(f"{side.key} holds characters that no key has; set it again.")
    return Endpoint(side, server.url, server.name, key)


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
    limits = httpx.Timeout(timeout, connect=min(timeout, CONNECT_SECONDS))
    pieces = Pieces(on_text)
    try:
        with httpx.Client(timeout=limits, trust_env=trusted) as client:
            started = time.perf_counter()
            with client.stream("POST", f"{endpoint.url}/chat/completions", json=body, headers=headers) as response:
                return _read(endpoint, response, pieces, started, timeout)
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol, httpx.InvalidURL):
        raise Failed(f"Nobody answers as {endpoint.name}; {_start(endpoint)}.", lasting=True) from None
    except (httpx.TimeoutException, _Late):
        raise _late(endpoint, timeout, pieces) from None
    except (httpx.HTTPError, Broken) as problem:
        raise _broke_off(endpoint, pieces, str(problem) if isinstance(problem, Broken) else "") from None
    except Garbage as problem:
        raise Failed(
            f"{_upper(endpoint.name)} does not answer as OpenAI's API does ({problem}); check that the address "
            "ends where /chat/completions begins, mostly in /v1.",
            lasting=True,
        ) from None


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
        raise _refused(endpoint, response.status_code, bytes(body), response.headers.get("retry-after", ""))
    said = pieces.close() if streamed else read_whole(bytes(body))
    served = response.headers.get(SERVED_AS, "")
    if not said.text.strip():
        raise Failed(f"{_upper(endpoint.name)} answered without any text; ask in other words, or look at its log.")
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


def _refused(endpoint: Endpoint, status: int, body: bytes, retry: str) -> Failed:
    """The sentence for a status that is no success."""
    told = _told(endpoint, message_in(body))
    said = f"{_upper(endpoint.name)} answers {status}{f' ({told})' if told else ''}"
    if status in (401, 403):
        fix = f"correct {endpoint.side.key}" if endpoint.key else f"set {endpoint.side.key}"
        return Failed(f"{_upper(endpoint.name)} answers {status}; {fix} and ask again.", lasting=True)
    if status == 429:
        wait = f"wait {retry} s" if retry.isdigit() else "wait a little"
        return Failed(f"{said}, too many requests or no credit left; {wait} and ask again.")
    if status >= 500:
        return Failed(f"{said}; look at its log, and ask again.")
    if 300 <= status < 400:
        return Failed(f"{said}, which points elsewhere; give --{endpoint.side} the address it points to.", lasting=True)
    fix = "correct the model's name or the address" if status in (404, 405) else "change what it refuses"
    return Failed(f"{said}; {fix} and ask again.", lasting=True)


def _late(endpoint: Endpoint, timeout: float, pieces: Pieces) -> Failed:
    came = f" ({len(pieces.text):,} characters had come)" if pieces.text else ""
    return Failed(f"{_upper(endpoint.name)} was not done after {timeout:g} s{came}; raise --timeout, or ask again.")


def _broke_off(endpoint: Endpoint, pieces: Pieces, said: str) -> Failed:
    told = _told(endpoint, said)
    reason = f" ({told})" if told else ""
    where = f"in the middle, after {len(pieces.text):,} characters" if pieces.text else "before its answer began"
    return Failed(f"{_upper(endpoint.name)} broke off {where}{reason}; ask again, and look at its log.")


def _told(endpoint: Endpoint, message: str) -> str:
    """What a server says of its trouble, on one line; some say the key that they were given."""
    return one_line(message.replace(endpoint.key, "***") if endpoint.key else message, 200)


def _start(endpoint: Endpoint) -> str:
    if endpoint.side is Side.LOCAL:
        return "start the gateway with `make serve`, or give --local URL#MODEL"
    return "start it, or correct --strong URL#MODEL"


def _upper(name: str) -> str:
    return name[0].upper() + name[1:]
