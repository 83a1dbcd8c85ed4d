"""An Axolotl recipe as mlx-lm's: the same steps, rates and LoRA, in the words of `mlx_lm lora -c FILE`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from configs.mlx.limits import MODULES

# How often there is something to see or to keep where a recipe does not say.
PARTS: Final = 10


@dataclass(frozen=True, slots=True)
class Size:
    """`batch` rows at a time, `accumulation` batches a step, `steps` steps, `batches` an epoch."""

    batch: int
    accumulation: int
    steps: int
    batches: int

    @property
    def iterations(self) -> int:
        return self.steps * self.accumulation


def size_of(config: Mapping[str, Any], examples: int) -> Size:
    """As many rows make a step as with Axolotl; fewer where there are not so many."""
    batch = min(int(config.get("micro_batch_size") or 1), examples)
    batches = math.ceil(examples / batch)
    accumulation = min(int(config.get("gradient_accumulation_steps") or 1), batches)
    epochs = float(config.get("num_epochs") or 1)
    steps = int(config.get("max_steps") or 0) or math.ceil(batches * epochs / accumulation)
    return Size(batch, accumulation, steps, batches)


def recipe_of(config: Mapping[str, Any], size: Size, folder: str, done: int = 0) -> dict[str, Any]:
    """The settings of mlx-lm; `done` iterations are behind it, whose weights it starts from."""
    name, options = optimizer(config)
    every = {
        "steps_per_report": iterations(config, size, "logging_steps", 1),
        "steps_per_eval": iterations(config, size, "eval_steps", 1 / PARTS),
        "save_every": iterations(config, size, "save_steps", 1 / PARTS),
    }
    return {
        "train": True,
        "model": config["base_model"],
        "data": folder,
        "adapter_path": folder,
        "fine_tune_type": "lora",
        "num_layers": -1,
        "lora_parameters": lora(config),
        "mask_prompt": True,
        "batch_size": size.batch,
        "grad_accumulation_steps": size.accumulation,
        "iters": size.iterations - done,
        "learning_rate": float(config["learning_rate"]),
        "lr_schedule": schedule(config, size.steps, done // size.accumulation),
        "optimizer": name,
        "optimizer_config": {name: options},
        "val_batches": -1,
        **every,
        "max_seq_length": int(config["sequence_len"]),
        "grad_checkpoint": bool(config.get("gradient_checkpointing")),
        # Other batches than those that the first sitting began with.
        "seed": int(config.get("seed") or 0) + done,
        "resume_adapter_file": None,
    }


def lora(config: Mapping[str, Any]) -> dict[str, Any]:
    """mlx-lm multiplies by `scale` where PEFT divides lora_alpha by the rank."""
    rank = int(config["lora_r"])
    return {
        "rank": rank,
        "scale": float(config["lora_alpha"]) / rank,
        "dropout": float(config.get("lora_dropout") or 0.0),
        "keys": [f"{MODULES[name]}.{name}" for name in config["lora_target_modules"]],
    }


def iterations(config: Mapping[str, Any], size: Size, key: str, default: float) -> int:
    """Iterations between two events: a share of the run below 1, a number of steps, or an epoch."""
    strategy = config.get(f"{key.split('_')[0]}_strategy")
    value = float(config.get(key) or default)
    steps = value if value >= 1 else value * size.steps
    if strategy == "epoch":
        steps = size.batches / size.accumulation
    return max(1, round(steps)) * size.accumulation


def optimizer(config: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """AdamW in full precision for each of its kinds; as torch has it, which corrects the bias."""
    named = str(config.get("optimizer") or "adamw")
    if "adamw" not in named and named in ("sgd", "adafactor", "muon"):
        return named, {}
    betas = [float(config.get("adam_beta1") or 0.9), float(config.get("adam_beta2") or 0.999)]
    weight_decay, eps = float(config.get("weight_decay") or 0.0), float(config.get("adam_epsilon") or 1e-8)
    return "adamw", {"betas": betas, "eps": eps, "weight_decay": weight_decay, "bias_correction": True}


def warmup_of(config: Mapping[str, Any], steps: int) -> int:
    given = config.get("warmup_steps")
    return int(given) if given else math.ceil(float(config.get("warmup_ratio") or 0.0) * steps)


def rate_at(config: Mapping[str, Any], steps: int, step: int) -> float:
    """The learning rate of a step, as transformers has it."""
    peak, warmup = float(config["learning_rate"]), warmup_of(config, steps)
    if step < warmup:
        return peak * step / warmup
    kind = config.get("lr_scheduler", "cosine")
    share = (step - warmup) / max(1, steps - warmup)
    if kind == "linear":
        return peak * (1 - share)
    return peak * 0.5 * (1 + math.cos(math.pi * share)) if kind == "cosine" else peak


def schedule(config: Mapping[str, Any], steps: int, done: int) -> dict[str, Any]:
    """The schedule of the steps that are left; one that goes on begins with the rate that it stopped at."""
    kind = config.get("lr_scheduler", "cosine")
    warmup = max(0, warmup_of(config, steps) - done)
    first = float(config["learning_rate"]) if warmup else rate_at(config, steps, done)
    left = max(1, steps - done - warmup)
    shapes = {
        "cosine": ("cosine_decay", [first, left, 0.0]),
        "linear": ("linear_schedule", [first, 0.0, left]),
    }
    name, arguments = shapes.get(kind, ("linear_schedule", [first, first, left]))
    return {"name": name, "arguments": arguments, "warmup": warmup}
