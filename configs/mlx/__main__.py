"""Trains a resolved recipe with mlx-lm: `python -m configs.mlx output/configs/mayor.yml`, which
`scripts/train.sh mayor --backend mlx` calls. The same command again goes on where it stopped.

mlx-lm has an environment of its own, .venv/mlx (make .venv/.mlx); MLX_PYTHON names another one's Python.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from configs.files import CONFIGS, write_text
from configs.mlx.finish import finish
from configs.mlx.limits import notes_on, problems_of
from configs.mlx.recipe import Size, recipe_of, size_of
from configs.mlx.rows import read_examples, write_batches
from configs.mlx.sittings import going_on
from configs.runs.record import START_FILE, read_record, start_record, write_record
from configs.runs.start import move_aside
from configs.strict_yaml import ConfigError, load_mapping

BACKEND: Final = "mlx"
KEPT: Final = 3


def main(argv: list[str] | None = None) -> int:
    options = parser().parse_args(argv)
    try:
        config = load_mapping(options.config)
        if problems := list(problems_of(config)):
            raise ConfigError([f"{options.config}: {problem}" for problem in problems])
        return train(options.config, config)
    except ConfigError as error:
        print(*error.problems, sep="\n", file=sys.stderr)
    except (OSError, ValueError) as error:
        print(f"mlx: {error}", file=sys.stderr)
    return 1


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(
        prog="python -m configs.mlx", description=(__doc__ or "").split("`")[0].rstrip(": ")
    )
    result.add_argument("config", type=Path, help="a file that configs.resolve wrote")
    return result


def train(file: Path, config: Mapping[str, Any]) -> int:
    """The whole run. Raises `ConfigError`, `ValueError` and `OSError`."""
    python, run = mlx_python(), Path(config["output_dir"])
    for note in notes_on(config):
        print(f"note: {note}")
    print(prepare(run, file.read_text(encoding="utf-8"), config))
    size = write_data(config, run / "mlx")
    done, weights = going_on(run / "mlx")
    settings = recipe_of(config, size, str(run / "mlx"), min(done, size.iterations))
    settings["resume_adapter_file"] = str(weights) if weights else None
    told = {"mlx": settings, "done": done, "accumulation": size.accumulation, "steps": size.steps}
    write_text(run / "mlx/lora.json", json.dumps({**told, "keep": config.get("save_total_limit") or KEPT}, indent=1))
    begun = f", {done // size.accumulation:,} of them done" if done else ""
    print(f"{size.steps:,} steps of {size.accumulation} x {size.batch} examples{begun}")
    words = [python, "-m", "configs.mlx.inside", str(run / "mlx")]
    # mlx-lm fetches the base itself, and says what it does on this terminal.
    if code := subprocess.run(words, env={**os.environ, "PYTHONPATH": str(CONFIGS.parent)}, check=False).returncode:
        print(f"mlx: mlx-lm stopped with exit code {code}. The same command goes on where it stopped.", file=sys.stderr)
        return 1
    finish(run, config, size)
    return 0


def mlx_python() -> str:
    """The Python that has mlx-lm. Raises `ConfigError`."""
    python = os.environ.get("MLX_PYTHON") or str(CONFIGS.parent / ".venv/mlx/bin/python")
    if not Path(python).exists():
        raise ConfigError([f"{python}: there is no mlx-lm. Install it: make .venv/.mlx"])
    return python


def prepare(run: Path, text: str, config: Mapping[str, Any]) -> str:
    """Makes the folder fit: the same recipe goes on, another one, or one of Axolotl's, moves aside."""
    # Axolotl compares this text too, and so does not take the folder for its own.
    text += f"# Trained with {BACKEND}, not with Axolotl.\n"
    start = start_record(text, config)
    before = read_record(run / START_FILE) or {}
    if (before.get("config"), before.get("data")) == (text, start["data"]):
        (run / "trainer_state.json").unlink(missing_ok=True)
        return f"same recipe as before in {run}"
    said = f"new run in {run}"
    if run.exists():
        said = f"another recipe than before: moved the old run to {move_aside(run)}"
    write_record(run / START_FILE, {**start, "backend": BACKEND})
    return said


def write_data(config: Mapping[str, Any], folder: Path) -> Size:
    """train.jsonl and valid.jsonl, and what follows from their sizes. Raises `ConfigError` where nothing is trained."""
    rows = Path(config["datasets"][0]["path"])
    training = read_examples(rows)
    if not training.lines:
        raise ConfigError([f"{rows}: no trained reply in it, so nothing to learn."])
    size = size_of(config, len(training.lines))
    write_batches(training, size.batch, folder / "train.jsonl")
    print(training.words)
    (folder / "valid.jsonl").unlink(missing_ok=True)
    for block in config.get("test_datasets") or ():
        if (validation := read_examples(Path(block["path"]))).lines:
            write_batches(validation, size.batch, folder / "valid.jsonl")
    return size


if __name__ == "__main__":
    sys.exit(main())
