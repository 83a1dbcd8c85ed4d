"""Before a training starts: is everything there, and may an earlier run of this folder be resumed?

`python -m configs.runs.start output/configs/mayor.yml` checks Axolotl, GPU and rows, and makes the output
folder fit: the same recipe on the same rows resumes from its last whole checkpoint; another one moves the
old folder aside.
"""

import argparse
import json
import shutil
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from configs.files import write_text
from configs.rows import read_rows
from configs.strict_yaml import ConfigError, load_mapping

START_FILE: Final = "start.json"
# What transformers needs to resume; a checkpoint without one of them stops or, worse, resumes without the optimizer.
WHOLE_CHECKPOINT: Final = ("trainer_state.json", "adapter_model.safetensors", "optimizer.pt", "scheduler.pt")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m configs.runs.start", description=__doc__.splitlines()[0])
    parser.add_argument("config", type=Path, help="a file that configs.resolve wrote")
    options = parser.parse_args(arguments)
    try:
        config = load_mapping(options.config)
        if problems := list(obstacles(config)):
            raise ConfigError(problems)
        print(prepare(options.config, config))
    except (ConfigError, ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def obstacles(config: Mapping[str, Any]) -> Iterator[str]:
    """What stands in the way of training here, each with its fix."""
    for block in (*config["datasets"], *config.get("test_datasets", ())):
        if not Path(block["path"]).is_file():
            yield f"{block['path']}: no such file. Run `make all`, then resolve the recipe again."
    base = config["base_model"]
    if is_path(base) and not (Path(base) / "config.json").is_file():
        yield f"{base}: no model there. `make smoke` makes the tiny base; or name another base_model."
    if find_spec("axolotl") is None:
        yield "Axolotl is not installed in this environment. Run `pip install -r requirements-gpu.txt`."
    elif (keys := gpu_keys(config)) and not has_gpu():
        yield f"This machine has no CUDA GPU, which {', '.join(keys)} needs. Rent one, or add `--with smoke`."


def is_path(base_model: str) -> bool:
    """Whether a model is named by its folder; a name on the hub is OWNER/NAME."""
    return base_model.startswith(("/", "./", "../", "output/")) or base_model.count("/") > 1


def gpu_keys(config: Mapping[str, Any]) -> list[str]:
    """The settings that run on a GPU only."""
    needs = {
        "load_in_4bit": bool(config.get("load_in_4bit")),
        "bf16": bool(config.get("bf16")),
        "attn_implementation": str(config.get("attn_implementation", "")).startswith("flash"),
        "lora_mlp_kernel": bool(config.get("lora_mlp_kernel")),
    }
    return [f"{key}: {config[key]}".replace("True", "true") for key, needed in needs.items() if needed]


def has_gpu() -> bool:
    import torch

    return bool(torch.cuda.is_available())


def prepare(file: Path, config: Mapping[str, Any]) -> str:
    """Make the output folder fit for this recipe and say in one sentence what was done."""
    folder = Path(config["output_dir"])
    text = file.read_text(encoding="utf-8")
    before = earlier_config(folder)
    done = f"new run in {folder}"
    if before == text:
        removed = remove_broken(folder)
        left = len(list(folder.glob("checkpoint-*")))
        done = f"same recipe as before in {folder}: {left} checkpoints to resume from"
        done += f", removed {', '.join(removed)} (not whole)" if removed else ""
    elif folder.exists():
        done = f"another recipe than before: moved the old run to {move_aside(folder)}"
    if before != text:
        write_text(folder / START_FILE, json.dumps(start_record(text, config), indent=2) + "\n")
    return done


def earlier_config(folder: Path) -> str | None:
    try:
        start: dict[str, str] = json.loads((folder / START_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return start.get("config")


def remove_broken(folder: Path) -> list[str]:
    """Delete checkpoints that a kill left half-written, and the last state, which the new run writes again."""
    (folder / "trainer_state.json").unlink(missing_ok=True)
    broken = [
        checkpoint
        for checkpoint in sorted(folder.glob("checkpoint-*"))
        if not all((checkpoint / name).is_file() for name in WHOLE_CHECKPOINT)
    ]
    for checkpoint in broken:
        shutil.rmtree(checkpoint)
    return [checkpoint.name for checkpoint in broken]


def move_aside(folder: Path) -> Path:
    number = 1
    while (aside := folder.with_name(f"{folder.name}.old{number}")).exists():
        number += 1
    return folder.rename(aside)


def start_record(text: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """What is trained, on which rows, since when: the first half of run.json."""
    blocks = (*config["datasets"], *config.get("test_datasets", ()))
    return {
        "base_model": config["base_model"],
        "config": text,
        "data": [read_rows(Path(block["path"])).as_json() for block in blocks],
        "started_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


if __name__ == "__main__":
    sys.exit(main())
