"""By itself: `forge iterate`, `forge auto start|run|stop|status`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from scripts.forge import places
from scripts.forge.rooms import Problem, room
from scripts.forge.words import DryRun, Json, Overrides, Panel, Role, option, overrides


class Action(StrEnum):
    START = "start"
    RUN = "run"
    STOP = "stop"
    STATUS = "status"


Strong = Annotated[
    str, typer.Option(metavar="URL#MODEL", help="the stronger model (default: that of configs/loop.yml)")
]
Roles = Annotated[list[str] | None, typer.Argument(help="whose rounds", autocompletion=places.complete_role)]


def add_to(app: typer.Typer) -> None:
    for command in (iterate, auto):
        app.command(rich_help_panel=Panel.LOOP)(command)


def iterate(
    role: Role,
    with_: Overrides = None,
    strong: Strong = "",
    fresh: Annotated[bool, typer.Option("--fresh", help="give an unfinished round up and begin a new one")] = False,
    dry_run: DryRun = False,
) -> int:
    """One round: evaluate, add examples where it is weakest, train, and promote if the gate lets it."""
    at = places.known(role)
    words = ["iterate", at.role, "--root", str(at.top), *at.config, *overrides(with_)]
    words += [*option("--strong", strong), *option("--fresh", fresh), *option("--dry-run", dry_run)]
    return room("scripts.loop", [*words, *places.further()])


def auto(
    action: Annotated[Action, typer.Argument(help="what to do; run: in the foreground")],
    roles: Roles = None,
    with_: Overrides = None,
    strong: Strong = "",
    json_: Json = False,
) -> int:
    """Rounds by themselves, when there are enough new examples or hours; never without the gate."""
    begins = action in (Action.START, Action.RUN)
    if begins and not roles:
        raise Problem(f"say whose rounds: forge auto {action} mayor.", 2)
    if not begins and (roles or with_ or strong):
        raise Problem(f"forge auto {action} is for all roles. Leave the rest out.", 2)
    named = [places.known(role).role for role in roles or []]
    words = [*named, *overrides(with_), *option("--strong", strong), "--root", str(places.session().root)]
    return room("scripts.loop", ["auto", action.value, *words, *option("--json", json_), *places.further()])
