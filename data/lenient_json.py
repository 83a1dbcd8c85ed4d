"""JSON as agents write it: strict and fast first, then with what only Python takes: lone surrogates, huge numbers."""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec

_ENCODER = json.JSONEncoder(ensure_ascii=False)


def loads(text: str | bytes) -> Any:
    """The value of a JSON text. Numbers that JSON cannot write again (NaN, 1e999) become strings.

    Raises ValueError where it is no JSON, also where it is nested too deeply.
    """
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        pass
    try:
        return json.loads(text, parse_constant=str, parse_float=_finite)
    except RecursionError:
        raise ValueError("JSON nested too deeply") from None


def dumps(value: Any) -> str:
    """The value as JSON text, with spaces after `,` and `:` as the models write it."""
    return _ENCODER.encode(value)


def _finite(text: str) -> float | str:
    value = float(text)
    return value if math.isfinite(value) else text
