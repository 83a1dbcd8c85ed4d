"""An adapter of mlx-lm as one of PEFT, which the registry, GGUF and the gateway take.

mlx-lm multiplies x @ lora_a @ lora_b, PEFT lora_B @ lora_A @ x: the same matrices, each turned over.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

NAME: Final = re.compile(r"(?P<module>.+)\.lora_(?P<side>[ab])")
PREFIX: Final = "base_model.model."


def peft_name(name: str) -> str:
    """`model.layers.0.mlp.up_proj.lora_a` is `base_model.model.model.layers.0.mlp.up_proj.lora_A.weight`."""
    match = NAME.fullmatch(name)
    if match is None:
        raise ValueError(f"{name} is no weight of a LoRA adapter of mlx-lm.")
    return f"{PREFIX}{match['module']}.lora_{match['side'].upper()}.weight"


def convert(source: Path, target: Path) -> int:
    """Writes the weights in PEFT's form, in 32 bit as Axolotl leaves them; how many there are. Runs where mlx is."""
    import mlx.core as mx  # type: ignore[import-not-found]

    weights = {peft_name(name): mx.contiguous(w.T.astype(mx.float32)) for name, w in mx.load(str(source)).items()}
    mx.save_safetensors(str(target), weights, metadata={"format": "pt"})
    return len(weights)


def adapter_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """adapter_config.json: what PEFT has to know, all else at its defaults."""
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": config["base_model"],
        "r": int(config["lora_r"]),
        "lora_alpha": int(config["lora_alpha"]),
        "lora_dropout": float(config.get("lora_dropout") or 0.0),
        "target_modules": sorted(config["lora_target_modules"]),
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "init_lora_weights": True,
        "use_dora": False,
        "use_rslora": False,
    }
