"""Makes texts uniform: no terminal codes, no characters that JSON or a tokenizer cannot hold, no boilerplate.

What the assistant wrote is only repaired, never shortened.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator

from msgspec.structs import replace

from data.config import NormalizeConfig
from data.record import Assistant, Conversation, Message, Note, Tool, User
from data.render import without_blank_ends
from data.stage import Stage

STAGE = "normalize"
EMPTY_RESULT = "(no output)"

_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[@-_]")
# NUL and lone surrogates cannot be written as UTF-8 JSON; other control characters carry nothing.
_UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


def tool_normalizer(config: NormalizeConfig) -> Stage:
    """A stage that cleans every text; removed boilerplate is noted by the name of its rule."""
    rules = [(name, re.compile(pattern, re.DOTALL)) for name, pattern in config.boilerplate.items()]

    def strip_boilerplate(text: str, removed: Counter[str]) -> str:
        for name, pattern in rules:
            text, count = pattern.subn("", text)
            removed[name] += count
        return text

    def normalize(conversation: Conversation) -> Iterator[Conversation]:
        removed: Counter[str] = Counter()
        messages = tuple(_clean(m, removed, strip_boilerplate) for m in conversation.messages)
        notes = tuple(Note(STAGE, name, count) for name, count in sorted(removed.items()) if count)
        yield replace(conversation, messages=messages, notes=conversation.notes + notes)

    return normalize


def _clean(message: Message, removed: Counter[str], strip: Callable[[str, Counter[str]], str]) -> Message:
    match message:
        case Tool():
            text = without_blank_ends(strip(plain(message.text), removed))
            return replace(message, text=text or EMPTY_RESULT)
        case User():
            return replace(message, text=plain(message.text).strip())
        case Assistant():
            calls = tuple(replace(call, arguments=writable(call.arguments)) for call in message.calls)
            return replace(message, text=writable(message.text).strip(), calls=calls)
        case _:
            return message


def plain(text: str) -> str:
    """Text without terminal codes and unwritable characters, lines ended by a newline."""
    if "\x1b" in text:
        text = _ANSI.sub("", text)
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return writable(text)


def writable(text: str) -> str:
    """Text without the characters that a UTF-8 JSON file cannot hold."""
    return text if text.isascii() and text.isprintable() else _UNWRITABLE.sub("", text)
