"""Which checkout `forge` works on: the one around the folder where the user stands, else FORGE_HOME, else its own.

Rooms read and write paths from the checkout's folder. What a user gives counts from where they stand, so it is turned
into such a path first.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NoReturn

CODE: Final = Path(__file__).resolve().parents[2]
# What no other project has side by side.
MARKS: Final = ("configs/base.yml", "data/pipeline.py", "scripts/forge/home.py")
VARIABLE: Final = "FORGE_HOME"


def is_home(folder: Path) -> bool:
    """Whether a folder is a checkout of lora-forge."""
    return all((folder / mark).is_file() for mark in MARKS)


def find_home(stands: Path, environment: Mapping[str, str]) -> Path:
    """The checkout to work on; ends the process with a sentence where FORGE_HOME names none."""
    here = stands.resolve()
    for folder in (here, *here.parents):
        if is_home(folder):
            return folder
    named = environment.get(VARIABLE)
    if not named:
        return CODE
    if not is_home(Path(named).expanduser()):
        sys.exit(f"forge: {VARIABLE}={named} is no checkout of lora-forge. Set it to one, or unset it.")
    return Path(named).expanduser().resolve()


def go_over(home: Path, words: Sequence[str]) -> NoReturn:
    """Becomes the `forge` of another checkout, with its own Python if it has one: code and recipes belong together."""
    own = home / ".venv/bin/python"
    python = str(own) if own.exists() else sys.executable
    paths = [str(home), *filter(None, [os.environ.get("PYTHONPATH")])]
    # From its folder the code would not know where the user stands.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), VARIABLE: str(home)}
    os.execve(python, [python, "-P", "-m", "scripts.forge", *words], environment)


def given(path: Path, stands: Path, home: Path = CODE) -> Path:
    """A path of the user's, as the rooms take it: from the checkout's folder where it lies below, whole otherwise."""
    whole = Path(os.path.normpath(stands / path.expanduser()))
    return whole.relative_to(home) if whole.is_relative_to(home) else whole
