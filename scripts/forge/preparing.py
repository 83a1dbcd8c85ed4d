"""The steps of `forge init`: environment, base model, databases; each is done once, and said."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from scripts.forge.base_model import Base, fetch, find_base
from scripts.forge.hardware import Hardware
from scripts.forge.home import CODE
from scripts.forge.recommending import Advice
from scripts.forge.rooms import Problem
from scripts.forge.usage import size

# The marks that `make` leaves, with what they bring.
TARGETS: Final = {"light": "rows, registry, gateway", "train": "torch and Axolotl, several GB", "mlx": "mlx-lm"}

# Asks a person; without one the answer is known.
Ask = Callable[[str], bool]


@dataclass(slots=True)
class Ready:
    """What is there now. `missing` are sentences with the fix; `broken` says whether one of them is a failure."""

    environment: dict[str, bool] = field(default_factory=dict)
    base: Base | None = None
    databases: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    broken: bool = False


def environments(kind: str) -> list[str]:
    """The parts of the environment that this machine uses."""
    return ["light", "mlx"] if kind == "apple" else ["light", "train"]


def prepare_environment(ready: Ready, hardware: Hardware, ask: Ask) -> None:
    """Runs the `make` targets that are missing, if that is wanted; make shows its own progress."""
    for part in environments(hardware.kind):
        mark = CODE / ".venv" / f".{part}"
        if not mark.exists() and ask(f"Install {part} ({TARGETS[part]}) into .venv?"):
            subprocess.run(["make", f".venv/.{part}"], cwd=CODE, check=False, stdout=sys.stderr)
        ready.environment[part] = mark.exists()
        if not mark.exists():
            ready.missing.append(f"{TARGETS[part]}: not installed. Run: make .venv/.{part}")


def prepare_base(ready: Ready, advice: Advice, ask: Ask) -> None:
    """Fetches the base model of the recipe, if that is wanted; one that cannot be trained here is not offered."""
    base = find_base(advice.base_model)
    about = f"about {size(base.bytes)}" if base.bytes else "of a size that is not known"
    if not base.here and advice.trains and ask(f"Fetch {base.name}, {about}?"):
        base = fetch(base.name)
    ready.base = base
    if base.problem:
        ready.missing.append(base.problem)
    elif not base.here and advice.trains:
        ready.missing.append(f"{base.name} ({about}) is not here. Fetch it with: forge init --yes")


def prepare_databases(ready: Ready, top: Path) -> None:
    """Makes the registry and the database of curation, or brings them to their newest form."""
    for name, opened in (("registry.db", open_registry), ("curation.db", open_curation)):
        try:
            opened(top)
            ready.databases.append(str(top / name))
        except Problem as problem:
            ready.missing.append(str(problem))
            ready.broken = True


def open_registry(top: Path) -> None:
    from deploy.adapter import Refusal
    from deploy.registry.store import Registry

    try:
        Registry.open(top).close()
    except Refusal as refusal:
        raise Problem(str(refusal)) from None


def open_curation(top: Path) -> None:
    from data.config import ConfigError
    from data.curate.database import connect

    try:
        connect(top / "curation.db").close()
    except ConfigError as error:
        raise Problem(str(error)) from None


def value_of(ready: Ready, hardware: Hardware, advice: Advice, steps: list[str]) -> dict[str, Any]:
    """All of it for programs."""
    from dataclasses import asdict

    return {
        "hardware": asdict(hardware),
        "environment": ready.environment,
        "recipe": asdict(advice),
        "base_model": asdict(ready.base) if ready.base else None,
        "databases": ready.databases,
        "missing": ready.missing,
        "next": steps,
    }
