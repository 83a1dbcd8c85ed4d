"""Everything that is known of one run, from its folder: what the page and the command show."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from configs.runs.check import REQUIRED
from configs.runs.history import Entry, evals_of, read_history, steps_of
from configs.runs.listing import Run, finished, run_of
from configs.runs.overfit import Curve, Overfit, best_of, overfit
from configs.runs.record import RUN_FILE, START_FILE, Record, measured, read_record

WEIGHTS = REQUIRED[1]


@dataclass(frozen=True, slots=True)
class Told:
    """What is known of a run: its line in the list, its record, its history (empty of an adapter alone), and curves of
    (step, loss).
    """

    run: Run
    record: Record
    history: list[Entry]
    train: Curve
    evals: Curve
    best_checkpoint: str

    @property
    def overfit(self) -> Overfit | None:
        return overfit(self.train, self.evals)

    @property
    def settings(self) -> dict[str, Any]:
        config: dict[str, Any] = yaml.safe_load(self.record["config"])
        return config


def find_run(name: str, root: Path) -> Path:
    """The folder of a run. Raises `ValueError` where there is none of that name."""
    places = (Path(name), root / "checkpoints" / name, root / "adapters" / name)
    for folder in places:
        if any((folder / file).is_file() for file in (START_FILE, RUN_FILE)):
            return folder
    raise ValueError(f"there is no run {name} in {root}. `python -m configs.runs.listing --root {root}` names all.")


def read_run(folder: Path, name: str) -> Told:
    """Everything about a run. Raises `ValueError` for a folder that is none, or has not trained a step."""
    title = folder.name if "/" in name else name
    record = read_record(folder / START_FILE)
    if record is None:
        return read_adapter(folder, title)
    if "sweep" in record:
        raise ValueError(f"{folder} is a sweep. Name one of its runs, such as {title}/sweep0001.")
    history = read_history(folder)
    train = [(step.step, step.loss) for step in steps_of(history)]
    if not any(math.isfinite(loss) for _, loss in train):
        raise ValueError(f"{folder}: no step with a finite loss is on record. See {folder / 'debug.log'}.")
    evals = evals_of(history)
    return Told(
        run_of(title, folder, record),
        record | measured(history),
        history,
        train,
        evals,
        best_checkpoint(evals, folder),
    )


def read_adapter(folder: Path, name: str) -> Told:
    """What run.json alone tells; its losses, but no other curve."""
    record = read_record(folder / RUN_FILE)
    if record is None:
        raise ValueError(f"{folder / RUN_FILE}: unreadable. Train again with scripts/train.sh.")
    train = [(int(step), float(loss)) for step, loss in record.get("losses", ())]
    if not train:
        raise ValueError(
            f"{folder / RUN_FILE}: holds no losses, it is of an earlier version. Train again to draw them."
        )
    evals = [(int(step), float(loss)) for step, loss in record["outcome"]["eval_losses"]]
    return Told(finished(name, record), record, [], train, evals, best_checkpoint(evals, None))


def best_checkpoint(evals: Curve, folder: Path | None) -> str:
    """Which checkpoint is the best by eval loss, whether it is still there, and whether the adapter is it."""
    best = best_of(evals)
    if best is None:
        return "Best checkpoint: not known, because nothing was evaluated."
    step, loss = best
    if step == 0:
        return f"Best: the base without the adapter (eval loss {loss:.4f}). Training made it worse."
    said = f"Best checkpoint: step {step}, eval loss {loss:.4f}"
    if folder is None:
        return f"{said}."
    checkpoint = folder / f"checkpoint-{step}"
    if not (checkpoint / WEIGHTS).is_file():
        return f"{said}; it was not kept (save_steps, save_total_limit)."
    if (folder / WEIGHTS).is_file() and same_bytes(folder / WEIGHTS, checkpoint / WEIGHTS):
        return f"{said}; kept as {checkpoint.name}, and the adapter is this one."
    return f"{said}; kept as {checkpoint.name}."


def same_bytes(one: Path, other: Path) -> bool:
    """Whether two files are equal, read piece by piece."""
    if one.stat().st_size != other.stat().st_size:
        return False
    with one.open("rb") as left, other.open("rb") as right:
        while piece := left.read(1 << 20):
            if piece != right.read(1 << 20):
                return False
    return True
