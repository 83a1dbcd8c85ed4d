"""All runs at a glance: `python -m configs.runs.listing [--root output]` (`make runs`).

One line a run, the newest first: those under ROOT/checkpoints, also the ones that were moved aside (NAME.old1) and the
runs of a sweep (NAME/sweep0001), and adapters whose checkpoints are gone.
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from configs.runs.history import Entry, read_history, steps_of, times_of
from configs.runs.machine import is_alive
from configs.runs.outcome import Failure, Outcome, judge
from configs.runs.record import RUN_FILE, START_FILE, Record, read_record
from configs.runs.sweep import SWEPT
from configs.runs.tables import table


@dataclass(frozen=True, slots=True)
class Run:
    """One training: `state` in words, counts and losses as texts, `started` as ISO time, `seconds` of work."""

    name: str
    state: str
    steps: str
    loss: str
    best: str
    started: str
    seconds: float | None
    base_model: str


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m configs.runs.listing", description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, default=Path("output"), help="the output folder (default: output)")
    options = parser.parse_args(arguments)
    runs = sorted(all_runs(options.root), key=lambda run: (run.started, run.name), reverse=True)
    if not runs:
        print(f"no runs in {options.root} yet: make train ROLE=mayor", file=sys.stderr)
        return 0
    head = ["run", "state", "steps", "loss", "best eval loss", "started", "worked", "base model"]
    print(table([head, *(cells(run) for run in runs)]))
    return 0


def cells(run: Run) -> list[str]:
    started = run.started[:16].replace("T", " ")
    return [run.name, run.state, run.steps, run.loss, run.best, started, duration(run.seconds), run.base_model]


def all_runs(root: Path) -> Iterator[Run]:
    """Every run of an output tree; a folder without a readable record is none."""
    checkpoints = root / "checkpoints"
    seen = set()
    for folder in sorted([*checkpoints.glob("*/"), *checkpoints.glob(f"*/{SWEPT}/")]):
        start = read_record(folder / START_FILE)
        if start is not None and "sweep" not in start:
            seen.add(str(folder.relative_to(checkpoints)))
            yield run_of(str(folder.relative_to(checkpoints)), folder, start)
    for file in sorted((root / "adapters").glob(f"*/{RUN_FILE}")):
        record = read_record(file)
        if record is not None and file.parent.name not in seen:
            yield finished(file.parent.name, record)


def run_of(name: str, folder: Path, start: Record) -> Run:
    """A run as its folder shows it."""
    config = yaml.safe_load(start["config"])
    result = judge(folder, config.get("loss_watchdog_threshold"))
    history = read_history(folder)
    state = state_of(result, history, read_history(folder.parent))
    times = times_of(history)
    progress = progress_of(history) if not isinstance(result, Outcome) or state == "running" else outcome_cells(result)
    seconds = times.seconds if times else None
    return Run(name, state, *progress, str(start.get("started_at", "")), seconds, str(start["base_model"]))


def state_of(result: Outcome | Failure, history: list[Entry], waiting_for: list[Entry]) -> str:
    """running, starting, done, stopped early, interrupted, or failed with the reason.

    `waiting_for` is the history of the sweep that the run belongs to.
    """
    begun = [entry for entry in history if entry["kind"] in ("prepared", "begin")]
    if begun and lives(begun[-1]) and history[-1]["kind"] != "end":
        return "running" if begun[-1]["kind"] == "begin" else "starting"
    if isinstance(result, Outcome):
        return "stopped early" if result.early_stopped else "done"
    if not begun and waiting_for and lives(waiting_for[-1]):
        return "waiting"
    if result is Failure.INTERRUPTED or (result is Failure.NO_CHECKPOINT and steps_of(history)):
        return "interrupted"
    return f"failed: {result.value.split(':')[0]}"


def lives(entry: Entry) -> bool:
    return is_alive(entry.get("process") or "")


def progress_of(history: list[Entry]) -> tuple[str, str, str]:
    """(steps, loss, best eval loss) of a run that is not done."""
    steps = steps_of(history)
    planned = next((entry.get("max_steps") for entry in reversed(history) if entry["kind"] == "begin"), None)
    evals = [(entry["step"], entry["eval_loss"]) for entry in history if entry["kind"] == "eval"]
    if not steps:
        return "", "", best_cell(evals)
    return f"{steps[-1].step} of {planned}", f"{steps[0].loss:.3f} -> {steps[-1].loss:.3f}", best_cell(evals)


def outcome_cells(outcome: Outcome) -> tuple[str, str, str]:
    losses = f"{outcome.first_loss:.3f} -> {outcome.last_loss:.3f}"
    return f"{outcome.steps} of {outcome.max_steps}", losses, best_cell(list(outcome.eval_losses))


def best_cell(evals: list[tuple[int, float]]) -> str:
    if not evals:
        return ""
    step, loss = min(evals, key=lambda pair: pair[1])
    return f"{loss:.3f} at step {step}"


def finished(name: str, record: Record) -> Run:
    """A run of which only the adapter is left."""
    outcome: dict[str, Any] = record.get("outcome") or {}
    evals = [(int(step), float(loss)) for step, loss in outcome.get("eval_losses", ())]
    steps = f"{outcome.get('steps', '?')} of {outcome.get('max_steps', '?')}"
    loss = f"{outcome['first_loss']:.3f} -> {outcome['last_loss']:.3f}" if "last_loss" in outcome else ""
    seconds = (record.get("times") or {}).get("seconds")
    state = "stopped early" if outcome.get("early_stopped") else "done"
    started = str(record.get("started_at", ""))
    return Run(name, f"{state}, adapter only", steps, loss, best_cell(evals), started, seconds, record["base_model"])


def duration(seconds: float | None) -> str:
    """2 h 05 min, 3 min 20 s, 41 s."""
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


if __name__ == "__main__":
    sys.exit(main())
