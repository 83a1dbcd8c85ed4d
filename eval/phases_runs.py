"""The runs behind the table of the phases: base, all-roles adapter and own adapter of each role on the same scenarios.

`one_dataset` refuses adapters that learned other rows than those of the dataset; `play_roles` plays what is not there
yet, one loaded model after the other. The runs lie where `make eval` puts them, so that each serves the other.
"""

import gc
import hashlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from eval.contamination import contaminated
from eval.errors import BadInput, read_json, writable, write_json
from eval.journal import Journal
from eval.models import Model, Settings, open_model
from eval.results import NAME, Overlap, RoleBench, read_results
from eval.role_bench import Plan, asked, bench, drawn, find_leaks
from eval.scenario import Role
from eval.targets import Target, resolve_target, same_model

# The run of all roles together (configs/combine.py).
ALL_ROLES = "gastown"
# The folders of a role's three runs.
BASE, ALL, OWN = "base", "all-roles", "adapter"


@dataclass(frozen=True)
class Course:
    """What is played and where it goes: a plan a role, the training rows, and the folder of all runs."""

    plans: Mapping[Role, Plan]
    settings: Settings
    rows: Path
    evals: Path


@dataclass(frozen=True)
class Trio:
    """The three runs of one role."""

    base: RoleBench
    all_roles: RoleBench
    own: RoleBench


def one_dataset(adapters: Path, names: Sequence[str], rows: Path) -> str:
    """The SHA-256 of the manifest whose rows every adapter has learned; BadInput names all those that have not.

    The files are compared, not the manifest that run.json names: another one over equal rows is the same dataset.
    """
    manifest = rows / "manifest.json"
    files = read_json(manifest, "make all").get("files", {})
    problems = []
    for name in names:
        record = read_json(adapters / name / "run.json", f"scripts/train.sh {name}")
        other = [Path(part["path"]).name for part in record["data"] if not _is_of(part, files)]
        if other:
            problems.append(f"{adapters / name} learned {' and '.join(other)} of another dataset than {rows}")
    if problems:
        raise BadInput(f"{'; '.join(problems)}. Train again on one dataset: `make phases`.")
    return hashlib.sha256(manifest.read_bytes()).hexdigest()


def play_roles(course: Course, adapters: Path) -> dict[str, Trio]:
    """The three runs of each role; raises BadInput where an adapter is missing or stands on another base."""
    roles = [*course.plans]
    everywhere = resolve_target(str(adapters / ALL_ROLES), None, "")
    own = {role: resolve_target(str(adapters / role), everywhere.base_model, "") for role in roles}
    base = play(Target(BASE, everywhere.base_model), BASE, roles, course)
    together = play(everywhere, ALL, roles, course)
    return {role: Trio(base[role], together[role], play(own[role], OWN, [role], course)[role]) for role in roles}


def play(target: Target, side: str, roles: Sequence[Role], course: Course) -> dict[Role, RoleBench]:
    """The runs of one model, which is loaded once, and only where one of them is not there yet."""
    found: dict[Role, RoleBench] = {}
    model: Model | None = None
    for role in roles:
        plan, folder = course.plans[role], course.evals / role / side
        leaks = leaks_of(plan, side, course)
        run = finished(folder, target, plan, course.settings, leaks)
        if run is None:
            print(f"{role}: {target.label} plays", file=sys.stderr)
            out = writable(folder / NAME)
            model = model or open_model(target, course.settings)
            run = bench(model, target, course.settings, plan, folder, leaks)
            write_json(out, msgspec.to_builtins(run))
            Journal.discard(folder)
        found[role] = run
    if model is not None:
        del model
        free_memory()
    return found


def leaks_of(plan: Plan, side: str, course: Course) -> dict[str, Overlap] | None:
    """The scenarios that stand in what this side learned: for the all-roles adapter, in the rows of every role."""
    rows = course.rows / f"{ALL_ROLES}_train.jsonl"
    if side == ALL and rows.is_file():
        return contaminated(drawn(plan, course.settings.seed), [rows])
    return find_leaks(plan, course.rows, course.settings.seed)


def finished(
    folder: Path, target: Target, plan: Plan, settings: Settings, leaks: dict[str, Overlap] | None
) -> RoleBench | None:
    """The run in `folder` if it is this one; None where there is none, or where anything that matters has changed."""
    if not (folder / NAME).is_file():
        return None
    try:
        run = read_results(folder)
    except BadInput:
        return None
    adapter = run.facts.get("adapter")
    digest = adapter.get("sha256") if isinstance(adapter, dict) else None
    is_same = (
        all(getattr(run, key) == value for key, value in asked(settings, plan).items())
        and digest == (target.adapter and target.adapter.sha256)
        and same_model(str(run.facts.get("base_model")), target.base_model)
        and run.contaminated == leaks
        and (folder / NAME).stat().st_mtime >= last_change(Path(target.base_model))
    )
    return run if is_same else None


def last_change(base: Path) -> float:
    """When the weights of a base in a folder were written, in seconds since 1970; 0 for a base of the hub."""
    return max((file.stat().st_mtime for file in base.glob("*.safetensors")), default=0.0)


def free_memory() -> None:
    """Gives the memory of a model that nobody uses any more back, before the next one is loaded."""
    gc.collect()
    if "torch" in sys.modules:
        import torch

        torch.cuda.empty_cache()


def _is_of(part: Mapping[str, Any], files: Mapping[str, Any]) -> bool:
    known = files.get(Path(part["path"]).name)
    return known is not None and known["sha256"] == part["sha256"]
