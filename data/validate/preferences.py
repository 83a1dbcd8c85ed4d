"""The contract of a row of preferences: its JSON Schema, and the rules that a schema cannot say."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data.validate.pairing import pairing_problems
from data.validate.preference_shape import fits

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator

SCHEMA = Path(__file__).with_name("preference.schema.json")

_CONTROL = re.compile(r"<\|[^\s|<>]+\|>")
_SPEAKERS = {"system": "system", "user": "human", "assistant": "gpt"}


def is_preference(row: Any) -> bool:
    return isinstance(row, dict) and ("chosen" in row or "completion" in row)


def check_preference(row: Any) -> list[str]:
    """Every problem of a row of preferences, one sentence each; an empty list where it keeps the contract."""
    try:
        decoded = row | {"metadata": metadata_of(row)}
    except (KeyError, TypeError, ValueError):
        return ["metadata is no JSON in a text"]
    return schema_problems(decoded) or list(_problems(row))


def schema_problems(row: Mapping[str, Any]) -> list[str]:
    """What the JSON Schema says against a row with its metadata decoded."""
    if fits(row):
        return []
    errors = sorted(validator("chosen" in row).iter_errors(row), key=lambda error: error.json_path)
    return [f"{error.json_path.removeprefix('$.')}: {error.message[:200]}" for error in errors]


def metadata_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """Raises ValueError where the text is no JSON object."""
    value = json.loads(row["metadata"])
    if not isinstance(value, dict):
        raise ValueError("metadata is no object")
    return value


def texts_of(row: Mapping[str, Any]) -> list[str]:
    """What a row shows and trains."""
    return [message["content"] for message in _messages(row)]


@functools.cache
def validator(pair: bool) -> Draft202012Validator:
    """The schema of a pair, or of a judged reply."""
    from jsonschema import Draft202012Validator

    schema = json.loads(SCHEMA.read_text("utf-8"))
    return Draft202012Validator({"$ref": f"#/$defs/{'pair' if pair else 'judged'}", "$defs": schema["$defs"]})


def _messages(row: Mapping[str, Any]) -> list[Mapping[str, str]]:
    return [*row["messages"], row["chosen"], row["rejected"]] if "chosen" in row else list(row["completion"])


def _problems(row: Mapping[str, Any]) -> Iterator[str]:
    """Order, contents and pairing; each reply of a pair stands behind the messages in turn."""
    for index, message in enumerate(_messages(row)):
        text = message["content"]
        if text != text.strip():
            yield f"message {index} begins or ends with white space"
        if control := _CONTROL.search(text):
            yield f"message {index} holds the control token {control[0]}; it must be escaped"
    if "chosen" not in row:
        yield from _order_problems(row["completion"])
        return
    if row["chosen"] == row["rejected"]:
        yield "chosen and rejected say the same"
    for side in ("rejected", "chosen"):
        yield from (f"with {side}: {problem}" for problem in _order_problems([*row["messages"], row[side]]))


def _order_problems(messages: Sequence[Mapping[str, str]]) -> Iterator[str]:
    expected = ["system", *(("user", "assistant") * len(messages))][: len(messages)]
    if [message["role"] for message in messages] != expected or len(messages) % 2 == 0:
        yield "after the system message, user and assistant must take turns up to a reply"
    yield from pairing_problems([{"from": _SPEAKERS[one["role"]], "value": one["content"]} for one in messages])
