"""What `--model` means: the base model, an adapter folder or a served model; checked before torch loads.

`resolve_target` refuses an adapter that is missing, unfinished or trained on another base; `shape_fault`
compares its tensors with the base's config, for the case that two bases carry the same name.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval.errors import BadInput, read_json, sha256

WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"
TRAIN_COMMAND = "scripts/train.sh ROLE"
LAYER = re.compile(r"\.layers\.(\d+)\.")
READS_HIDDEN_STATE = re.compile(r"\.(?:q_proj|k_proj|v_proj|gate_proj|up_proj)\.lora_A\.weight$")


@dataclass(frozen=True)
class Server:
    """A model behind an OpenAI-compatible server; `url` ends in /v1."""

    url: str
    name: str


@dataclass(frozen=True)
class Adapter:
    """A finished adapter folder and the base model it was trained on."""

    folder: Path
    base_model: str
    sha256: str

    @property
    def has_tokenizer(self) -> bool:
        return (self.folder / "tokenizer_config.json").exists()


@dataclass(frozen=True)
class Target:
    """One model to run: a server, or a base model with or without an adapter."""

    label: str
    base_model: str
    adapter: Adapter | None = None
    server: Server | None = None


def resolve_target(model: str, base_model: str | None, configured_base: str) -> Target:
    """The model that `--model` and `--base-model` name; `configured_base` is the one of configs/data.yml."""
    if model.startswith(("http://", "https://")):
        return Target(_without_credentials(model), base_model or "", server=_server(model))
    if model == "base":
        return Target("base", base_model or configured_base)
    adapter = read_adapter(Path(model))
    if base_model is not None and not same_model(adapter.base_model, base_model):
        raise BadInput(
            f"{model} was trained on {adapter.base_model}, not on {base_model}; "
            f"give --base-model {adapter.base_model}, or an adapter of {base_model}."
        )
    return Target(model, base_model or adapter.base_model, adapter=adapter)


def read_adapter(folder: Path) -> Adapter:
    """The adapter in `folder`, or a sentence that says what is missing."""
    if not folder.is_dir():
        raise BadInput(f"there is no adapter folder {folder}; train one with `{TRAIN_COMMAND}`, or say base.")
    config = read_json(folder / CONFIG, TRAIN_COMMAND)
    base = config.get("base_model_name_or_path") if isinstance(config, dict) else None
    if not isinstance(base, str) or not base:
        raise BadInput(f"{folder / CONFIG} names no base_model_name_or_path; train again with `{TRAIN_COMMAND}`.")
    try:
        weights = (folder / WEIGHTS).read_bytes()
    except OSError:
        raise BadInput(f"{folder} holds no readable {WEIGHTS}; finish its training with `{TRAIN_COMMAND}`.") from None
    return Adapter(folder, base, sha256((folder / CONFIG).read_bytes(), weights))


def tensor_shapes(weights: Path) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor of a safetensors file, read from its header alone."""
    try:
        with weights.open("rb") as stream:
            header = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
        return {name: tuple(entry["shape"]) for name, entry in header.items() if name != "__metadata__"}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, MemoryError, OverflowError):
        raise BadInput(f"{weights} is not a safetensors file; train again with `{TRAIN_COMMAND}`.") from None


def shape_fault(shapes: Mapping[str, tuple[int, ...]], config: Mapping[str, Any]) -> str | None:
    """Why LoRA tensors of these shapes cannot belong to a model with this config (hidden_size, layers).

    Or None.
    """
    hidden, layers = config.get("hidden_size"), config.get("num_hidden_layers")
    for name, shape in shapes.items():
        if hidden and READS_HIDDEN_STATE.search(name) and shape[-1] != hidden:
            return f"its layers read {shape[-1]} values, the base has a hidden size of {hidden}"
        if layers and (found := LAYER.search(name)) and int(found[1]) >= layers:
            return f"it changes layer {found[1]}, the base has {layers} layers"
    return None


def refuse_other_shapes(target: Target, config: Mapping[str, Any]) -> None:
    """Raises BadInput where the target's adapter cannot belong to a base with this config; fine without an adapter."""
    if target.adapter is None:
        return
    fault = shape_fault(tensor_shapes(target.adapter.folder / WEIGHTS), config)
    if fault is not None:
        raise BadInput(
            f"{target.adapter.folder} does not fit {target.base_model}: {fault}; give its own base with --base-model."
        )


def same_model(one: str, other: str) -> bool:
    """Whether two names or paths mean the same base model."""
    return one.rstrip("/") == other.rstrip("/") or Path(one).resolve() == Path(other).resolve()


def _server(address: str) -> Server:
    url, _, name = address.partition("#")
    if not name:
        raise BadInput(f"{_without_credentials(address)} names no model; write it behind #, as in {url}#mayor.")
    return Server(url.rstrip("/").removesuffix("/chat/completions"), name)


def _without_credentials(address: str) -> str:
    return re.sub(r"//[^/@]*@", "//", address)
