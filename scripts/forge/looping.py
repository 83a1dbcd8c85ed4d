"""By itself: `forge iterate`, `forge auto start|stop|status`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from scripts.forge import places
from scripts.forge.rooms import room
from scripts.forge.words import Json, Panel, Role, option


class Action(StrEnum):
    START = "start"
    STOP = "stop"
    STATUS = "status"


def add_to(app: typer.Typer) -> None:
    for command in (iterate, auto):
        app.command(rich_help_panel=Panel.LOOP)(command)


def iterate(role: Role) -> int:
    """One round: evaluate, add examples where it is weakest, train, and promote if the gate lets it."""
    words = ["iterate", role, "--root", str(places.session().root)]
    return room("scripts.loop", [*words, *places.further()])


def auto(
    action: Annotated[Action, typer.Argument(help="what to do")],
    json_: Json = False,
) -> int:
    """Rounds by themselves, when there are enough new examples or hours; never without the gate."""
    words = ["auto", action.value, "--root", str(places.session().root), *option("--json", json_)]
    return room("scripts.loop", [*words, *places.further()])
