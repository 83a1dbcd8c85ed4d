"""What is wrong with a native row that keeps its schema: order, pairing of calls and results, tools, and contents.

Calls stand in `tool_calls` of an assistant message, each answered by one tool message after it, in the calls' order.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

Messages = Sequence[Mapping[str, Any]]

# What a base model's template or tokenizer could take for structure.
_LITERAL = re.compile(r"<\|[^\s|<>]+\|>|</?tool_(?:call|result|response)>")


class NotJson(ValueError):
    """What is wrong with the text in a native row's column, as a sentence."""


def is_native(row: Any) -> bool:
    return isinstance(row, dict) and "messages" in row


def decode_texts(row: Mapping[str, Any]) -> dict[str, Any]:
    """A native row with `messages` and `tools` as lists. Raises NotJson where one of them is no JSON text."""
    decoded = dict(row)
    for column in ("messages", "tools"):
        if column in row:
            try:
                decoded[column] = json.loads(row[column])
            except (TypeError, ValueError, RecursionError) as error:
                raise NotJson(f"{column} is not JSON text: {error}") from None
    return decoded


def native_problems(messages: Messages, tools: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield from _order_problems(messages)
    yield from _pairing_problems(messages)
    yield from _tool_problems(messages, tools)
    for index, message in enumerate(messages):
        yield from _content_problems(index, message)
    if found := _LITERAL.search(json.dumps(tools, ensure_ascii=False)):
        yield f"tools holds {found[0]}; it must be escaped"


def _order_problems(messages: Messages) -> Iterator[str]:
    roles = [message["role"] for message in messages]
    if roles[1] != "user":
        yield f"message 1 is {roles[1]}; after the system message comes a user message"
    for index, (before, after) in enumerate(pairwise(roles)):
        if before == after and after != "tool":
            yield f"messages {index} and {index + 1} are both {after}"
    if roles[-1] != "assistant" or not messages[-1]["train"]:
        yield "the last message must be an assistant message that is trained"
    for index, message in enumerate(messages):
        if message["train"] and message["role"] != "assistant":
            yield f"message {index} is {message['role']} and is trained; only assistant messages may be"


def _pairing_problems(messages: Messages) -> Iterator[str]:
    """Every call without a result, result without a call, and result out of order; the last message may call."""
    open_calls: list[str] = []
    for index, message in enumerate(messages):
        if message["role"] == "tool":
            if message["tool_call_id"] in open_calls[:1]:
                open_calls.pop(0)
            else:
                yield f"message {index} is a result of {message['tool_call_id']}, which is not the next open call"
        else:
            if open_calls:
                yield f"message {index} comes before the results of {', '.join(open_calls)}"
            open_calls = [call["id"] for call in message.get("tool_calls", ())]


def _tool_problems(messages: Messages, tools: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    offered = [tool["function"]["name"] for tool in tools]
    if offered != sorted(set(offered)):
        yield "tools must be in the order of their names, each once"
    for index, message in enumerate(messages):
        for call in message.get("tool_calls", ()):
            if call["function"]["name"] not in offered:
                yield f"message {index} calls {call['function']['name']}, which is not among the tools"


def _content_problems(index: int, message: Mapping[str, Any]) -> Iterator[str]:
    content = message["content"]
    if content != (content.rstrip() if message["role"] == "tool" else content.strip()):
        yield f"message {index} begins or ends with white space"
    if message["role"] == "assistant" and not content and "tool_calls" not in message:
        yield f"message {index} says nothing and calls nothing"
    if found := _LITERAL.search(json.dumps(message, ensure_ascii=False)):
        yield f"message {index} holds {found[0]}; it must be escaped"
