"""Hold a plan against real steps: `python -m configs.plan.measure mayor --gpu rtx4090 [--with OVERRIDE] [--steps 6]`.

Runs `axolotl train` on the recipe for a few steps, on random weights of its model's shape and on full rows, both made
on the spot, and prints predicted beside measured as a row for docs/plan-accuracy.md. On a machine without a GPU a
recipe that needs none, such as `--with smoke`, gives tokens a second alone.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from configs.combine import Config, combine
from configs.options import add_recipe
from configs.plan.accuracy import Compared, compare, line
from configs.plan.memory import GIB
from configs.plan.recipe import Recipe, read_recipe
from configs.plan.stand_in import make_base, write_full_rows
from configs.plan.tables import find_gpu, find_shape, load_gpus, load_models
from configs.runs.preflight_machine import gpu_keys
from configs.strict_yaml import ConfigError

# The first steps compile kernels and fill the allocator.
WARM_UP: Final = 2
# Written by configs/plan/probe.py into the output folder.
RECORDS: Final = "probe.json"
# What would end, slow down or report a run that learns nothing, and what makes its evaluation at the start and the end.
SHORT: Final = {
    "loss_watchdog_threshold": 1000.0,
    "load_best_model_at_end": False,
    "metric_for_best_model": None,
    "greater_is_better": None,
    "early_stopping_patience": None,
    "auto_resume_from_checkpoints": False,
    "save_strategy": "no",
    "save_steps": None,
    "save_total_limit": None,
    "wandb_project": None,
    "wandb_name": None,
    "wandb_mode": "disabled",
    "num_epochs": 1,
}


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    try:
        gpu = find_gpu(options.gpu, load_gpus())
        config = combine(options.role, options.overrides)
        if (keys := gpu_keys(config)) and not has_gpu():
            raise ConfigError(
                [f"This machine has no CUDA GPU, which {', '.join(keys)} needs. Rent one, or add `--with smoke`, "
                 "which gives tokens a second alone."]
            )  # fmt: skip
        with tempfile.TemporaryDirectory(prefix="plan-measure-") as folder:
            measured = measure(config, options.steps, Path(folder))
    except ConfigError as error:
        print(*error.problems, sep="\n", file=sys.stderr)
        return 1
    name = " with ".join((options.role, *options.overrides))
    if measured["tensors"] is None:
        print(f"{name}: {measured['speed']:,.0f} tokens/s on this CPU. Memory is measured on a GPU only.")
    else:
        predicted = compare(config, {"name": name, "with": {}}, gpu).predicted
        print(line(Compared(f"{name} on {gpu.name}", measured, predicted)))
    return 0


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m configs.plan.measure", description=__doc__.splitlines()[0])
    add_recipe(parser)
    parser.add_argument("--gpu", required=True, metavar="NAME", help="what this machine has, in configs/plan/gpus.yml")
    parser.add_argument("--steps", type=int, default=6, help=f"optimizer steps, the first {WARM_UP} not counted (6)")
    return parser


def has_gpu() -> bool:
    import torch

    return bool(torch.cuda.is_available())


def measure(config: Config, steps: int, folder: Path) -> dict[str, float | None]:
    """GiB of tensors and of the card (None on a CPU) and tokens a second, over real steps in `folder`.

    Raises `ConfigError` when the recipe is none that the plan covers, or Axolotl stops.
    """
    recipe = read_recipe(config)
    make_base(find_shape(recipe.base_model, load_models()), folder / "base")
    each = steps * recipe.accumulation * recipe.micro_batch
    write_full_rows(folder / "train.jsonl", each, recipe.sequence_len)
    write_full_rows(folder / "val.jsonl", max(recipe.eval_batch, 1), recipe.sequence_len)
    file = folder / "measure.yml"
    file.write_text(yaml.safe_dump(short_recipe(config, recipe, steps, folder)), encoding="utf-8")
    run_axolotl(file)
    records = json.loads((folder / "out" / RECORDS).read_text(encoding="utf-8"))
    return summary(records, recipe)


def short_recipe(config: Mapping[str, Any], recipe: Recipe, steps: int, folder: Path) -> Config:
    """The recipe with another base, other rows and an early end; null keys are left out."""
    ours = {
        **SHORT,
        "base_model": str(folder / "base"),
        "special_tokens": None,
        "eot_tokens": None,
        "datasets": [{**block, "path": str(folder / "train.jsonl")} for block in config["datasets"]],
        "dataset_prepared_path": str(folder / "prepared"),
        "output_dir": str(folder / "out"),
        "max_steps": steps,
        "plugins": [*config.get("plugins", ()), "configs.plan.probe.ProbePlugin"],
    }
    if recipe.eval_batch:
        rows = [{**block, "path": str(folder / "val.jsonl")} for block in config["test_datasets"]]
        ours |= {"test_datasets": rows, "eval_steps": steps}
    return {key: value for key, value in {**config, **ours}.items() if value is not None}


def run_axolotl(file: Path) -> None:
    """Raises `ConfigError` with the end of what Axolotl said, when it stops with an error or makes no step."""
    environment = {
        **os.environ,
        "AXOLOTL_DO_NOT_TRACK": "1",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
    }
    command = ["axolotl", "train", str(file), "--launcher", "python"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode or not (file.parent / "out" / RECORDS).is_file():
        said = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
        raise ConfigError([f"axolotl stopped with exit code {done.returncode}:\n{said}"])


def summary(records: list[dict[str, Any]], recipe: Recipe) -> dict[str, float | None]:
    """The peaks of all moments, and the median step after the first ones. Raises `ConfigError` when none is left."""
    timed = [record["seconds"] for record in records if record["what"] == "step"][WARM_UP:]
    if not timed:
        raise ConfigError([f"Too few steps to measure: use --steps {WARM_UP + 4}."])
    peaks = {key: [record[key] / GIB for record in records if key in record] for key in ("tensors", "card")}
    tokens = recipe.batch_tokens * recipe.accumulation
    return {key: max(values, default=None) for key, values in peaks.items()} | {
        "speed": tokens / statistics.median(timed)
    }


if __name__ == "__main__":
    sys.exit(main())
