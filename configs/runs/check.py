"""Did the training really happen? `python -m configs.runs.check output/checkpoints/mayor --adapter
output/adapters/mayor`.

On success the adapter's files go to the adapter folder in one move, with run.json: the recipe, the hashes
of the rows, versions, machine, steps and losses; versions of the registry in that folder stay. Otherwise it names the
reason, exits 1 and leaves the adapter folder alone.
"""

import argparse
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from configs.runs.outcome import Failure, Outcome, judge
from configs.runs.placing import put_in_place
from configs.runs.record import RUN_FILE, read_start, run_record, write_record

REQUIRED: Final = ("adapter_config.json", "adapter_model.safetensors")
TOKENIZER: Final = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m configs.runs.check", description=__doc__.splitlines()[0])
    parser.add_argument("checkpoints", type=Path, help="Axolotl's output_dir")
    parser.add_argument("--adapter", type=Path, required=True, help="where the finished adapter goes")
    options = parser.parse_args(arguments)
    try:
        outcome = check(options.checkpoints, options.adapter)
    except (OSError, ValueError) as error:
        print(f"check: {error}", file=sys.stderr)
        return 1
    if isinstance(outcome, Failure):
        print(f"{options.checkpoints}: {outcome}. See {options.checkpoints / 'debug.log'}.", file=sys.stderr)
        return 1
    ended = "stopped early" if outcome.early_stopped else "done"
    print(
        f"{options.adapter}: {ended} after {outcome.steps} of {outcome.max_steps} steps, "
        f"loss {outcome.first_loss:.3f} -> {outcome.last_loss:.3f}{best_eval(outcome)}"
    )
    return 0


def best_eval(outcome: Outcome) -> str:
    if not outcome.eval_losses:
        return ", no validation rows"
    step, loss = min(outcome.eval_losses, key=lambda pair: pair[1])
    return f", best eval loss {loss:.3f} at step {step}"


def check(checkpoints: Path, adapter: Path) -> Outcome | Failure:
    """Judge the run and, when it is done, put the adapter in place."""
    if not checkpoints.is_dir():
        raise ValueError(f"{checkpoints}: no such folder. Train first: `scripts/train.sh {checkpoints.name}`.")
    start = read_start(checkpoints)
    outcome = judge(checkpoints, yaml.safe_load(start["config"]).get("loss_watchdog_threshold"))
    if isinstance(outcome, Outcome):
        publish(checkpoints, adapter, run_record(start, outcome, checkpoints))
    return outcome


def publish(checkpoints: Path, adapter: Path, record: Mapping[str, Any]) -> None:
    """Copy the adapter's files beside the target and swap the folders."""
    unfinished = adapter.with_name(f".{adapter.name}.{os.getpid()}")
    unfinished.mkdir(parents=True)
    try:
        for name in (*REQUIRED, *TOKENIZER):
            if name in REQUIRED or (checkpoints / name).is_file():
                shutil.copyfile(checkpoints / name, unfinished / name)
                # Safetensors come out readable by their owner alone, which breaks shared machines and containers.
                (unfinished / name).chmod(0o644)
        write_record(unfinished / RUN_FILE, record)
        put_in_place(unfinished, adapter)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
