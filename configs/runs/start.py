"""Before a training starts: is everything there, and may an earlier run of this folder be resumed?

`python -m configs.runs.start output/configs/mayor.yml` checks rows, recipe, model, disk and GPU, and makes the output
folder fit: the same recipe on the same rows resumes from its last whole checkpoint; another one moves the
old folder aside. With --sweep FILE every value of the sweep is checked too.
"""

import argparse
import json
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from configs.runs.history import append
from configs.runs.machine import process_mark
from configs.runs.preflight import notes, obstacles
from configs.runs.record import START_FILE, read_record, start_record, write_record
from configs.runs.sweep import SWEPT, note_runs, sweep_obstacles
from configs.strict_yaml import ConfigError, load_mapping

# What transformers needs to resume; a checkpoint without one of them stops or, worse, resumes without the optimizer.
WHOLE_CHECKPOINT: Final = ("trainer_state.json", "adapter_model.safetensors", "optimizer.pt", "scheduler.pt")
# What FSDP2 and DeepSpeed write in place of optimizer.pt, and DeepSpeed of scheduler.pt too.
DIVIDED_OPTIMIZER: Final = ("optimizer.bin", "global_step*/*")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m configs.runs.start", description=__doc__.splitlines()[0])
    parser.add_argument("config", type=Path, help="a file that configs.resolve wrote")
    parser.add_argument("--sweep", type=Path, metavar="FILE", help="values to try, for `axolotl train --sweep`")
    options = parser.parse_args(arguments)
    try:
        config = load_mapping(options.config)
        problems = list(obstacles(options.config, config))
        problems += sweep_obstacles(options.sweep, config) if options.sweep else ()
        if problems:
            raise ConfigError(problems)
        for note in notes(config):
            print(f"note: {note}")
        print(prepare(options.config, config, options.sweep))
        append(Path(config["output_dir"]), "prepared", 0, process=starter())
    except (ConfigError, ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def starter() -> str | None:
    """The mark of the script that called this and trains next, for the list of runs; None where a person called."""
    try:
        words = Path(f"/proc/{os.getppid()}/cmdline").read_bytes()
    except OSError:
        return None
    return process_mark(os.getppid()) if b"train.sh" in words or b"sweep.sh" in words else None


def prepare(file: Path, config: Mapping[str, Any], sweep_file: Path | None = None) -> str:
    """Make the output folder fit for this recipe and say in one sentence what was done."""
    folder = Path(config["output_dir"])
    text = file.read_text(encoding="utf-8")
    sweep = sweep_file.read_text(encoding="utf-8") if sweep_file else ""
    before = read_record(folder / START_FILE) or {}
    is_same = (before.get("config"), before.get("sweep", "")) == (text, sweep)
    done = f"new run in {folder}"
    if is_same:
        done = resumed(folder)
    elif folder.exists():
        done = f"another recipe than before: moved the old run to {move_aside(folder)}"
    if not is_same:
        started = start_record(text, config, sweep)
        if sweep_file:
            note_runs(folder, started, sweep_file)
        write_record(folder / START_FILE, started)
    return done


def resumed(folder: Path) -> str:
    removed = [name for run in (folder, *folder.glob(SWEPT)) for name in remove_broken(run)]
    left = len([*folder.glob("checkpoint-*"), *folder.glob(f"{SWEPT}/checkpoint-*")])
    said = f"same recipe as before in {folder}: {left} checkpoints to resume from"
    return said + (f", removed {', '.join(removed)} (not whole)" if removed else "")


def remove_broken(folder: Path) -> list[str]:
    """Delete checkpoints that a kill left half-written, and the last state, which the new run writes again."""
    (folder / "trainer_state.json").unlink(missing_ok=True)
    broken = [checkpoint for checkpoint in sorted(folder.glob("checkpoint-*")) if not is_whole(checkpoint)]
    for checkpoint in broken:
        shutil.rmtree(checkpoint)
    return [checkpoint.name for checkpoint in broken]


def is_whole(checkpoint: Path) -> bool:
    """Whether all files are there and the state, which is written last, is readable."""
    missing = {name for name in WHOLE_CHECKPOINT if not (checkpoint / name).is_file()}
    is_divided = missing <= {"optimizer.pt", "scheduler.pt"} and any(map(any, map(checkpoint.glob, DIVIDED_OPTIMIZER)))
    if missing and not is_divided:
        return False
    try:
        json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
    except ValueError:
        return False
    return True


def move_aside(folder: Path) -> Path:
    number = 1
    while (aside := folder.with_name(f"{folder.name}.old{number}")).exists():
        number += 1
    return folder.rename(aside)


if __name__ == "__main__":
    sys.exit(main())
