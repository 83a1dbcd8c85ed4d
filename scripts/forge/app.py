"""The commands of `forge` together, and what is said when one of them cannot start."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer.core import TyperArgument

from scripts.forge import data_commands, domains, judging, looping, releasing, remote, setting_up, training
from scripts.forge.home import CODE, given
from scripts.forge.places import Session
from scripts.forge.rooms import Problem

if TYPE_CHECKING:
    import click

app = typer.Typer(
    name="forge",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="What stands behind -- goes to the room's own command as it is: forge data -- --workers 2. "
    "docs/commands.md tells what each command runs.",
)
for part in (setting_up, domains, data_commands, training, judging, releasing, looping, remote):
    part.add_to(app)


@app.callback()
def everywhere(
    context: typer.Context,
    root: Annotated[
        Path, typer.Option(metavar="DIR", envvar="FORGE_ROOT", help="the output tree, with registry and packs")
    ] = Path("output"),
) -> None:
    """From your agents' transcripts to an adapter you can defend: one command over the rooms."""
    before: Session = context.obj
    chosen = root if root == Path("output") else given(root, before.stands)
    context.obj = Session(before.stands, chosen, before.further)


def run(words: Sequence[str], stands: Path) -> int:
    """The exit code of a command line that was given in the folder `stands`."""
    import click

    own, further = divided(words)
    os.chdir(CODE)
    try:
        command = typer.main.get_command(app)
        keep_help(command)
        code = command(own, prog_name="forge", standalone_mode=False, obj=Session(stands, further=further))
    except Problem as problem:
        print(f"forge: {problem}", file=sys.stderr)
        return problem.code
    except click.ClickException as wrong:
        print(f"forge: {sentence_of(wrong)}", file=sys.stderr)
        return wrong.exit_code
    except click.Abort:
        return 130
    return int(code or 0)


def keep_help(command: click.Command) -> None:
    """Gives arguments the help that they were declared with: click 8.5 forgets what Typer 0.25 has set."""
    for part in getattr(command, "commands", {}).values():
        keep_help(part)
    for parameter in command.params:
        if isinstance(parameter, TyperArgument) and not parameter.help and command.callback:
            hints = inspect.signature(command.callback, eval_str=True).parameters
            (declared,) = hints[str(parameter.name)].annotation.__metadata__
            parameter.help = declared.help


def sentence_of(wrong: click.ClickException) -> str:
    """What is wrong with a command line, and where to read how it is right."""
    import click

    context = wrong.ctx if isinstance(wrong, click.UsageError) else None
    # Typer and click both add what was meant to a name that there is not.
    said = wrong.message if isinstance(wrong, click.UsageError) else ""
    asked = context.command_path if context else "forge"
    return f"{(said or wrong.format_message()).rstrip('.')}. See: {asked} --help"


def divided(words: Sequence[str]) -> tuple[list[str], tuple[str, ...]]:
    """What is for `forge`, and what stands behind `--` for the room."""
    if "--" not in words:
        return list(words), ()
    middle = list(words).index("--")
    return list(words[:middle]), tuple(words[middle + 1 :])
