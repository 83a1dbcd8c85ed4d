"""What there is in an output tree, as values: datasets, runs, versions, scores, captures, curation, loop, disk.

`look(top)` reads whatever is there. What cannot be read becomes a sentence in `problems`, and the rest is told all the
same: a half-set-up tree is the usual one.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

from scripts.forge.counts import others
from scripts.forge.usage import Disk, disk_usage

DAY: Final = 86400.0


@dataclass(frozen=True, slots=True)
class Dataset:
    """One build. `name` is a pack's, or `roles` for those of configs/data.yml; `roles` are rows by role."""

    name: str
    folder: str
    rows: dict[str, int]
    roles: dict[str, int]
    age_days: float
    sample: bool


@dataclass(frozen=True, slots=True)
class Trained:
    """One run, as `forge runs` has it; `pack` is empty for a role."""

    name: str
    pack: str
    state: str
    steps: str
    loss: str
    started: str


@dataclass(frozen=True, slots=True)
class Released:
    """A role in the registry: what is live, the newest version, and what the gate said of that."""

    role: str
    live: str
    newest: str
    versions: int
    gate: str
    base: float | None
    adapter: float | None
    points: float | None


@dataclass(frozen=True, slots=True)
class Scored:
    """The last comparison of base and adapter, 0..1; `outcome` is the gate's word."""

    name: str
    outcome: str
    base: float | None
    adapter: float | None
    age_days: float


@dataclass(slots=True)
class Status:
    """All of it. `other` has counts by name: captured lines, curated examples, compared pairs, votes, rounds."""

    datasets: list[Dataset] = field(default_factory=list)
    runs: list[Trained] = field(default_factory=list)
    versions: list[Released] = field(default_factory=list)
    scores: list[Scored] = field(default_factory=list)
    other: dict[str, dict[str, Any]] = field(default_factory=dict)
    disk: Disk | None = None
    problems: list[str] = field(default_factory=list)
    next: str = ""


def look(top: Path) -> Status:
    """The state of the tree below `top`; nothing is written."""
    found = Status()
    trees = [("", top), *((folder.name, folder) for folder in sorted((top / "packs").glob("*/")))]
    for pack, tree in trees:
        guarded(found, tree / "datasets/manifest.json", partial(add_dataset, found, pack))
        with_runs = next(filter(Path.exists, (tree / "checkpoints", tree / "adapters")), tree / "checkpoints")
        guarded(found, with_runs, partial(add_runs, found, pack))
        for verdict in sorted(tree.glob("evals/*/verdict.json")):
            guarded(found, verdict, partial(add_score, found))
    guarded(found, top / "registry.db", partial(add_versions, found))
    for name, file, read in others(top):
        guarded(found, file, partial(add_counts, found, name, read))
    found.disk = disk_usage(top)
    return found


def guarded(found: Status, file: Path, read: Callable[[Path], object]) -> None:
    """Reads one thing if it is there; what is broken in it becomes a sentence."""
    try:
        if file.exists():
            read(file)
    except Exception as error:  # whatever a broken file does to whoever reads it: the rest is told
        said = " ".join(str(error).split()) or type(error).__name__
        words = (
            said
            if str(file.name) in said
            else f"{file} cannot be read ({type(error).__name__}: {said[:160]}). Move it away."
        )
        found.problems.append(words)


def add_dataset(found: Status, pack: str, manifest: Path) -> None:
    told = json.loads(manifest.read_text("utf-8"))
    rows = {split: int(told["rows"].get(split, 0)) for split in ("train", "val", "test")}
    roles = {str(role): int(count) for role, count in told.get("roles", {}).items()}
    name, sample = pack or "roles", bool(told.get("sample"))
    found.datasets.append(Dataset(name, str(manifest.parent), rows, roles, age(manifest), sample))


def age(file: Path) -> float:
    return round(max(0.0, time.time() - file.stat().st_mtime) / DAY, 2)


def add_runs(found: Status, pack: str, folder: Path) -> None:
    """The runs of a tree, the newest first."""
    from configs.runs.listing import all_runs

    runs = sorted(all_runs(folder.parent), key=lambda run: (run.started, run.name), reverse=True)
    found.runs += [Trained(run.name, pack, run.state, run.steps, run.loss, run.started) for run in runs]


def add_versions(found: Status, database: Path) -> None:
    from deploy.registry.store import Registry

    with Registry.open(database.parent) as registry:
        for role in registry.roles():
            newest = registry.version(role.role, max(role.versions))
            told = newest.evaluation
            rates = [rate and rate.value for rate in (told.base, told.adapter, told.difference)] if told else [None] * 3
            live = f"v{role.live}" if role.live else ""
            gate = told.outcome if told else "not evaluated"
            found.versions.append(Released(role.role, live, f"v{newest.number}", len(role.versions), gate, *rates))


def add_score(found: Status, verdict: Path) -> None:
    told = json.loads(verdict.read_text("utf-8"))
    last = (told.get("rows") or [{}])[-1]
    base, adapter = ((last.get(side) or {}).get("value") for side in ("base", "adapter"))
    found.scores.append(Scored(verdict.parent.name, str(told["outcome"]), base, adapter, age(verdict)))


def add_counts(found: Status, name: str, read: Callable[[Path], dict[str, Any]], file: Path) -> None:
    found.other[name] = read(file)
