"""How a training run ended, judged from the states that the trainer left: done, or a named reason why not.

Axolotl exits 0 after zero batches, after a stop by its watchdog and after Ctrl-C, so its exit code proves
nothing.
"""

import json
import math
import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final


class Failure(StrEnum):
    """Why a run left no adapter worth keeping; the value is what a person reads."""

    NO_CHECKPOINT = "no checkpoint: training ended before it saved anything"
    UNREADABLE_STATE = "unreadable trainer state: the run was cut off while it wrote"
    ZERO_STEPS = "zero steps: too few rows for one packed batch; add rows or turn sample_packing off"
    LOSS_NOT_FINITE = "loss not finite: lower the learning rate or look at the data"
    WATCHDOG_STOP = "watchdog stop: the loss stayed above loss_watchdog_threshold"
    INTERRUPTED = "interrupted: stopped before its last step; the same command resumes it"
    LOSS_NOT_FALLING = "loss did not fall: its last tenth is no lower than its first"
    NO_ADAPTER = "no adapter: the trainer finished and adapter_model.safetensors is missing"


# Enough steps that single batches do not decide whether the loss fell.
LOSS_WINDOW: Final = 0.1


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a finished run did: steps, mean training loss over its first and last tenth, (step, eval loss) pairs."""

    steps: int
    max_steps: int
    epochs: float
    early_stopped: bool
    first_loss: float
    last_loss: float
    eval_losses: tuple[tuple[int, float], ...]


def judge(folder: Path, threshold: float | None) -> Outcome | Failure:
    """Read the last state in Axolotl's output folder; `threshold` is the run's loss_watchdog_threshold."""
    file = last_state_file(folder)
    if file is None:
        return Failure.NO_CHECKPOINT
    try:
        state: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        losses = [float(entry["loss"]) for entry in state["log_history"] if "loss" in entry]
        evals = [(int(e["step"]), float(e["eval_loss"])) for e in state["log_history"] if "eval_loss" in e]
        steps, max_steps = int(state["global_step"]), int(state["max_steps"])
        float(state["epoch"]), float(state["num_train_epochs"])
    except (ValueError, KeyError, TypeError, OSError):
        return Failure.UNREADABLE_STATE
    if failure := why_not_done(state, losses, evals, threshold):
        return failure
    if not (folder / "adapter_model.safetensors").is_file():
        return Failure.NO_ADAPTER
    first, last = ends(losses)
    return Outcome(steps, max_steps, float(state["epoch"]), stopped_early(state), first, last, tuple(evals))


def last_state_file(folder: Path) -> Path | None:
    """The state at the root, written when the loop ended, or that of the newest checkpoint."""
    if (folder / "trainer_state.json").is_file():
        return folder / "trainer_state.json"
    found = {int(match[1]): path for path in folder.glob("checkpoint-*") if (match := re.search(r"-(\d+)$", path.name))}
    states = [found[step] / "trainer_state.json" for step in sorted(found)]
    return next((state for state in reversed(states) if state.is_file()), None)


def why_not_done(
    state: dict[str, Any], losses: list[float], evals: list[tuple[int, float]], threshold: float | None
) -> Failure | None:
    """The first reason, if any, to refuse a run."""
    if state["global_step"] == 0 or not losses:
        return Failure.ZERO_STEPS
    if not all(map(math.isfinite, (*losses, *(loss for _, loss in evals)))):
        return Failure.LOSS_NOT_FINITE
    if not reached_the_end(state) and not stopped_early(state):
        watched = threshold is not None and losses[-1] > threshold
        return Failure.WATCHDOG_STOP if watched else Failure.INTERRUPTED
    first, last = ends(losses)
    return None if last < first else Failure.LOSS_NOT_FALLING


def reached_the_end(state: dict[str, Any]) -> bool:
    """Whether the planned steps are done; with packing the plan can be one batch longer than the rows."""
    one_step = state["num_train_epochs"] / max(1, state["max_steps"])
    return bool(state["global_step"] >= state["max_steps"] or state["epoch"] >= state["num_train_epochs"] - one_step)


def stopped_early(state: dict[str, Any]) -> bool:
    """Whether early stopping, by its own counter in the state, ended the run."""
    callback = state.get("stateful_callbacks", {}).get("EarlyStoppingCallback")
    if not isinstance(callback, dict):
        return False
    patience = callback.get("args", {}).get("early_stopping_patience", 0)
    return bool(0 < patience <= callback.get("attributes", {}).get("early_stopping_patience_counter", 0))


def ends(losses: list[float]) -> tuple[float, float]:
    """Mean loss of the first and of the last tenth of the steps, of at least one step each."""
    width = max(1, round(len(losses) * LOSS_WINDOW))
    return math.fsum(losses[:width]) / width, math.fsum(losses[-width:]) / width
