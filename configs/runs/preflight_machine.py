"""Does the machine have what a recipe needs: a GPU that torch can use, and room for its checkpoints?"""

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from configs.files import shown
from configs.plan.shapes import adapter_weights
from configs.plan.tables import find_shape, load_models
from configs.runs.machine import GIB, Machine
from configs.strict_yaml import ConfigError

# Bytes of optimizer state for one weight of the adapter: two moments, in 8 bit or in 32.
OPTIMIZER_BYTES: Final = {True: 2, False: 8}
ADAPTER_BYTES: Final = 4  # Axolotl trains and saves LoRA weights in 32 bit


def gpu_keys(config: Mapping[str, Any]) -> list[str]:
    """The settings that run on a GPU only."""
    needs = {
        "load_in_4bit": bool(config.get("load_in_4bit")),
        "bf16": bool(config.get("bf16")),
        "attn_implementation": str(config.get("attn_implementation", "")).startswith("flash"),
        "lora_mlp_kernel": bool(config.get("lora_mlp_kernel")),
    }
    return [f"{key}: {config[key]}".replace("True", "true") for key, needed in needs.items() if needed]


def gpu_obstacles(machine: Machine, config: Mapping[str, Any], keys: list[str]) -> Iterator[str]:
    """Why torch cannot use a GPU here, or what the GPU lacks."""
    if not machine.gpus:
        yield no_gpu(machine, keys)
        return
    name, memory = machine.gpus[0]
    if config.get("bf16") is True and not machine.bf16:
        yield f"{name} does not compute in bf16. Set `bf16: false` and `fp16: true`."
    if machine.free < memory // 2:
        yield (
            f"Only {size(machine.free)} of {size(memory)} on {name} are free: another process holds the rest. "
            "`nvidia-smi` names it; end it, or choose another GPU with CUDA_VISIBLE_DEVICES."
        )


def no_gpu(machine: Machine, keys: list[str]) -> str:
    needed_by = ", ".join(keys)
    if machine.driver_cuda is None:
        return f"This machine has no CUDA GPU, which {needed_by} needs. Rent one, or add `--with smoke`."
    if machine.cuda is None:
        return (
            f"There is a GPU, but torch {machine.torch} was built without CUDA, which {needed_by} needs. Run "
            "`pip install -r requirements-gpu.txt` in a fresh environment."
        )
    if version_key(machine.driver_cuda) < version_key(machine.cuda):
        return (
            f"The GPU's driver runs CUDA up to {machine.driver_cuda}, torch {machine.torch} is built for "
            f"{machine.cuda}. Update the driver, or rent a machine with a newer one."
        )
    return "There is a GPU, but torch does not see it. Unset CUDA_VISIBLE_DEVICES, or open the GPU to this container."


def version_key(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def disk_needed(config: Mapping[str, Any]) -> dict[str, int]:
    """Bytes that the run will write, by part; empty where nobody knows the shape of its base.

    A checkpoint is the adapter and the optimizer's state. One more than the limit exists while it is replaced, and
    one more where the best is kept beside the newest. Training on preferences also writes the whole base (Axolotl
    issue 1305). Merging, which is deployment, is not counted.
    """
    try:
        shape = find_shape(config["base_model"], load_models())
        weights = adapter_weights(shape, config.get("lora_target_modules") or (), config.get("lora_r") or 0)
    except (ConfigError, KeyError):
        return {}
    kept = config.get("save_total_limit") or saves(config)
    checkpoints = kept + 1 + bool(config.get("load_best_model_at_end"))
    state = weights * OPTIMIZER_BYTES["8bit" in str(config.get("optimizer"))]
    found = {
        f"{checkpoints} checkpoints": checkpoints * (weights * ADAPTER_BYTES + state),
        "the adapter twice": 2 * weights * ADAPTER_BYTES,
    }
    return {**found, "a copy of the base": 2 * shape.parameters} if config.get("rl") else found


def saves(config: Mapping[str, Any]) -> int:
    """How many checkpoints a recipe without a limit writes; ten where only its steps would tell."""
    part = config.get("save_steps")
    return round(1 / part) if isinstance(part, float) and 0 < part < 1 else 10


def disk_obstacles(config: Mapping[str, Any]) -> Iterator[str]:
    needed = disk_needed(config)
    folder = Path(config.get("output_dir") or ".")
    there = next(place for place in (folder, *folder.absolute().parents) if place.is_dir())
    free = shutil.disk_usage(there).free
    if needed and free < sum(needed.values()):
        yield (
            f"{shown(there)}: {size(free)} of disk are free, the run needs about {size(sum(needed.values()))} "
            f"({parts(needed)}). Make room, lower save_total_limit, or use another --root."
        )


def parts(needed: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {size(count)}" for name, count in needed.items())


def size(count: float) -> str:
    """Bytes as a person reads them, in powers of 1024."""
    return f"{count / GIB:.1f} GiB" if count >= GIB / 10 else f"{count / 2**20:.0f} MiB"
