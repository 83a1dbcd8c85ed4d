"""Set up and look: `forge init`, `forge status`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scripts.forge import places
from scripts.forge.words import Json, Overrides, Panel, overrides

if TYPE_CHECKING:
    from scripts.forge.hardware import Hardware
    from scripts.forge.preparing import Ask, Ready
    from scripts.forge.recommending import Advice


def add_to(app: typer.Typer) -> None:
    for command in (init, status):
        app.command(rich_help_panel=Panel.START)(command)


def init(
    yes: Annotated[bool, typer.Option("--yes", "-y", help="install and fetch without asking")] = False,
    with_: Overrides = None,
    json_: Json = False,
) -> int:
    """Find what this machine is, install and fetch what is missing, make the databases, and say what to run next."""
    from scripts.forge.hardware import find_hardware
    from scripts.forge.preparing import Ready, prepare_base, prepare_databases, prepare_environment, value_of

    top, ready = places.session().root, Ready()
    hardware = find_hardware(top)
    advice = advise(hardware, with_ or [])
    ask = answers(yes, json_)
    prepare_environment(ready, hardware, ask)
    prepare_base(ready, advice, ask)
    prepare_databases(ready, top)
    steps = next_two(top, advice)
    if json_:
        print(json.dumps(value_of(ready, hardware, advice, steps), indent=1, ensure_ascii=False))
    else:
        print_ready(hardware, advice, ready, steps)
    return int(ready.broken)


def advise(hardware: Hardware, names: list[str]) -> Advice:
    """What fits this machine, or what the user wants to train."""
    from scripts.forge.recommending import base_of, recommend

    fitting = recommend(hardware)
    if not names:
        return fitting
    wanted = tuple(overrides(names)[1::2])
    return replace(fitting, overrides=wanted, base_model=base_of(wanted), trains=True, why="as you said")


def answers(yes: bool, json_: bool) -> Ask:
    """Who answers: `--yes`, a person at a terminal, or nobody."""
    if yes:
        return lambda _: True
    if json_ or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return lambda _: False
    return lambda question: typer.confirm(question, default=True)


def next_two(top: Path, advice: Advice) -> list[str]:
    """The two commands that come next."""
    from scripts.forge.state import look

    if not look(top).datasets:
        return ["forge data", f"forge plan mayor --gpu rtx4090{named(advice)}"]
    if advice.trains:
        return [f"forge train mayor{advice.options}", "forge eval mayor"]
    return ["make smoke", "forge remote full HOST mayor"]


def named(advice: Advice) -> str:
    return "".join(f" --with {name}" for name in advice.overrides)


def print_ready(hardware: Hardware, advice: Advice, ready: Ready, steps: list[str]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    there = [part for part, is_there in ready.environment.items() if is_there]
    base = ready.base.name + (" is here" if ready.base.here else " is not here") if ready.base else "-"
    lines = [
        ("machine", hardware.words),
        ("memory", f"{hardware.memory_gib:g} GiB, {hardware.cores} cores, {hardware.free_disk_gib:g} GiB of disk free"),
        ("python", f"{hardware.python}, installed: {', '.join(there) or 'nothing'}"),
        ("recipe", f"base.yml{advice.options}: {advice.why}"),
        ("base model", base),
        ("databases", ", ".join(ready.databases)),
        *(("[yellow]missing[/]", sentence) for sentence in ready.missing),
        *(("[green]next[/]", step) for step in steps),
    ]
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in lines:
        table.add_row(f"[bold]{name}[/]", escape(text))
    Console(highlight=False).print(table)


def status(json_: Json = False) -> int:
    """What there is: rows, runs, versions, scores, captures, curation, rounds, disk; and what comes next."""
    from scripts.forge.advice import next_step
    from scripts.forge.state import look

    found = look(places.session().root)
    found.next = next_step(found)
    if json_:
        print(json.dumps(asdict(found), indent=1, ensure_ascii=False))
        return 0
    from rich.console import Console

    from scripts.forge.status_page import print_status

    print_status(found, Console(highlight=False))
    return 0
