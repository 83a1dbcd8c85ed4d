"""Several trainings that differ in few keys, through Axolotl's own `--sweep`: judge them and name the best.

`python -m configs.runs.sweep output/checkpoints/mayor-rates` prints a line for each. Axolotl gives the folders their
names, sweep0001 and so on, and exits 0 even when some of them failed; here any failure is exit code 1.
"""

import argparse
import contextlib
import importlib.util
import io
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from configs.files import shown
from configs.rules import problems_of
from configs.runs.outcome import Failure, Outcome, judge
from configs.runs.record import START_FILE, Record, read_start, write_record
from configs.runs.tables import table
from configs.strict_yaml import ConfigError, load_mapping

SWEPT: Final = "sweep[0-9][0-9][0-9][0-9]"
# Where Axolotl puts sets of values that belong together.
TOGETHER: Final = "_"
# What names a run's folders and rows is not for trying out.
FIXED: Final = ("output_dir", "datasets", "test_datasets", "dataset_prepared_path")


@dataclass(frozen=True, slots=True)
class Trial:
    """One run of a sweep: the values that it tried, and what came of it."""

    name: str
    values: Mapping[str, Any]
    result: Outcome | Failure

    @property
    def score(self) -> float:
        """The best eval loss, or the last training loss where nothing was evaluated; infinite for a failure."""
        if isinstance(self.result, Failure):
            return float("inf")
        return min((loss for _, loss in self.result.eval_losses), default=self.result.last_loss)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m configs.runs.sweep", description=__doc__.splitlines()[0])
    parser.add_argument("checkpoints", type=Path, help="the output_dir of the recipe that was swept")
    options = parser.parse_args(arguments)
    try:
        trials = judge_all(options.checkpoints)
    except (OSError, ValueError) as error:
        print(f"sweep: {error}", file=sys.stderr)
        return 1
    print(table(list(trial_rows(trials))))
    failed = [trial.name for trial in trials if isinstance(trial.result, Failure)]
    if len(failed) < len(trials):
        print(f"best: {trials[0].name}. To train so, put this into an override: {as_yaml(trials[0].values)}")
    if failed:
        logs = options.checkpoints / failed[0] / "debug.log"
        print(f"{len(failed)} of {len(trials)} runs failed: {', '.join(failed)}. See {logs}.", file=sys.stderr)
    return 1 if failed else 0


def judge_all(checkpoints: Path) -> list[Trial]:
    """Every run of a sweep, the best first. Raises `ValueError` where the folder holds no sweep."""
    start = read_start(checkpoints)
    if "sweep" not in start:
        raise ValueError(f"{checkpoints}: a single run, not a sweep. See `python -m configs.runs.check`.")
    return sorted(map(judge_one, sorted(checkpoints.glob(SWEPT))), key=lambda trial: (trial.score, trial.name))


def judge_one(folder: Path) -> Trial:
    start = read_start(folder)
    config = yaml.safe_load(start["config"])
    return Trial(folder.name, start["tried"], judge(folder, config.get("loss_watchdog_threshold")))


def trial_rows(trials: list[Trial]) -> Iterator[list[str]]:
    keys = list(dict.fromkeys(key for trial in trials for key in trial.values))
    yield ["run", *keys, "steps", "loss", "best eval loss", "ended"]
    for trial in trials:
        values = [as_yaml(trial.values[key]) if key in trial.values else "" for key in keys]
        yield [trial.name, *values, *result_cells(trial.result)]


def result_cells(result: Outcome | Failure) -> list[str]:
    if isinstance(result, Failure):
        return ["", "", "", str(result)]
    step, loss = min(result.eval_losses, key=lambda pair: pair[1], default=(0, None))
    best = "" if loss is None else f"{loss:.4f} at step {step}"
    ended = "stopped early" if result.early_stopped else "done"
    return [str(result.steps), f"{result.first_loss:.3f} -> {result.last_loss:.3f}", best, ended]


def as_yaml(value: Any) -> str:
    text = str(yaml.safe_dump(value, default_flow_style=True, width=1000, sort_keys=False))
    return text.removesuffix("\n").removesuffix("\n...")


def sweep_obstacles(file: Path, config: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with the values to try: Axolotl would drop a misspelt key without a word and train the same twice.

    Raises `ConfigError` where the file is no sweep at all.
    """
    sweep = load_sweep(file)
    for key in FIXED:
        if key in sweep:
            yield f"{shown(file)}: `{key}` follows from the run's name. Remove it from the sweep."
    singles = [{key: value} for key, values in sweep.items() if key != TOGETHER for value in values]
    found = (problem for change in (*singles, *sweep.get(TOGETHER, ())) for problem in changed(config, change, file))
    yield from dict.fromkeys(found)


def changed(config: Mapping[str, Any], change: Mapping[str, Any], file: Path) -> list[str]:
    return problems_of({**config, **change}, [file])


def load_sweep(file: Path) -> dict[str, list[Any]]:
    """The lists of values to try, by key. Raises `ConfigError` with what has another shape."""
    sweep = load_mapping(file)
    problems = [
        f"{shown(file)}: `{key}` needs a list of values, such as [{as_yaml(value)}, ...]."
        for key, value in sweep.items()
        if not isinstance(value, list) or not value
    ]
    together = sweep.get(TOGETHER, [])
    if isinstance(together, list) and not all(isinstance(values, dict) for values in together):
        problems.append(f"{shown(file)}: `{TOGETHER}` needs a list of mappings, each a set of values to try together.")
    if not sweep:
        problems.append(
            f"{shown(file)}: nothing to try. Write a key with a list, such as learning_rate: [0.0001, 0.0002]."
        )
    if problems:
        raise ConfigError(problems)
    return sweep


def note_runs(folder: Path, start: Record, file: Path) -> None:
    """Write start.json of every run of a sweep, in the folders that Axolotl will give them."""
    base = yaml.safe_load(start["config"])
    for number, tried in enumerate(combinations(load_sweep(file)), start=1):
        run = folder / f"sweep{number:04d}"
        recipe = {**base, **tried, "output_dir": str(run)}
        rest = {key: value for key, value in start.items() if key != "sweep"}
        write_record(run / START_FILE, {**rest, "config": yaml.safe_dump(recipe, sort_keys=False), "tried": tried})


def combinations(sweep: dict[str, list[Any]]) -> list[dict[str, Any]]:
    """What each run tries, in Axolotl's own order, which is shuffled: by its function, whose file needs no torch."""
    axolotl = importlib.util.find_spec("axolotl")
    if axolotl is None or not axolotl.submodule_search_locations:
        raise ValueError("Axolotl is not installed in this environment. Run `pip install -r requirements-gpu.txt`.")
    file = Path(axolotl.submodule_search_locations[0], "cli", "utils", "sweeps.py")
    spec = importlib.util.spec_from_file_location("axolotl_sweeps", file)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with contextlib.redirect_stdout(io.StringIO()):
        made: list[dict[str, Any]] = module.generate_sweep_configs({}, sweep)
    return made


if __name__ == "__main__":
    sys.exit(main())
