"""The tables that people change: cards with prices in gpus.yml, shapes of base models in models.yml."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

from configs.files import CONFIGS, shown
from configs.plan.shapes import Shape
from configs.strict_yaml import ConfigError, load_mapping

GPU_FILE: Final = CONFIGS / "plan" / "gpus.yml"
MODEL_FILE: Final = CONFIGS / "plan" / "models.yml"
KINDS: Final = ("qwen2", "llama")


@dataclass(frozen=True, slots=True)
class Gpu:
    """A card: memory in GiB, dense bf16 TFLOP/s, GB/s of its memory and between cards, US dollars an hour.

    `utilization` is the share of tflops that a LoRA training reaches, recomputation included.
    """

    name: str
    memory_gib: float
    tflops: float
    bandwidth_gb_s: float
    link_gb_s: float
    utilization: float
    price: float


def load_gpus(file: Path = GPU_FILE) -> dict[str, Gpu]:
    """Every card of the table. Raises `ConfigError` with every wrong entry."""
    entries = load_mapping(shown(file)).get("gpus")
    names = [field.name for field in fields(Gpu)][1:]
    problems: list[str] = []
    gpus: dict[str, Gpu] = {}
    for name, entry in (entries if isinstance(entries, dict) else {}).items():
        values = entry if isinstance(entry, dict) else {}
        found = [f"{shown(file)}: {name}: {problem}" for problem in gpu_problems(values, names)]
        problems += found
        if not found:
            gpus[str(name)] = Gpu(str(name), **{key: float(values[key]) for key in names})
    if not entries:
        problems.append(f"{shown(file)}: no `gpus`. Add a card, such as `rtx4090: {{memory_gib: 23.5, ...}}`.")
    if problems:
        raise ConfigError(problems)
    return gpus


def gpu_problems(entry: Mapping[str, Any], names: list[str]) -> list[str]:
    problems = [f"`{key}` is missing." for key in names if key not in entry]
    problems += [f"`{key}` is not a property of a card. Use {', '.join(names)}." for key in entry if key not in names]
    for key in names:
        value = entry.get(key, 1)
        if isinstance(value, bool) or not isinstance(value, int | float) or value < 0 or (not value and key != "price"):
            problems.append(f"`{key}: {value}` is not a number above 0.")
        elif key == "utilization" and value > 1:
            problems.append(f"`utilization: {value}` is a share: use a number up to 1.")
    return problems


def find_gpu(name: str, gpus: Mapping[str, Gpu]) -> Gpu:
    if name.lower() not in gpus:
        raise ConfigError([f"There is no card `{name}` in {shown(GPU_FILE)}. It knows {', '.join(gpus)}."])
    return gpus[name.lower()]


def load_models(file: Path = MODEL_FILE) -> dict[str, Shape]:
    """Every shape of the table. Raises `ConfigError` with every wrong entry."""
    content = load_mapping(shown(file))
    columns = [field.name for field in fields(Shape)]
    problems = [] if content.get("columns") == columns else [f"{shown(file)}: columns: use [{', '.join(columns)}]."]
    models: dict[str, Shape] = {}
    for name, values in (content.get("models") or {}).items():
        if is_shape(values, len(columns)):
            models[str(name)] = Shape(*values)
        else:
            problems.append(f"{shown(file)}: {name}: is not [{', '.join(columns)}], with numbers above 0.")
    if problems:
        raise ConfigError(problems)
    return models


def is_shape(values: Any, count: int) -> bool:
    if not isinstance(values, list) or len(values) != count:
        return False
    kind, *sizes, tied = values
    return kind in KINDS and isinstance(tied, bool) and all(type(size) is int and size > 0 for size in sizes)


def find_shape(base_model: str, models: Mapping[str, Shape]) -> Shape:
    """The shape of a model by its name, or from the config.json of its folder."""
    if (Path(base_model) / "config.json").is_file():
        return read_shape(Path(base_model) / "config.json")
    by_name = {plain_name(name): shape for name, shape in models.items()}
    if plain_name(base_model) not in by_name:
        raise ConfigError(
            [
                f"base_model {base_model}: neither a folder with a config.json nor in {shown(MODEL_FILE)}, which knows "
                f"{', '.join(models)}. Add its shape there."
            ]
        )
    return by_name[plain_name(base_model)]


def plain_name(name: str) -> str:
    """Qwen/Qwen2.5-7B-Instruct, unsloth/Qwen2.5-7B and Qwen2.5-7B are one shape."""
    return name.rsplit("/", 1)[-1].lower().removesuffix("-instruct")


def read_shape(file: Path) -> Shape:
    """The shape in a model's own config.json. Raises `ConfigError` when it is of another architecture."""
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
        kind = {"mistral": "llama"}.get(config["model_type"], config["model_type"])
        heads = config["num_attention_heads"]
        shape = Shape(
            kind,
            config["hidden_size"],
            config["num_hidden_layers"],
            heads,
            config.get("num_key_value_heads") or heads,
            config.get("head_dim") or config["hidden_size"] // heads,
            config["intermediate_size"],
            config["vocab_size"],
            bool(config.get("tie_word_embeddings", False)),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError([f"{file}: not the config of a decoder ({error!r})."]) from None
    if kind not in KINDS:
        raise ConfigError([f"{file}: model_type {kind}; the plan knows {', '.join((*KINDS, 'mistral'))}."])
    return shape
