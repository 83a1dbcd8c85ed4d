"""How a command of `forge` runs a room's command in this process, or a script in another one."""

from __future__ import annotations

import functools
import importlib
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from scripts.forge.home import CODE

# What `make` installs, by the first of its marks; everything else that is missing comes with the light part.
TRAINING: Final = {"torch", "transformers", "peft", "lm_eval", "datasets", "axolotl", "accelerate"}


class Problem(Exception):
    """One sentence with the fix; `code` is the exit code."""

    def __init__(self, sentence: str, code: int = 1) -> None:
        super().__init__(sentence)
        self.code = code


def room(module: str, arguments: Sequence[str]) -> int:
    """The exit code of `python -m MODULE ARGUMENTS`, run here. Raises `Problem` where a library is missing."""
    try:
        return int(command_of(module)(list(arguments)) or 0)
    except ModuleNotFoundError as missing:
        name = (missing.name or "").partition(".")[0]
        if name in ("data", "configs", "eval", "deploy", "scripts"):
            raise Problem(f"this checkout has no {missing.name}. Update it: git pull.") from None
        target = ".venv/.train" if name in TRAINING else ".venv/.light"
        raise Problem(f"{name} is not installed in this environment. Install it: make {target}.") from None
    except SystemExit as end:
        # argparse ends so, after a sentence of its own.
        return end.code if isinstance(end.code, int) else int(end.code is not None)


def command_of(module: str) -> Callable[[Sequence[str]], int]:
    """What `python -m MODULE` calls: `main`, of a package in its __main__; commands of eval have their name."""
    loaded = importlib.import_module(module)
    if hasattr(loaded, "__path__"):
        loaded = importlib.import_module(f"{module}.__main__")
    if main := getattr(loaded, "main", None):
        return main  # type: ignore[no-any-return]
    from eval.errors import one_sentence

    return functools.partial(one_sentence, getattr(loaded, module.rpartition(".")[2]))


def script(name: str, arguments: Sequence[str]) -> int:
    """The exit code of scripts/NAME, as a shell would say it."""
    code = subprocess.run([str(CODE / "scripts" / name), *arguments], cwd=CODE, check=False).returncode
    return code if code >= 0 else 128 - code


def first_failure(*steps: tuple[str, Sequence[str]]) -> int:
    """Runs rooms one after the other up to the first that fails; the exit code of the last one that ran."""
    code = 0
    for module, arguments in steps:
        if code := room(module, arguments):
            break
    return code


def folder_or_problem(folder: Path, fix: str) -> Path:
    """The folder if it is there. Raises `Problem` with the command that makes it."""
    if not folder.exists():
        raise Problem(f"{folder} is not there yet. {fix}")
    return folder
