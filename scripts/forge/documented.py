"""The reference of `forge` in docs/commands.md, from the commands themselves: `python -m scripts.forge.documented`.

It prints the section; --write puts it into the file, between its marks. A test holds the file against it.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from configs.plan.tabulate import run

FILE: Final = Path("docs/commands.md")


def main(arguments: list[str] | None = None) -> int:
    return run("scripts.forge.documented", (__doc__ or "").splitlines()[0], FILE, reference, arguments)


def reference() -> Iterator[str]:
    """The lines of the section."""
    for words, function in commands():
        yield from ("", *section(words, function))
    yield ""


def commands() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Each command by its words, in the order of the help."""
    from scripts.forge.app import app

    for group, prefix in ((app, "forge"), *((g.typer_instance, f"forge {g.name}") for g in app.registered_groups)):
        assert group is not None
        for command in group.registered_commands:
            assert command.callback is not None
            yield f"{prefix} {command.name or command.callback.__name__}", command.callback


def section(words: str, function: Callable[..., Any]) -> Iterator[str]:
    """Heading, what it does, and a line for each argument and option."""
    parameters = [described(one) for one in inspect.signature(function, eval_str=True).parameters.values()]
    usage = (shown if is_needed else f"[{shown}]" for shown, is_needed, _ in parameters)
    yield f"### `{' '.join([words, *usage])}`"
    yield ""
    yield (function.__doc__ or "").strip()
    yield from ("", *(f"- `{shown}`: {about}" for shown, _, about in parameters)) if parameters else ()


def described(one: inspect.Parameter) -> tuple[str, bool, str]:
    """How a parameter is written, whether it has to be, and its help."""
    (info,) = (part for part in one.annotation.__metadata__ if hasattr(part, "param_decls"))
    plain = one.name.rstrip("_")
    value = info.metavar or plain.upper()
    if type(info).__name__ == "OptionInfo":
        # Typer takes the first name for a default where an annotation gives several.
        declared = [word for word in (str(info.default), *(info.param_decls or ())) if word.startswith("--")]
        is_flag = one.annotation.__origin__ is bool
        value = (declared or [f"--{plain}"])[0] + ("" if is_flag else f" {value}")
    return value.strip("[]"), one.default is inspect.Parameter.empty, str(info.help)


if __name__ == "__main__":
    sys.exit(main())
