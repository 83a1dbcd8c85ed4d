"""Text that can be written down and read: without terminal codes, control characters and lone surrogates."""

from __future__ import annotations

import re

_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[@-_]")
# NUL and lone surrogates cannot be written as UTF-8 JSON; other control characters carry nothing.
_UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_ODD_BYTES = bytes([*range(9), 11, 12, *range(13, 32), 127])


def plain(text: str) -> str:
    """Text without terminal codes and unwritable characters, lines ended by a newline."""
    if is_plain(text):
        return text
    text = _ANSI.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
    return _UNWRITABLE.sub("", text)


def writable(text: str) -> str:
    """Text without the characters that a UTF-8 JSON file cannot hold."""
    return text if is_plain(text) else _UNWRITABLE.sub("", text)


def is_plain(text: str) -> bool:
    """Whether a text holds no control character but tabs and newlines, and no lone surrogate. 1 ns a character."""
    try:
        data = text.encode()
    except UnicodeEncodeError:
        return False
    return len(data.translate(None, _ODD_BYTES)) == len(data)


def is_blank(text: str) -> bool:
    """Whether nothing of a stripped text can be seen: it is empty, or holds control characters alone."""
    return not text or (_UNWRITABLE.match(text) is not None and not plain(text).strip())
