"""Asks a judge behind an OpenAI-compatible server: temperature 0, several requests at a time, bounded retries.

`Judge(server, label).replies(prompts)` returns what it replied to each prompt, until a reply is a verdict. The key, if
any, comes from OPENAI_API_KEY. No library of models is needed.
"""

import http.client
import json
import os
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from eval.errors import BadInput
from eval.judge_prompt import AGAIN, INSTRUCTIONS, parse_verdict
from eval.targets import Server

REQUESTS_AT_ONCE = 8
TRIES = 3  # of one request, and of one verdict
TIMEOUT_SECONDS = 120
PAUSE_SECONDS = 1.0  # before the second try; twice as long before the third
BUSY = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
MAX_TOKENS = 400  # a verdict has about fifty


class Judge:
    """One judge. A request that fails three times ends in BadInput: a verdict is never made up."""

    def __init__(self, server: Server, label: str) -> None:
        self._server, self._label = server, label
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        self._broken = threading.Event()

    def replies(self, prompts: Sequence[str]) -> list[tuple[str, ...]]:
        """For each prompt what was replied: one reply, or up to three where the first were no verdicts."""
        self._broken.clear()
        with ThreadPoolExecutor(REQUESTS_AT_ONCE) as pool:
            return list(pool.map(self._until_verdict, prompts))

    def _until_verdict(self, prompt: str) -> tuple[str, ...]:
        messages = [{"role": "system", "content": INSTRUCTIONS}, {"role": "user", "content": prompt}]
        said: list[str] = []
        while len(said) < TRIES and not self._broken.is_set():
            said.append(self._ask(messages))
            if parse_verdict(said[-1]) is not None:
                break
            messages += [{"role": "assistant", "content": said[-1]}, {"role": "user", "content": AGAIN}]
        return tuple(said)

    def _ask(self, messages: list[dict[str, str]]) -> str:
        body = {"model": self._server.name, "messages": messages, "temperature": 0, "max_tokens": MAX_TOKENS}
        request = urllib.request.Request(
            f"{self._server.url}/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        if key := os.environ.get("OPENAI_API_KEY"):
            request.add_unredirected_header("Authorization", f"Bearer {key}")
        problem = ""
        for attempt in range(TRIES):
            time.sleep(PAUSE_SECONDS * attempt)
            try:
                return self._send(request)
            except _Failed as failure:
                problem = str(failure)
            except BadInput:
                self._broken.set()
                raise
        self._broken.set()
        raise BadInput(f"the judge {self._label} stopped answering ({problem}); look at its log and run again.")

    def _send(self, request: urllib.request.Request) -> str:
        try:
            with self._opener.open(request, timeout=TIMEOUT_SECONDS) as response:
                return _text(json.load(response))
        except urllib.error.HTTPError as problem:
            if problem.code in BUSY:
                raise _Failed(f"status {problem.code}") from None
            fix = "set OPENAI_API_KEY" if problem.code in {401, 403} else "correct --endpoint"
            raise BadInput(f"the judge {self._label} answers {problem.code}; {fix} and run again.") from None
        except urllib.error.URLError as problem:
            if isinstance(problem.reason, ConnectionRefusedError | socket.gaierror):
                raise BadInput(f"no judge answers at {self._label}; start it, or correct --endpoint.") from None
            raise _Failed(str(problem.reason)) from None
        except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError) as problem:
            raise _Failed(f"no chat completion: {type(problem).__name__}") from None


class _Failed(Exception):
    """A request that may work when it is sent again."""


def _text(completion: Any) -> str:
    """The words of a completion; a reply without any is an empty text, and no verdict."""
    return str(completion["choices"][0]["message"].get("content") or "")
