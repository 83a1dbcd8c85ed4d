"""The messages of a row as a reader meets them, whichever of the two forms the row has.

`messages_of(row)` yields who speaks, the text with calls and results in their tags, and whether it is trained;
`parts_of` tells apart what in it is a call, a result, or a mark of something left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from data.record import ToolCall
from data.render import LEFT_OUT, render_call
from data.transform.chat_formatter import NativeRow, Row
from data.transform.chunker import NO_START
from data.validate.rows import DatasetError

Speaker = Literal["system", "user", "assistant", "tool"]
Kind = Literal["text", "call", "result", "elided"]

_SPEAKERS: dict[str, Speaker] = {"system": "system", "human": "user", "gpt": "assistant"}
_CALL_NAME = re.compile(r'<tool_call>\n\{"name": "((?:[^"\\]|\\.)*)"')
_BLOCK = re.compile(r"(<tool_(call|result)>\n.*?</tool_\2>)", re.DOTALL)
# What data/tokens.py writes where it cuts a text, and what the chunker writes for steps it does not show.
_ELIDED = re.compile(rf"(\[\.\.\. \d+ characters left out \.\.\.\]|{re.escape(LEFT_OUT)}|{re.escape(NO_START)})")
_CUT, _NOT_SHOWN = " characters left out ...]", (LEFT_OUT, NO_START)


class _Function(msgspec.Struct, frozen=True):
    name: str
    arguments: dict[str, Any] = {}


class _Call(msgspec.Struct, frozen=True):
    function: _Function


class _Native(msgspec.Struct, frozen=True):
    """A message of a row in the base model's own tool format."""

    role: Speaker
    content: str = ""
    tool_calls: tuple[_Call, ...] = ()
    train: bool = False


_NATIVE = msgspec.json.Decoder(tuple[_Native, ...])


def messages_of(row: Row | NativeRow) -> Iterator[tuple[Speaker, str, bool]]:
    """Speaker, text, trained: one for each message of a row. Calls and results of native rows get their tags here.

    Raises DatasetError where the messages of a native row cannot be read.
    """
    if isinstance(row, Row):
        for turn in row.conversations:
            yield _SPEAKERS[turn.from_], turn.value, turn.train
    else:
        for message in _decode(row):
            yield message.role, _native_text(message), message.train


def _decode(row: NativeRow) -> tuple[_Native, ...]:
    try:
        return _NATIVE.decode(row.messages)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise DatasetError(
            f"Row {row.metadata.id}: its messages cannot be read ({error}). Build the dataset again."
        ) from None


def _native_text(message: _Native) -> str:
    if message.role == "tool":
        return f"<tool_result>\n{message.content}\n</tool_result>"
    calls = (render_call(ToolCall("", call.function.name, _as_json(call.function))) for call in message.tool_calls)
    return "\n".join([*([message.content] if message.content else []), *calls])


def _as_json(function: _Function) -> str:
    return json.dumps(function.arguments, ensure_ascii=False)


def calls_in(text: str) -> list[str]:
    """The names of the tools that a text calls, in order, as its JSON writes them."""
    return _CALL_NAME.findall(text) if "<tool_call>" in text else []


def is_cut(speaker: Speaker, text: str) -> bool:
    """Whether something of a message was left out to make it fit."""
    marked = speaker != "assistant" and (_CUT in text or any(mark in text for mark in _NOT_SHOWN))
    return marked and _ELIDED.search(text) is not None


def parts_of(speaker: Speaker, text: str) -> Iterator[tuple[Kind, str]]:
    """A message's parts by kind, in order; together they are its text. What a model said is never cut."""
    pieces = _BLOCK.split(text)  # text, block, the block's kind, text, block, ...
    for index in range(0, len(pieces), 3):
        yield from _elisions(speaker, pieces[index], "text")
        if index + 1 < len(pieces):
            yield from _elisions(speaker, pieces[index + 1], "call" if pieces[index + 2] == "call" else "result")


def _elisions(speaker: Speaker, text: str, kind: Kind) -> Iterator[tuple[Kind, str]]:
    for index, piece in enumerate([text] if speaker == "assistant" else _ELIDED.split(text)):
        if piece:
            yield ("elided" if index % 2 else kind), piece
