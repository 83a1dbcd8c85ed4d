"""What configs/runs/check.py reads of a run, from what mlx-lm left: the trainer's state, the adapter, its tokenizer."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from configs.files import write_text
from configs.mlx.peft_form import adapter_config
from configs.mlx.recipe import Size
from configs.runs.check import TOKENIZER
from configs.runs.history import evals_of, read_history, steps_of

WEIGHTS = "adapter_model.safetensors"


def finish(run: Path, config: Mapping[str, Any], size: Size) -> None:
    """Puts everything beside start.json; the state comes last, since it says that the run is whole."""
    (run / "mlx" / WEIGHTS).replace(run / WEIGHTS)
    write_text(run / "adapter_config.json", json.dumps(adapter_config(config), indent=2) + "\n")
    base = base_folder(str(config["base_model"]))
    for name in TOKENIZER:
        if (base / name).is_file():
            shutil.copyfile(base / name, run / name)
    write_text(run / "trainer_state.json", json.dumps(state_of(run, size)) + "\n")


def base_folder(name: str) -> Path:
    """A local folder, or the hub's cache, where mlx-lm has put the model."""
    if Path(name).is_dir():
        return Path(name)
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(name, "config.json")
    return Path(found).parent if isinstance(found, str) else Path(name)


def state_of(run: Path, size: Size) -> dict[str, Any]:
    """As the trainer of transformers writes it."""
    history = read_history(run)
    losses = [{"step": step.step, "loss": step.loss} for step in steps_of(history)]
    evals = [{"step": step, "eval_loss": loss} for step, loss in evals_of(history)]
    reached = max((entry["step"] for entry in losses), default=0)
    epoch = reached * size.accumulation / size.batches
    return {
        "global_step": reached,
        "max_steps": size.steps,
        "epoch": round(epoch, 4),
        "num_train_epochs": size.iterations / size.batches,
        "log_history": sorted([*losses, *evals], key=lambda entry: entry["step"]),
    }
