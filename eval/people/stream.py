"""Reads what an OpenAI-compatible server answers: a stream of pieces, or one JSON object.

`Pieces.take(bytes)` reads a stream as it comes, and `close()` gives what was said. Raises `Garbage` where there is no
chat completion, `Broken` where one has no end.
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

DONE = b"[DONE]"


class Garbage(Exception):
    """What came is no chat completion; the message says what it is, and quotes nothing."""


class Broken(Exception):
    """A stream that ended before its end; the message is what the server said of it, mostly nothing."""


@dataclass(frozen=True)
class Said:
    """What a server said; tokens None where it does not count them."""

    text: str
    reasoning: str
    finish: str
    prompt_tokens: int | None
    new_tokens: int | None


class Pieces:
    """A stream as it comes. `first` is when the first words came, on the clock of time.perf_counter."""

    def __init__(self, on_text: Callable[[str], None]) -> None:
        self.first: float | None = None
        self._on_text = on_text
        self._rest = b""
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._finish = ""
        self._usage: Mapping[str, Any] = {}
        self._events = 0
        self._ended = False

    @property
    def text(self) -> str:
        return "".join(self._text)

    def take(self, part: bytes) -> None:
        """Read some bytes of the stream, wherever they were cut."""
        *lines, self._rest = (self._rest + part).split(b"\n")
        for line in lines:
            if line.startswith(b"data:"):
                self._event(line[5:].strip())

    def close(self) -> Said:
        """What the whole stream said."""
        if not self._events and not self._ended:
            raise Garbage("neither a stream of events nor JSON")
        if not (self._ended or self._finish):
            raise Broken
        return Said(self.text, "".join(self._reasoning), self._finish, *_tokens(self._usage))

    def _event(self, data: bytes) -> None:
        if data == DONE:
            self._ended = True
            return
        event = _object(data)
        if event is None:
            return  # a piece that is no JSON holds nothing that could be read
        if event.get("error"):
            raise Broken(message_in(data))
        self._events += 1
        usage = event.get("usage")
        self._usage = usage if isinstance(usage, dict) else self._usage
        choice = _choice(event)
        delta = choice.get("delta")
        self._finish = _text(choice.get("finish_reason")) or self._finish
        if isinstance(delta, dict):
            self._words(_text(delta.get("content")), _text(delta.get("reasoning_content")))

    def _words(self, text: str, reasoning: str) -> None:
        if (text or reasoning) and self.first is None:
            self.first = time.perf_counter()
        self._reasoning.append(reasoning)
        if text:
            self._text.append(text)
            self._on_text(text)


def read_whole(body: bytes) -> Said:
    """What an answer in one piece says."""
    value = _object(body)
    if value is None:
        raise Garbage("no JSON object")
    choice = _choice(value)
    message = choice.get("message")
    if not isinstance(message, dict):
        raise Garbage("JSON without an answer")
    usage = value.get("usage")
    return Said(
        _text(message.get("content")),
        _text(message.get("reasoning_content")),
        _text(choice.get("finish_reason")),
        *_tokens(usage if isinstance(usage, dict) else {}),
    )


def message_in(body: bytes) -> str:
    """The sentence in a server's error; nothing where there is none."""
    value: Any = _object(body)
    for name in ("error", "message"):
        value = value.get(name, value) if isinstance(value, dict) else value
    return _text(value)


def _object(data: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _choice(value: Mapping[str, Any]) -> dict[str, Any]:
    choices = value.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    return first if isinstance(first, dict) else {}


def _tokens(usage: Mapping[str, Any]) -> tuple[int | None, int | None]:
    asked, said = usage.get("prompt_tokens"), usage.get("completion_tokens")
    return (asked if isinstance(asked, int) else None, said if isinstance(said, int) else None)


def _text(value: Any) -> str:
    """A text, with `?` for half characters, which nothing could write down."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""
