"""Reads a model's raw answer: the visible text, the tool calls, and what is wrong with the form.

The form is that of the training rows: optional text, then `<tool_call>\\n{"name": ..., "arguments":
{...}}\\n</tool_call>` per call. Nothing is repaired: a call that does not parse is a flag, because the
agent's runtime would not run it.
"""

import json
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec

OPEN, CLOSE = "<tool_call>", "</tool_call>"
TAG = re.compile(r"</?tool_call>")
RESULT_TAG = re.compile(r"</?tool_result>")
CONTROL_TOKEN = re.compile(r"<\|(?:im_start|im_end|endoftext|start_header_id|eot_id)\|>")
THOUGHT = re.compile(r"<think>.*?(?:</think>|\Z)", re.DOTALL)
FENCE = re.compile(r"^\s*(?:```|~~~)", re.MULTILINE)
# A tool call written as bare JSON, well formed or not: the keys in either order, or a call-like list of
# Mistral's form.
UNTAGGED = re.compile(
    r"""["']name["']\s*:\s*["'][^"']*["']\s*,\s*["'](?:arguments|parameters|input)["']\s*:"""
    r"""|["'](?:arguments|parameters|input)["']\s*:\s*\{.*?\}\s*,\s*["']name["']\s*:"""
    r"""|\[TOOL_CALLS\]|<function=|<invoke\b""",
    re.DOTALL,
)
# data/render.py writes a literal tag of free text with a backslash after its `<`; reading takes one off
# again.
LITERAL_TAG = re.compile(r"<(?=\\*(?:/?tool_(?:call|result)>|\|))")
ESCAPED_TAG = re.compile(r"<\\(?=\\*(?:/?tool_(?:call|result)>|\|))")


class Flag(StrEnum):
    """A fault of form. Every flag makes the answer invalid.

    Those in `ATTEMPTS` show that a call was meant.
    """

    MALFORMED_CALL = "a tool call is not the JSON object {name, arguments}"
    UNCLOSED_TAG = "a tool_call tag has no partner"
    UNTAGGED_CALL = "a tool call is written without its tags"
    FENCED_CALL = "a tool call stands in a code fence"
    FABRICATED_RESULT = "the answer writes its own tool result"
    CONTROL_TOKEN = "the answer goes on past the end of its turn"


ATTEMPTS = frozenset({Flag.MALFORMED_CALL, Flag.UNCLOSED_TAG, Flag.UNTAGGED_CALL, Flag.FENCED_CALL})


class Call(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One well-formed tool call."""

    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """What the reader of an answer sees (thoughts removed), the calls in order, and the faults of form."""

    text: str
    calls: tuple[Call, ...]
    flags: tuple[Flag, ...]

    @property
    def attempted(self) -> bool:
        """Whether a tool call was made or tried."""
        return bool(self.calls) or not ATTEMPTS.isdisjoint(self.flags)


def parse_answer(raw: str) -> Answer:
    """Splits a raw answer into text, calls and flags; never raises."""
    seen = visible(raw)
    text, bodies, flags = _split(seen)
    calls = [_call(body) for body in bodies]
    if None in calls:
        flags.add(Flag.MALFORMED_CALL)
    if UNTAGGED.search(text):
        flags.add(Flag.UNTAGGED_CALL)
    if RESULT_TAG.search(text):
        flags.add(Flag.FABRICATED_RESULT)
    if CONTROL_TOKEN.search(seen):
        flags.add(Flag.CONTROL_TOKEN)
    ordered = tuple(flag for flag in Flag if flag in flags)
    return Answer(unescape(text).strip(), tuple(call for call in calls if call), ordered)


def escape(text: str) -> str:
    """Puts a backslash into each tag or control token of free text, so that it cannot be taken for structure."""
    return LITERAL_TAG.sub(r"<\\", text)


def unescape(text: str) -> str:
    """Takes one backslash from each escaped tag or control token of free text."""
    return ESCAPED_TAG.sub("<", text)


def visible(raw: str) -> str:
    """The answer without its `<think>` parts; where the template opened the thought, all up to `</think>` is one."""
    if "</think>" in raw and "<think>" not in raw.split("</think>", 1)[0]:
        raw = raw.split("</think>", 1)[1]
    return THOUGHT.sub("", raw)


def _split(visible: str) -> tuple[str, list[str], set[Flag]]:
    """The text outside the call tags, the bodies between them, and the flags of tags and fences."""
    texts, bodies = [], []
    flags: set[Flag] = set()
    opened: int | None = None
    position = 0
    for tag in TAG.finditer(visible):
        if (tag.group() == OPEN) != (opened is None):
            flags.add(Flag.UNCLOSED_TAG)
        if tag.group() == OPEN:
            if opened is None:
                texts.append(visible[position : tag.start()])
            opened = tag.end()
            if len(FENCE.findall("".join(texts))) % 2:
                flags.add(Flag.FENCED_CALL)
        elif opened is not None:
            bodies.append(visible[opened : tag.start()])
            opened = None
        position = tag.end()
    if opened is not None:
        flags.add(Flag.UNCLOSED_TAG)
    else:
        texts.append(visible[position:])
    return "".join(texts), [] if Flag.FENCED_CALL in flags else bodies, flags


def _call(body: str) -> Call | None:
    try:
        value = json.loads(body, object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None
    match value:
        case {"name": str(name), "arguments": dict(arguments)} if len(value) == 2 and name:
            return Call(name, arguments)
        case _:
            return None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError("a key is given twice")
    return dict(pairs)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
