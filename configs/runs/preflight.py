"""What stands in the way of a training here, all of it at once, each with its fix; and what is worth knowing.

Torch is loaded only when the recipe needs a GPU.
"""

import netrc
import os
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from configs.rules import problems_of
from configs.runs.machine import this_machine
from configs.runs.preflight_data import data_notes, data_obstacles
from configs.runs.preflight_machine import disk_needed, disk_obstacles, gpu_keys, gpu_obstacles, parts, size

WANDB_HOST: Final = "api.wandb.ai"


def obstacles(file: Path, config: Mapping[str, Any]) -> Iterator[str]:
    """Why this recipe cannot train here; `file` is the one that Axolotl will read."""
    yield from problems_of(config, [file])
    yield from data_obstacles(config)
    yield from model_obstacles(config["base_model"])
    yield from disk_obstacles(config)
    yield from tracking_obstacles(config)
    if find_spec("axolotl") is None:
        yield "Axolotl is not installed in this environment. Run `pip install -r requirements-gpu.txt`."
    elif config.get("deepspeed") and find_spec("deepspeed") is None:
        yield "`deepspeed` is not installed here. Run `pip install deepspeed==0.18.9`, or train `--with fsdp2`."
    # With Ray the GPUs are those of its workers: this machine may have none.
    elif (keys := gpu_keys(config)) and not config.get("use_ray"):
        yield from gpu_obstacles(this_machine(), config, keys)


def notes(config: Mapping[str, Any]) -> Iterator[str]:
    """What does not stop a training, one sentence each."""
    yield from data_notes(config)
    base = config["base_model"]
    if not is_path(base) and not is_cached(base):
        yield f"{base} is not on this machine yet and will be fetched from the hub first."
    if needed := disk_needed(config):
        yield f"The run needs about {size(sum(needed.values()))} of disk: {parts(needed)}."
    else:
        yield f"The shape of {base} is not in configs/plan/models.yml, so its need of disk is not known."


def is_path(base_model: str) -> bool:
    """Whether a model is named by its folder; a name on the hub is OWNER/NAME."""
    return base_model.startswith(("/", "./", "../", "output/")) or base_model.count("/") > 1


def model_obstacles(base: str) -> Iterator[str]:
    if is_path(base):
        if not (Path(base) / "config.json").is_file():
            yield f"{base}: no model there. `make smoke` makes the tiny base; or name another base_model."
        return
    if is_cached(base):
        return
    if is_offline():
        yield (
            f"{base} is not on this machine, and HF_HUB_OFFLINE keeps it from being fetched. Unset it, or run "
            f"`hf download {base}` where there is a network, into the same HF_HOME."
        )
    elif base.startswith("meta-llama/") and not has_hub_token():
        yield f"{base} is given to accounts only. Accept its licence on the hub and set HF_TOKEN."


def is_cached(base: str) -> bool:
    """Whether the hub's cache holds a model's config and weights."""
    from huggingface_hub import try_to_load_from_cache

    config = try_to_load_from_cache(base, "config.json")
    return isinstance(config, str) and any(Path(config).parent.glob("*.safetensors"))


def is_offline() -> bool:
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")


def has_hub_token() -> bool:
    from huggingface_hub import get_token

    return get_token() is not None


def tracking_obstacles(config: Mapping[str, Any]) -> Iterator[str]:
    """W&B that waits for a login, and trackio that is not there; offline or absent, both are fine."""
    online = config.get("wandb_project") and config.get("wandb_mode", "online") == "online"
    if online and not has_wandb_login():
        yield (
            "`wandb_mode: online`, and this machine has no login of W&B. Set WANDB_API_KEY, run `wandb login`, or use "
            "`wandb_mode: offline`."
        )
    if config.get("use_trackio") and find_spec("trackio") is None:
        yield "`use_trackio: true`, and trackio is not installed here. Run `pip install -r requirements-gpu.txt`."


def has_wandb_login() -> bool:
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = os.environ.get("WANDB_BASE_URL", WANDB_HOST).removeprefix("https://").split("/")[0]
    try:
        return netrc.netrc(os.environ.get("NETRC")).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False
