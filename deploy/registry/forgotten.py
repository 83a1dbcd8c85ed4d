"""The sessions that `python -m data.pipeline forget` put on the list, and which of them an adapter learned from."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePath

from deploy.adapter import Refusal

FORGOTTEN = "forgotten.txt"  # below the root


def forgotten_in(root: Path, sessions: Iterable[str], transcripts: Iterable[str]) -> set[str]:
    """The forgotten sessions among these, and those whose transcripts are shown."""
    listed = read_forgotten(root / FORGOTTEN)
    if not listed:
        return set()
    return listed & set(sessions).union(*map(names_in, transcripts))


def read_forgotten(path: Path) -> set[str]:
    """The ids in the list, one a line; none without a list. Raises `Refusal` where it cannot be read."""
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except FileNotFoundError:
        return set()
    except (OSError, UnicodeDecodeError) as problem:
        raise Refusal(f"{path}: the list of forgotten sessions cannot be read ({problem}). Correct it.") from None
    return {line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")}


def names_in(file: str) -> set[str]:
    """The sessions for which a transcript can be named: every part of its path, whole or up to one of its dots."""
    parts = PurePath(file).parts
    return {*parts, *(part[:place] for part in parts for place, letter in enumerate(part) if letter == ".")}
