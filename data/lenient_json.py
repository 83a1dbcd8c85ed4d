"""JSON as agents write it: strict and fast first, then with what only Python takes: lone surrogates, huge numbers."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Container, Iterable, Iterator
from typing import Any

import msgspec

_ENCODER = json.JSONEncoder(ensure_ascii=False)
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_LONGEST_INTEGER = 4000  # digits; Python reads 4,300


def loads(text: str | bytes) -> Any:
    """The value of a JSON text. Numbers that JSON cannot write again (NaN, 1e999) become strings.

    Raises ValueError where it is no JSON, also where it is nested too deeply.
    """
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        pass
    try:
        return _DECODER.decode(text if isinstance(text, str) else text.decode("utf-8", "replace"))
    except RecursionError:
        raise ValueError("JSON nested too deeply") from None


def read(text: str, start: int) -> tuple[Any, int]:
    """The value that begins at a place of a text, without lone surrogates, and where it ends. Raises ValueError."""
    try:
        value, end = _DECODER.raw_decode(text, start)
        if _SURROGATE.search(text, start, end):
            value = json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
        return value, end
    except RecursionError:
        raise ValueError("JSON nested too deeply") from None


def is_deep(value: Any, levels: int) -> bool:
    """Whether lists and objects stand in each other more often than that."""
    inside = [value]
    for _ in range(levels):
        inside = [part for one in inside if isinstance(one, (dict, list)) for part in _parts(one)]
    return any(isinstance(one, (dict, list)) for one in inside)


def _parts(value: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value


def strings(value: Any, known_keys: Container[str] = ()) -> Iterator[str]:
    """The keys and texts in a value, in order, without the known keys."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            if key not in known_keys:
                yield key
            yield from strings(inner, known_keys)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner, known_keys)


def dumps(value: Any) -> str:
    """The value as JSON text, with spaces after `,` and `:` as the models write it."""
    return _ENCODER.encode(value)


def _finite(text: str) -> float | str:
    value = float(text)
    return value if math.isfinite(value) else text


def _bounded(text: str) -> int | str:
    return int(text) if len(text) <= _LONGEST_INTEGER else text


_DECODER = json.JSONDecoder(strict=False, parse_constant=str, parse_float=_finite, parse_int=_bounded)
