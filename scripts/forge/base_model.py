"""The base model of a recipe: whether all of it is on this machine, and its download, which can be stopped anywhere."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from scripts.forge.hardware import existing
from scripts.forge.usage import size

# Weights once, as safetensors, and what a tokenizer needs; repositories may hold the same weights in other formats.
WANTED: Final = ("*.json", "*.safetensors", "*.txt", "*.jinja", "*.model")
BYTES_OF_A_WEIGHT: Final = 2


@dataclass(frozen=True, slots=True)
class Base:
    """`here` is whether it is whole, `bytes` what its weights take where the plan knows its shape, else 0."""

    name: str
    here: bool
    bytes: int
    problem: str = ""


def find_base(name: str) -> Base:
    """What is known of a base model, without any network."""
    return Base(name, is_whole(name), bytes_of(name))


def is_whole(name: str) -> bool:
    """Whether a folder, or the hub's cache, holds config, tokenizer and every part of the weights."""
    folder = Path(name)
    if not folder.is_dir():
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(name, "config.json")
        if not isinstance(found, str):
            return False
        folder = Path(found).parent
    return (folder / "config.json").is_file() and all((folder / part).is_file() for part in parts(folder))


def parts(folder: Path) -> list[str]:
    """The files of the weights; a single one where no index names several."""
    index = folder / "model.safetensors.index.json"
    try:
        told: dict[str, Any] = json.loads(index.read_text("utf-8"))
        return sorted(set(told["weight_map"].values()))
    except (OSError, ValueError, KeyError):
        return ["model.safetensors"]


def bytes_of(name: str) -> int:
    from configs.plan.tables import find_shape, load_models
    from configs.strict_yaml import ConfigError

    try:
        return find_shape(name, load_models()).parameters * BYTES_OF_A_WEIGHT
    except ConfigError:
        return 0


def fetch(name: str) -> Base:
    """Downloads what is missing, with progress on stderr; `problem` is one sentence where that did not work."""
    wanted, free = bytes_of(name), room()
    if wanted > free:
        said = f"{name} needs about {size(wanted)}, and the hub's cache has {size(free)} free."
        return Base(name, False, wanted, f"{said} Set HF_HOME to a larger disk.")
    problem = download(name)
    whole = not problem and is_whole(name)
    if not problem and not whole:
        problem = f"the repository {name} has no model.safetensors that could be trained. Name another base_model."
    return Base(name, whole, wanted, problem)


def room() -> int:
    from huggingface_hub import constants

    return shutil.disk_usage(existing(Path(constants.HF_HUB_CACHE))).free


def download(name: str) -> str:
    """What kept it from being fetched, in one sentence; empty if nothing did."""
    import httpx
    from huggingface_hub import errors as hub
    from huggingface_hub import snapshot_download

    later = "What was fetched is kept; forge init goes on with it."
    unreachable = (hub.LocalEntryNotFoundError, hub.OfflineModeIsEnabled, httpx.ConnectError)
    try:
        snapshot_download(name, allow_patterns=list(WANTED))
    except hub.GatedRepoError:
        return f"{name} is given to accounts only. Accept its licence on the hub and set HF_TOKEN, then forge init."
    except hub.RepositoryNotFoundError:
        return f"the hub has no {name}, or not for this account. Check base_model, or set HF_TOKEN."
    except hub.HFValidationError:
        return f"{name} is neither a folder here nor a name on the hub. `make smoke` makes the tiny base."
    except unreachable:
        return f"{name} could not be fetched: the hub does not answer from here, or HF_HUB_OFFLINE is set. {later}"
    except (hub.HfHubHTTPError, httpx.HTTPError, OSError) as error:
        return f"{name} could not be fetched ({reason(error)}). {later}"
    return ""


def reason(error: Exception) -> str:
    """The first sentence of what a library says, which may be pages."""
    said = " ".join(str(error).split()) or type(error).__name__
    return said.split(". ")[0].rstrip(".")[:160]
