"""A rented machine over SSH: `forge remote push|train|full|status|pull`."""

from __future__ import annotations

from typing import Annotated

import typer

from scripts.forge import places
from scripts.forge.rooms import Problem, script
from scripts.forge.training import RunName
from scripts.forge.words import DryRun, Overrides, Panel, Role, option, overrides

Host = Annotated[str, typer.Argument(help="a name of your ssh config, or user@address")]
Gpus = Annotated[int | None, typer.Option(metavar="N", min=1, help="GPUs of the machine (default: 1)")]


def add_to(app: typer.Typer) -> None:
    remote = typer.Typer(no_args_is_help=True, help="Train on a rented machine over SSH.")
    for command in (push, train, full, status, pull):
        remote.command()(command)
    app.add_typer(remote, name="remote", rich_help_panel=Panel.TRAIN)


def push(
    host: Host,
    roles: Annotated[
        list[str] | None, typer.Argument(help="only the rows of these", autocompletion=places.complete_role)
    ] = None,
    dry_run: DryRun = False,
) -> int:
    """Send code, rows and recipes, and check there that every file arrived."""
    named = [sent(role) for role in roles or []]
    return script("sync_data.sh", [*option("--dry-run", dry_run), host, *named, *places.further()])


def train(
    host: Host, role: Role, with_: Overrides = None, run: RunName = "", gpus: Gpus = None, dry_run: DryRun = False
) -> int:
    """Start the training there, detached, and follow its log; -- --attach follows one that runs already."""
    return script("run_train.sh", asked(host, role, with_, run, gpus, dry_run))


def full(
    host: Host, role: Role, with_: Overrides = None, run: RunName = "", gpus: Gpus = None, dry_run: DryRun = False
) -> int:
    """Send, set up, train, fetch; called again, it goes on where it stopped."""
    return script("remote.sh", ["full", *asked(host, role, with_, run, gpus, dry_run)])


def asked(host: str, role: str, names: list[str] | None, run: str, gpus: int | None, dry_run: bool) -> list[str]:
    words = [host, sent(role), *overrides(names), *option("--run", run), *option("--gpus", gpus)]
    return [*words, *option("--dry-run", dry_run), *places.further()]


def sent(role: str) -> str:
    """A role whose rows are sent. Raises `Problem` for a pack, whose files lie elsewhere."""
    at = places.known(role)
    if at.pack:
        raise Problem(
            f"only the rows in output/datasets are sent, not those of a pack. Copy {at.root} to the machine yourself, "
            f"and train there: scripts/train.sh {at.recipe} --root {at.root}.",
            2,
        )
    return at.role


def status(host: Host) -> int:
    """Every training there: how it stands, the last line of its log."""
    return script("remote.sh", ["status", host, *places.further()])


def pull(
    host: Host,
    run: Annotated[str, typer.Argument(help="the role's name, or one such as mayor-dpo")],
    dry_run: DryRun = False,
) -> int:
    """Fetch a trained adapter, checked file by file."""
    return script("pull_adapter.sh", [*option("--dry-run", dry_run), host, run, *places.further()])
