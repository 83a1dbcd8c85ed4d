"""Single keys of a terminal, read as they are pressed."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from data.config import ConfigError

_ESCAPES = {b"[A": "up", b"[B": "down", b"[5~": "pageup", b"[6~": "pagedown", b"OA": "up", b"OB": "down"}


def check_terminal() -> None:
    """Raises ConfigError where nobody can press a key."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise ConfigError(
            "--terminal needs a terminal to read keys from. Run it in one, or give decisions with --apply FILE."
        )


@contextmanager
def single_keys(on: bool = True) -> Iterator[None]:
    """Keys come one at a time and are not shown (or, off, by lines again); afterwards the terminal is as before.

    Keys that were pressed before this wait to be read.
    """
    import termios

    before = termios.tcgetattr(sys.stdin)
    changed = termios.tcgetattr(sys.stdin)
    flags = termios.ICANON | termios.ECHO
    changed[3] = changed[3] & ~flags if on else changed[3] | flags
    changed[6][termios.VMIN], changed[6][termios.VTIME] = 1, 0
    try:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, changed)
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def read_key() -> str:
    """The next key: a letter, or a name such as `up`, `enter`, `escape`; empty at the end of the input."""
    import select

    first = os.read(sys.stdin.fileno(), 1)
    if first == b"\x1b":
        rest = b""
        while select.select([sys.stdin], [], [], 0.05)[0] and len(rest) < 4:
            rest += os.read(sys.stdin.fileno(), 1)
            if rest in _ESCAPES:
                return _ESCAPES[rest]
        return "escape"
    while first and not _whole(first):
        first += os.read(sys.stdin.fileno(), 1)
    text = first.decode("utf-8", "replace")
    return {"\n": "enter", "\r": "enter", "\x04": ""}.get(text, text)


def _whole(part: bytes) -> bool:
    """Whether these bytes are a character; one of UTF-8 has at most four."""
    try:
        part.decode("utf-8")
    except UnicodeDecodeError:
        return len(part) >= 4
    return True
