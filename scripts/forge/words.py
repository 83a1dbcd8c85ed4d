"""Arguments and options that several commands of `forge` have, alike in all of them."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from scripts.forge import places

Role = Annotated[str, typer.Argument(help="a role, such as mayor, or a pack", autocompletion=places.complete_role)]
AnyRole = Annotated[
    str, typer.Argument(help="a pack; without one, the roles of configs/data.yml", autocompletion=places.complete_role)
]
Version = Annotated[str, typer.Argument(help="such as v3", autocompletion=places.complete_version)]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--with",
        metavar="OVERRIDE",
        help="an override of the recipe, or a .yml file; may be repeated",
        autocompletion=places.complete_override,
    ),
]
Why = Annotated[str, typer.Option(help="a reason for the history")]
Json = Annotated[bool, typer.Option("--json", help="one JSON value on stdout, for programs")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="say what would be done, and stop")]


class Panel(StrEnum):
    """The groups of `forge --help`."""

    START = "Set up and look"
    DATA = "Rows"
    TRAIN = "Train"
    JUDGE = "Judge"
    RELEASE = "Release and serve"
    LOOP = "By itself"


def option(name: str, value: object) -> list[str]:
    """`--name value`, or nothing where there is no value."""
    if value is None or value is False or value == "":
        return []
    return [name] if value is True else [name, str(value)]


def repeated(name: str, values: list[str] | None) -> list[str]:
    return [word for value in values or () for word in (name, value)]


def overrides(names: list[str] | None) -> list[str]:
    """`--with` for each of them; a file counts from where the user stands."""
    return repeated("--with", [places.path(name) if name.endswith((".yml", ".yaml")) else name for name in names or ()])
