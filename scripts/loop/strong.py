"""Asks the stronger model behind an OpenAI-compatible server: limits on time and size, tries with growing pauses.

The key, if any, comes from OPENAI_API_KEY, and goes to that server alone. What does not work is one sentence, `Down`.
"""

from __future__ import annotations

import http.client
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import Any

from scripts.loop.settings import Strong

BUSY = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
PAUSE = 1.0  # seconds before the second try; each pause is twice the one before
LONGEST_PAUSE = 60.0
MOST_BYTES = 4 << 20  # of an answer


class Down(Exception):
    """The endpoint does not answer as it should; one sentence with the fix."""


class _Again(Exception):
    """A request that may work when it is sent once more. `wait` is what the server asks for, in seconds."""

    def __init__(self, reason: str, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.wait = wait


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would take the question, and the key, to somebody else."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def ask(strong: Strong, messages: Sequence[dict[str, str]], pause: float = PAUSE) -> str:
    """What the model answers. Raises `Down`."""
    url, _, model = strong.endpoint.partition("#")
    body = {"model": model, "messages": list(messages), "temperature": strong.temperature}
    request = urllib.request.Request(
        f"{url.rstrip('/').removesuffix('/chat/completions')}/chat/completions",
        json.dumps(body | {"max_tokens": strong.max_tokens}).encode(),
        {"Content-Type": "application/json"},
    )
    if key := os.environ.get("OPENAI_API_KEY"):
        request.add_unredirected_header("Authorization", f"Bearer {key}")
    problem = ""
    for attempt in range(strong.tries):
        try:
            return _text(_send(request, strong.seconds))
        except _Again as again:
            problem = str(again)
            if attempt < strong.tries - 1:
                time.sleep(min(max(pause * 2**attempt, again.wait), LONGEST_PAUSE))
        except _Refused as refused:
            raise Down(f"{strong.endpoint} answers {refused}") from None
    raise Down(f"{strong.endpoint} gave no answer in {strong.tries} tries ({problem}). Look at its log.")


class _Refused(Exception):
    """An answer that another try would not change, with what to do."""


def _send(request: urllib.request.Request, seconds: float) -> bytes:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), NoRedirect)
    until = time.monotonic() + seconds
    try:
        with opener.open(request, timeout=seconds) as response:
            return _read(response, until)
    except urllib.error.HTTPError as problem:
        with problem:
            if problem.code in BUSY:
                asked = problem.headers.get("Retry-After", "")
                raise _Again(f"status {problem.code}", float(asked) if asked.isdecimal() else 0.0) from None
            fix = "Set OPENAI_API_KEY." if problem.code in {401, 403} else "Correct the endpoint, URL#MODEL."
            raise _Refused(f"{problem.code}. {fix}") from None
    except urllib.error.URLError as problem:
        raise _Again(str(problem.reason)) from None
    except OSError as problem:
        raise _Again(str(problem) or type(problem).__name__) from None
    except http.client.HTTPException as problem:  # its words are the server's
        raise _Again(f"no whole HTTP answer: {type(problem).__name__}") from None


def _read(response: Any, until: float) -> bytes:
    """The body. A server that sends a little now and then does not hold the round up."""
    parts, size = [], 0
    while part := response.read1(1 << 16):
        parts.append(part)
        size += len(part)
        if size > MOST_BYTES:
            raise _Again(f"more than {MOST_BYTES >> 20} MB")
        if time.monotonic() > until:
            raise _Again("the answer took too long")
    return b"".join(parts)


def _text(body: bytes) -> str:
    try:
        choice = json.loads(body)["choices"][0]
        text = choice["message"]["content"]
    except (ValueError, LookupError, TypeError):
        raise _Again("no chat completion") from None
    if not isinstance(text, str):
        raise _Again("an answer without text")
    return text
