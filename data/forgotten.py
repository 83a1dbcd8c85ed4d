"""The list of sessions that no build may use: a text file with one id a line, which `forget` writes.

What follows a `#` at the start of a line is a comment. A missing file means that nothing is forgotten.
"""

from __future__ import annotations

from pathlib import Path

from data.config import ConfigError
from data.files import write_atomically


def load_forgotten(path: Path) -> frozenset[str]:
    """The ids in the list. Raises ConfigError where it cannot be read: a build must not use what it cannot check."""
    return frozenset(line.strip() for line in _lines(path) if line.strip() and not line.lstrip().startswith("#"))


def add_forgotten(path: Path, session: str) -> bool:
    """Put an id on the list, below all that it holds; False where it is there already.

    Raises ConfigError where the list cannot be read, or the id could not stand in a line of it; OSError where the list
    cannot be written, and then it is as before.
    """
    if not session.strip() or session.startswith("#") or not session.isprintable() or session != session.strip():
        raise ConfigError(f"{session!r} is no session id. `explain --session` shows the ids that a dataset knows.")
    if session in load_forgotten(path):
        return False
    write_atomically(path, "".join(f"{line}\n" for line in [*_lines(path), session]).encode())
    return True


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8-sig").splitlines()
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError(f"{path}: the list of forgotten sessions cannot be read ({reason}). Correct it.") from None
