"""What can be saved of a line that is no plain record: glued, cut off, padded, or with fields of the wrong type.

Only lines that the fast decoder refused come here, so nothing is fast.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, TypeVar

import msgspec

from data import lenient_json

_PADDING = " \t\r\n\0\ufeff"  # a crash leaves NUL bytes at the end of a file, an editor a byte order mark at its start
_TRIES = 100  # places in a broken line where a whole record is looked for
_START = re.compile(r'\{"')

_Kind = TypeVar("_Kind", bound=msgspec.Struct)


class Broken(str):
    """Why a part of a line is no JSON value."""

    __slots__ = ()


def values(raw: bytes) -> Iterator[Any]:
    """The JSON values on a line in order, and a `Broken` for each part that is none.

    Lone surrogates become question marks. Behind a record that was cut off, the next one is found by its session.
    """
    text = raw.decode("utf-8", "replace").strip(_PADDING)
    at = 0
    while at < len(text):
        try:
            value, at = lenient_json.read(text, at)
            yield value
        except ValueError as error:
            yield Broken(error)
            at = _next_record(text, at + 1)
        while at < len(text) and text[at] in _PADDING:
            at += 1


def _next_record(text: str, start: int) -> int:
    """Where the next whole record of a session begins; the end of the text where none does."""
    for _, found in zip(range(_TRIES), _START.finditer(text, start), strict=False):
        with suppress(ValueError):
            value, _ = lenient_json.read(text, found.start())
            if "sessionId" in value and "type" in value:
                return found.start()
    return len(text)


def fitted(value: dict[str, Any], kind: type[_Kind]) -> _Kind:
    """The struct of an object. A field with a value of another type counts as absent."""
    fields = {}
    for field in msgspec.structs.fields(kind):
        if field.encode_name in value:
            with suppress(msgspec.ValidationError):
                fields[field.name] = _fit(value[field.encode_name], field.type)
    return kind(**fields)


def _fit(value: Any, kind: Any) -> Any:
    if kind is msgspec.Raw:
        return msgspec.Raw(json.dumps(value).encode())
    return msgspec.convert(value, kind)
