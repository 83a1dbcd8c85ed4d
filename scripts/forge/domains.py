"""Packs: `forge domain` lists them, `forge domain legal` shows one, `forge domain import FILE` brings one in."""

from __future__ import annotations

from typing import Annotated

import typer

from scripts.forge import places
from scripts.forge.rooms import Problem, room
from scripts.forge.words import Json, Panel, option


def add_to(app: typer.Typer) -> None:
    app.command(rich_help_panel=Panel.START)(domain)


def complete(incomplete: str) -> list[str]:
    return [name for name in (*places.packs(), "check", "import") if name.startswith(incomplete)]


def domain(
    id_: Annotated[
        str, typer.Argument(metavar="[ID|import|check]", help="a pack, or what to do", autocompletion=complete)
    ] = "",
    of: Annotated[
        str, typer.Argument(metavar="[FILE|ID]", help="the JSON of a domain to import; the pack to check")
    ] = "",
    json_: Json = False,
) -> int:
    """The packs: list them, show one, check one, or import the JSON of a domain as one."""
    return room("configs.pack", [*words(id_, of), *option("--json", json_), *places.further()])


def words(id_: str, of: str) -> list[str]:
    """The words of `python -m configs.pack`."""
    match id_:
        case "":
            return ["list"]
        case "import" if of:
            return ["import", places.path(of)]
        case "import":
            raise Problem("domain import needs the JSON file of a domain: forge domain import FILE.", 2)
        case "check":
            return ["check", *filter(None, [of])]
        case _ if of:
            raise Problem(f"one pack at a time: {id_} or {of}?", 2)
    return ["show", id_]
