"""What a run did, step by step: history.jsonl in its folder, one JSON object a line.

The plugin writes it while Axolotl trains, so that a killed run leaves a record too. A run that resumes takes out
what it does again, so that every step stands there once; what that cost stays as a line of its own.
"""

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from configs.files import write_text

HISTORY_FILE: Final = "history.jsonl"
# Of what the trainer logs: its name there, and ours. `tokens` are all places of a batch, padding included.
LOGGED: Final = {
    "loss": "loss",
    "grad_norm": "grad_norm",
    "learning_rate": "learning_rate",
    "tokens/total": "tokens",
    "tokens/trainable": "trained_tokens",
    "eval_loss": "eval_loss",
}

Entry = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Step:
    """One logged step: `seconds` since the step logged before it, `tokens` and `trained_tokens` counted from the start
    of the run, `memory` the peak in bytes. None where the trainer did not tell.
    """

    step: int
    loss: float
    seconds: float | None
    grad_norm: float | None
    learning_rate: float | None
    tokens: float | None
    trained_tokens: float | None
    memory: int | None


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds since 1970 of the first start and of the last sign of life; seconds of work in all sittings together;
    how often the run was resumed, and how many steps were done again because of that.
    """

    started: float
    last: float
    seconds: float
    resumed: int
    lost_steps: int


def read_history(folder: Path) -> list[Entry]:
    """All lines of a run's history, without a last one that a kill cut off; empty where there is no history."""
    try:
        lines = (folder / HISTORY_FILE).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    return [entry for entry in map(parse, lines) if entry is not None]


def parse(line: str) -> Entry | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) and "kind" in entry else None


def append(folder: Path, kind: str, step: int, **values: Any) -> None:
    entry = {"kind": kind, "step": step, "at": round(time.time(), 3), **values}
    with (folder / HISTORY_FILE).open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(entry) + "\n")


def begin(folder: Path, step: int, **values: Any) -> None:
    """A sitting starts after `step`: the later steps of an earlier one are done again, so their lines go."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = until(read_history(folder), step)
    write_text(folder / HISTORY_FILE, "".join(json.dumps(entry) + "\n" for entry in kept))
    append(folder, "begin", step, **values)


def until(entries: list[Entry], step: int) -> list[Entry]:
    """The entries of what is not done again, and one that says what is.

    It stands where the last step stood, so that the time of the stopped sitting ends with its last sign of life; so
    does one for each earlier sitting that loses its last sign.
    """
    numbers = [number for number, entry in enumerate(entries) if entry["kind"] == "step"]
    reached = max((entries[number]["step"] for number in numbers), default=0)
    last_signs = {number - 1 for number, entry in enumerate(entries) if entry["kind"] == "begin"}
    kept: list[Entry] = []
    for number, entry in enumerate(entries):
        gone = reached - step if reached > step and number == numbers[-1] else 0
        stays = entry["kind"] in ("prepared", "begin", "lost") or entry["step"] <= step
        if stays:
            kept.append(entry)
        if gone or (not stays and number in last_signs):
            kept.append({"kind": "lost", "step": step, "at": entry["at"], "steps": gone})
    return kept


def steps_of(entries: Iterable[Entry]) -> tuple[Step, ...]:
    """The training steps, each once, in order."""
    found = {entry["step"]: entry for entry in entries if entry["kind"] == "step" and "loss" in entry}
    names = ("seconds", "grad_norm", "learning_rate", "tokens", "trained_tokens", "memory")
    return tuple(
        Step(step, float(entry["loss"]), *(entry.get(name) for name in names)) for step, entry in sorted(found.items())
    )


def evals_of(entries: Iterable[Entry]) -> tuple[tuple[int, float], ...]:
    """(step, eval loss), each step once, in order."""
    found = {entry["step"]: float(entry["eval_loss"]) for entry in entries if entry["kind"] == "eval"}
    return tuple(sorted(found.items()))


def times_of(entries: list[Entry]) -> Times | None:
    """When the run worked; None before it began."""
    starts = [index for index, entry in enumerate(entries) if entry["kind"] == "begin"]
    if not starts:
        return None
    sittings = [entries[start:end] for start, end in zip(starts, [*starts[1:], len(entries)], strict=True)]
    worked = [[entry["at"] for entry in sitting if entry["kind"] != "prepared"] for sitting in sittings]
    seconds = sum(at[-1] - at[0] for at in worked)
    lost = sum(entry["steps"] for entry in entries if entry["kind"] == "lost")
    return Times(entries[starts[0]]["at"], entries[-1]["at"], round(seconds, 3), len(starts) - 1, lost)


def rates(steps: Iterable[Step]) -> list[tuple[int, float]]:
    """(step, tokens per second) where both are known, padding included."""
    found, before = [], 0.0
    for step in steps:
        if step.tokens is not None and step.seconds:
            found.append((step.step, (step.tokens - before) / step.seconds))
        before = step.tokens or before
    return found


def tokens_per_second(steps: tuple[Step, ...]) -> float | None:
    """All tokens by the time of all steps; evaluations and checkpoints do not count as time."""
    seconds = sum(step.seconds or 0.0 for step in steps)
    tokens = max((step.tokens or 0.0 for step in steps), default=0.0)
    return round(tokens / seconds, 1) if seconds and tokens else None


def peak_memory(entries: Iterable[Entry]) -> int | None:
    """Bytes on the GPU of the first process, or of that process itself on a CPU."""
    return max((entry["memory"] for entry in entries if entry.get("memory")), default=None)


def chosen(logs: Mapping[str, Any]) -> Entry:
    """The numbers of a log line that the history keeps."""
    return {ours: round(float(logs[name]), 8) for name, ours in LOGGED.items() if logs.get(name) is not None}
