"""What a person writes in the terminal: filters on one line, and a text in the editor of the environment."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from pathlib import Path

from data.curate.change import Refused
from data.curate.values import Filters


def read_filters(asked: str) -> Filters:
    """Filters such as `role=mayor search="two words"`; none for all. Raises Refused."""
    try:
        pairs = dict(word.partition("=")[::2] for word in shlex.split(asked))
    except ValueError:
        raise Refused("A quote is open. Close it.") from None
    if unknown := sorted(set(pairs) - set(Filters.__struct_fields__)):
        raise Refused(f"{unknown[0]} is no filter. Known: {', '.join(Filters.__struct_fields__)}.")
    return Filters(**pairs)


def in_editor(text: str) -> str:
    """The text as it was left in $VISUAL, $EDITOR or vi. Raises Refused where that failed."""
    command = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi")
    with tempfile.TemporaryDirectory(prefix="curate-") as folder:  # for nobody else to read
        path = Path(folder, "message.txt")
        path.write_text(text + "\n", "utf-8")
        try:
            done = subprocess.run([*command, str(path)], check=False)
        except OSError as problem:
            raise Refused(f"{command[0]} cannot be started ({problem.strerror}). Set EDITOR.") from None
        if done.returncode:
            raise Refused(f"{command[0]} ended with {done.returncode}. Nothing was changed.")
        try:
            return path.read_text("utf-8")
        except (OSError, UnicodeDecodeError):
            raise Refused("What the editor left cannot be read as UTF-8 text. Nothing was changed.") from None
