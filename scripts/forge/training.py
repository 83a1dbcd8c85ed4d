"""Train: `forge plan`, `train`, `runs`."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from scripts.forge import places
from scripts.forge.rooms import Problem, room, script
from scripts.forge.words import DryRun, Json, Overrides, Panel, Role, option, overrides

RunName = Annotated[str, typer.Option(metavar="NAME", help="what to call the run (default: the role's name)")]


class Backend(StrEnum):
    AXOLOTL = "axolotl"
    MLX = "mlx"


def add_to(app: typer.Typer) -> None:
    for command in (plan, train, runs):
        app.command(rich_help_panel=Panel.TRAIN)(command)


def plan(
    role: Role,
    gpu: Annotated[
        str, typer.Option(metavar="NAME", help="a card of configs/plan/gpus.yml (default: the one here)")
    ] = "",
    gpus: Annotated[int | None, typer.Option(metavar="N", min=1, help="cards of that kind")] = None,
    with_: Overrides = None,
    json_: Json = False,
) -> int:
    """What a training will need: memory, hours, money, and what to change where it does not fit."""
    at, card = places.known(role), gpu or card_here()
    if json_:
        return print_plan(at, card, gpus or 1, with_ or [])
    words = [at.recipe, "--gpu", card, "--root", str(at.root), *option("--gpus", gpus), *overrides(with_)]
    return room("configs.plan", [*words, *places.further()])


def card_here() -> str:
    """The card of the tables that is like the one of this machine. Raises `Problem`."""
    from scripts.forge.hardware import find_hardware, like

    if (card := like(find_hardware(Path()))) is None:
        raise Problem("no NVIDIA card is here. Say which one to plan for: --gpu rtx4090 (configs/plan/gpus.yml).", 2)
    return card


def print_plan(at: places.Place, card: str, gpus: int, names: list[str]) -> int:
    """The plan as JSON: the same figures as the tables, without the advice."""
    from configs.files import Output
    from configs.plan.plan import make_plan, read_rows_of, resolved_config
    from configs.plan.tables import find_gpu, load_gpus, load_models
    from configs.strict_yaml import ConfigError

    output = Output(at.root)
    try:
        config = resolved_config(at.recipe, overrides(names)[1::2], output, None)
        rows = read_rows_of(config, at.role, output, None)
        made = make_plan(config, rows, find_gpu(card, load_gpus()), gpus, load_models())
    except ConfigError as error:
        raise Problem(" ".join(error.problems)) from None
    print(json.dumps(plan_value(made), indent=1))
    return 0


def plan_value(made: Any) -> dict[str, Any]:
    return {
        "verdict": made.verdict,
        "base_model": made.recipe.base_model,
        "gpu": made.gpu.name,
        "gpus": made.gpus,
        "needs_gib": round(made.needs, 2),
        "memory_gib": made.gpu.memory_gib,
        "steps": made.work.steps,
        "rows": made.work.rows,
        "hours": round(made.duration.hours, 3),
        "dollars": round(made.cost, 2),
    }


def train(
    role: Role,
    with_: Overrides = None,
    run: RunName = "",
    gpus: Annotated[int | None, typer.Option(metavar="N", min=1, help="GPUs (default: 1)")] = None,
    backend: Annotated[Backend, typer.Option(help="mlx: on Apple silicon")] = Backend.AXOLOTL,
    dry_run: DryRun = False,
) -> int:
    """Train an adapter; called again, a stopped run goes on from its last checkpoint."""
    at = places.known(role)
    words = [at.recipe, "--root", str(at.root), *overrides(with_), *option("--run", run), *option("--gpus", gpus)]
    if backend is not Backend.AXOLOTL:
        words += ["--backend", backend]
    return script("train.sh", [*words, *option("--dry-run", dry_run), *places.further()])


def runs(
    pack: Annotated[
        str, typer.Option(metavar="NAME", help="those of this pack", autocompletion=places.complete_pack)
    ] = "",
) -> int:
    """Every training: how it stands, its steps and losses."""
    return room("configs.runs.listing", ["--root", str(places.place(pack).root), *places.further()])
