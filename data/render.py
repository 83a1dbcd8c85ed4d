"""The text form of messages: how calls and results look to the model, and how to read them back.

A call is `<tool_call>` around one JSON object, a result is `<tool_result>`; both are ordinary text for the base
model. The same tags, and control tokens such as `<|im_end|>`, inside content are escaped reversibly, so that
content can never be taken for structure.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from data.record import Assistant, Message, System, Tool, ToolCall, User

# Stands behind the words that opened a turn where a row starts later in it.
LEFT_OUT = "[The steps of this turn before the next reply are left out.]"

# A message is rendered to be measured, to be compared, and for each window that shows it.
_RECENT = 1024
_LITERAL = re.compile(r"<(?=\\*(?:/?tool_(?:call|result|response)>|\|))")
_ESCAPED = re.compile(r"<\\(?=\\*(?:/?tool_(?:call|result|response)>|\|))")
_IN_JSON = re.compile(r"<(?=/?tool_(?:call|result|response)>|\|)")
_DEEPEST = 64  # levels of a call's arguments; readers of JSON differ in how many they take, no tool asks for ten
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_BLANK_START = re.compile(r"\A(?:[^\S\n]*\n)+")
_CALL = re.compile(r"<tool_call>\n(.*?)\n</tool_call>", re.DOTALL)
_RESULT = re.compile(r"<tool_result>\n(.*?)\n?</tool_result>", re.DOTALL)


def escape(text: str) -> str:
    r"""Content as it may stand in a row: `<tool_call>` becomes `<\tool_call>`, `<|` becomes `<\|`."""
    return _LITERAL.sub(r"<\\", text) if "<" in text else text


def unescape(text: str) -> str:
    """The inverse of `escape`."""
    return _ESCAPED.sub("<", text)


@lru_cache(maxsize=_RECENT)
def _quoted(name: str) -> str:
    return json.dumps(name, ensure_ascii=False)


@lru_cache(maxsize=_RECENT)
def render_call(call: ToolCall) -> str:
    """One call as text. The `<` of a literal tag in an argument is written as a JSON escape, so it stays valid."""
    body = f'{{"name": {_quoted(call.name)}, "arguments": {call.arguments}}}'
    return f"<tool_call>\n{_IN_JSON.sub(_json_escape, body)}\n</tool_call>"


def render_reply(reply: Assistant) -> str:
    """One reply as text: what it said, then its calls in order."""
    said = escape(reply.text.strip())
    return "\n".join([*([said] if said else []), *map(render_call, reply.calls)])


def render_result(result: Tool) -> str:
    """One result as text."""
    return _tagged_result(result.text)


@lru_cache(maxsize=_RECENT)
def _tagged_result(text: str) -> str:
    return f"<tool_result>\n{escape(without_blank_ends(text))}\n</tool_result>"


def without_blank_ends(text: str) -> str:
    """The text without blank lines around it. The indentation of its first line stays: listings begin with it."""
    return _BLANK_START.sub("", text.rstrip())


def render_human(messages: Sequence[Message]) -> str:
    """Everything between two replies as one text: results first, in call order, then what was said."""
    results = [render_result(m) for m in messages if isinstance(m, Tool)]
    said = said_in(messages)
    return "\n".join([*results, *([said] if said else [])])


def render_system(message: System) -> str:
    return escape(message.text.strip())


def reply_value(replies: Sequence[Assistant]) -> str:
    """The replies of one turn as one text."""
    return "\n\n".join(value for value in map(render_reply, replies) if value)


def said_in(messages: Sequence[Message]) -> str:
    """What was said between two replies, without the results."""
    return "\n\n".join(escape(m.text.strip()) for m in messages if isinstance(m, User) and m.text.strip())


def read_arguments(arguments: str) -> dict[str, Any]:
    """A call's arguments as a value whose strings are escaped; what not every JSON reader takes stays one text."""
    try:
        value = json.loads(arguments, parse_constant=str)
        if isinstance(value, dict):
            return {escape_whole(key): _escape_value(inner, _DEEPEST) for key, inner in value.items()}
    except (ValueError, RecursionError):
        pass
    return {"arguments": escape_whole(arguments)}


def escape_whole(text: str) -> str:
    """Escaped, and with half characters replaced, which no tokenizer takes."""
    return escape(text if text.isascii() else _SURROGATE.sub("\ufffd", text))


def _escape_value(value: Any, room: int) -> Any:
    """The value with every string in it escaped. Raises RecursionError where it is nested deeper than `room`."""
    if not room:
        raise RecursionError
    match value:
        case str():
            return escape_whole(value)
        case dict():
            return {escape_whole(key): _escape_value(inner, room - 1) for key, inner in value.items()}
        case list():
            return [_escape_value(inner, room - 1) for inner in value]
        case float() if not math.isfinite(value):
            return str(value)
        case _:
            return value


def parse_calls(value: str) -> list[ToolCall]:
    """The calls in a gpt value. Raises ValueError where one is not a JSON object with name and arguments."""
    return [_parse_call(body, index) for index, body in enumerate(_CALL.findall(value))]


def parse_results(value: str) -> list[str]:
    """The results in a human value, unescaped, in order."""
    return [unescape(body) for body in _RESULT.findall(value)]


def _parse_call(body: str, index: int) -> ToolCall:
    call = json.loads(body)
    if not isinstance(call, dict) or not isinstance(call.get("arguments"), dict) or "name" not in call:
        raise ValueError(f"tool call {index} is not an object with name and arguments")
    return ToolCall(str(index), call["name"], json.dumps(call["arguments"], ensure_ascii=False))


def _json_escape(match: re.Match[str]) -> str:
    return "\\u003c"
