"""Whether the tool calls and results in a row's messages have their form and belong together.

Calls stand at the end of a gpt message, results at the start of the human message after it, one for each call
and in the calls' order. A tag anywhere else is content that was not escaped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec

CALL, CALL_END = "<tool_call>\n", "\n</tool_call>"
RESULT, RESULT_END = "<tool_result>\n", "</tool_result>"

_RECENT = 1024  # messages; the windows of one session repeat each other's
_TAG = re.compile(r"</?tool_(?:call|result)>")


class _Call(msgspec.Struct, frozen=True):
    """The body of a call; `Raw` takes any JSON and builds nothing."""

    name: str
    arguments: dict[str, msgspec.Raw]


_CALLS = msgspec.json.Decoder(_Call)


class FormError(ValueError):
    """What is wrong with the tags of a message, as the end of a sentence."""


def pairing_problems(turns: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Every call without a result, result without a call, and tag out of place. The last message may end in calls."""
    open_calls: int | None = 0  # None where the message's calls could not be counted
    for index, turn in enumerate(turns):
        made: int | None = 0
        try:
            if turn["from"] == "gpt":
                made = count_calls(turn["value"])
                results = 0
            else:
                results = count_results(turn["value"])
        except FormError as error:
            made = open_calls = None
            yield f"message {index} {error}"
            results = 0
        if open_calls is not None and results != open_calls:
            yield f"message {index} holds {_some(results, 'result')} for {_some(open_calls, 'call')}"
        open_calls = made


@lru_cache(maxsize=_RECENT)
def count_calls(value: str) -> int:
    """How many calls a gpt message makes. Raises FormError where they are not whole or not at its end."""
    if "tool_" not in value:
        return 0
    at = value.find(CALL)
    said, made = (value, "") if at < 0 else (value[:at], value[at:])
    _refuse_tags(said, "before its calls")
    *calls, rest = made.split(CALL_END)
    _refuse_tags(rest, "after its calls")
    if rest:
        raise FormError("has text after its calls")
    for call in calls:
        _check_call(call)
    return len(calls)


def _check_call(call: str) -> None:
    body = call.removeprefix("\n").removeprefix(CALL)
    if len(call) - len(body) < len(CALL):
        raise FormError("has text between its calls")
    _refuse_tags(body, "in a call")
    try:
        _CALLS.decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise FormError(f"has a call that is not a JSON object with name and arguments: {error}") from None


@lru_cache(maxsize=_RECENT)
def count_results(value: str) -> int:
    """How many results a message begins with. Raises FormError where they are not whole or not at its start."""
    if "tool_" not in value:
        return 0
    rest, count = value, 0
    while rest.startswith(RESULT):
        body, end, rest = rest.removeprefix(RESULT).partition(RESULT_END)
        if not end:
            raise FormError("has a result without an end")
        _refuse_tags(body, "in a result")
        rest = rest.removeprefix("\n")
        count += 1
    _refuse_tags(rest, "outside its results")
    return count


def _refuse_tags(text: str, where: str) -> None:
    if found := _TAG.search(text):
        raise FormError(f"has {found[0]} {where}; literal tags must be escaped")


def _some(count: int, noun: str) -> str:
    return f"{count or 'no'} {noun}{'' if count == 1 else 's'}"
