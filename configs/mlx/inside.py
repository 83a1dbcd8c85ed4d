"""The part that runs in mlx-lm's own environment: `python -m configs.mlx.inside FOLDER` trains what its lora.json says.

Every report goes to history.jsonl, as with Axolotl; old checkpoints go as new ones come; the adapter ends in PEFT's
form. It imports nothing that this environment does not have.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from configs.mlx.peft_form import convert
from configs.runs.history import append, begin
from configs.runs.machine import process_mark


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m configs.mlx.inside", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="with lora.json, train.jsonl and valid.jsonl")
    folder: Path = parser.parse_args(argv).folder
    told = json.loads((folder / "lora.json").read_text(encoding="utf-8"))
    if told["mlx"]["iters"] > 0:
        train(folder, told)
    count = convert(folder / "adapters.safetensors", folder / "adapter_model.safetensors")
    print(f"{count} matrices in PEFT's form")
    return 0


def train(folder: Path, told: dict[str, Any]) -> None:
    """mlx-lm's own training, with a callback that writes the run's history."""
    import mlx.core as mx  # type: ignore[import-not-found]
    import numpy as np
    from mlx_lm import lora  # type: ignore[import-not-found]
    from mlx_lm.utils import load  # type: ignore[import-not-found]

    settings = SimpleNamespace(**{**lora.CONFIG_DEFAULTS, **told["mlx"]})
    base = folder_of(settings.model)
    np.random.seed(settings.seed)
    mx.random.seed(settings.seed)
    model, tokenizer = load(str(base), model_config=rope_of(base))
    train_set, valid_set, _ = lora.load_dataset(settings, tokenizer)
    report = Report(folder, told)
    begin(
        folder.parent, report.step(0), max_steps=told["steps"], process=process_mark(os.getpid()),
        machine={"gpus": [], "cpus": os.cpu_count(), "mlx": versions(), "device": str(mx.default_device())},
    )  # fmt: skip
    lora.train_model(settings, model, train_set, valid_set, report)
    append(folder.parent, "end", report.step(settings.iters))


def folder_of(model: str) -> Path:
    """The base model's folder, fetched from the hub where it is not here."""
    if Path(model).is_dir():
        return Path(model)
    from huggingface_hub import snapshot_download

    return Path(snapshot_download(model, allow_patterns=["*.json", "*.safetensors", "*.txt", "*.jinja", "*.model"]))


def rope_of(base: Path) -> dict[str, Any]:
    """transformers 5 writes rope_parameters, which mlx-lm does not read: it would take a default, and be wrong."""
    config = json.loads((base / "config.json").read_text(encoding="utf-8"))
    rope = config.get("rope_parameters")
    if "rope_theta" in config or not isinstance(rope, dict) or "rope_theta" not in rope:
        return {}
    scaling = None if rope.get("rope_type", "default") == "default" else rope
    return {"rope_theta": rope["rope_theta"], **({"rope_scaling": scaling} if scaling else {})}


def versions() -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in ("mlx", "mlx-lm")}


class Report:
    """What mlx-lm tells while it trains; iterations count from where an earlier sitting stopped."""

    def __init__(self, folder: Path, told: dict[str, Any]) -> None:
        self.folder, self.done, self.accumulation = folder, int(told["done"]), int(told["accumulation"])
        self.keep, self.tokens, self.since = int(told["keep"]), 0, time.monotonic()

    def step(self, iteration: int) -> int:
        return (self.done + iteration) // self.accumulation

    def on_train_loss_report(self, info: dict[str, Any]) -> None:
        now = time.monotonic()
        seconds, self.since = now - self.since, now
        append(
            self.folder.parent, "step", self.step(info["iteration"]), loss=round(float(info["train_loss"]), 8),
            learning_rate=float(info["learning_rate"]), seconds=round(seconds, 4),
            trained_tokens=int(info["trained_tokens"]), memory=int(info["peak_memory"] * 1e9),
        )  # fmt: skip
        for old in checkpoints(self.folder)[: -self.keep or None]:
            old.unlink(missing_ok=True)

    def on_val_loss_report(self, info: dict[str, Any]) -> None:
        self.since = time.monotonic()
        append(self.folder.parent, "eval", self.step(info["iteration"]), eval_loss=round(float(info["val_loss"]), 8))


def checkpoints(folder: Path) -> list[Path]:
    """The oldest first; their names carry the iteration of their sitting, and lie in a folder of it."""
    return sorted(folder.glob("*_adapters.safetensors"))


if __name__ == "__main__":
    sys.exit(main())
