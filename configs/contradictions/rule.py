"""A rule about a recipe, and the questions that several rules ask."""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

Keys = tuple[str, ...]
Found = tuple[Keys, str]
KERNELS: Final = ("lora_mlp_kernel", "lora_qkv_kernel", "lora_o_kernel")


class Rule(NamedTuple):
    """`keys` are the settings concerned, the one to change first; `fsdp_config.version` is a key in a mapping.

    `holds` must stand values of any type: it sees recipes in which the schema has found mistakes, too.
    """

    keys: Keys
    holds: Callable[[Mapping[str, Any]], bool]
    sentence: str


def part(config: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """The mapping under a key; an empty one where there is none."""
    value = config.get(key)
    return value if isinstance(value, Mapping) else {}


def blocks(config: Mapping[str, Any], key: str = "datasets") -> list[Mapping[str, Any]]:
    value = config.get(key)
    return [block for block in value if isinstance(block, Mapping)] if isinstance(value, list) else []


def number(config: Mapping[str, Any], key: str) -> float:
    """A number of the recipe; 0 where there is none."""
    value = config.get(key)
    return value if isinstance(value, int | float) else 0


def has_kernels(config: Mapping[str, Any]) -> bool:
    return any(config.get(kernel) for kernel in KERNELS)


def trains_preferences(config: Mapping[str, Any]) -> bool:
    return bool(config.get("rl"))


def family(config: Mapping[str, Any]) -> str:
    """The model family that the name of the base shows: qwen2, llama, or nothing."""
    name = str(config.get("base_model", "")).lower().rpartition("/")[2]
    return next((layer for sign, layer in (("qwen2", "qwen2"), ("llama", "llama")) if sign in name), "")
