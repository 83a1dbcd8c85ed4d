"""What the rubric takes from a pack's config: the weights of the four parts, the base model, the system prompts.

The file may be a data.yml; its other keys are none of our business. Without `rubric.weights` the parts weigh
25, 40, 20 and 15.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from eval.errors import BadInput

DEFAULT_WEIGHTS: Mapping[str, float] = {"structure": 25, "correctness": 40, "similarity": 20, "completeness": 15}


@dataclass(frozen=True)
class RubricConfig:
    """Weights by part, base model ("" where none is named), and system prompt by domain where the pack has one."""

    weights: Mapping[str, float] = field(default_factory=lambda: dict(DEFAULT_WEIGHTS))
    base_model: str = ""
    systems: Mapping[str, str] = field(default_factory=dict)


def load_rubric_config(path: Path) -> RubricConfig:
    """Reads `rubric.weights`, `base_model` and `roles.<domain>.system`. Raises BadInput with every problem at once."""
    try:
        raw: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadInput(f"{path} does not exist; give the pack's config with --config.") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as problem:
        raise BadInput(f"{path} is not readable YAML ({str(problem).splitlines()[0]}); correct it.") from None
    if not isinstance(raw, dict):
        raise BadInput(f"{path} is no mapping of keys; see configs/data.yml.")
    if problems := list(_problems(raw.get("rubric", {}))):
        raise BadInput(f"{path}: {'; '.join(problems)}.")
    weights = {**DEFAULT_WEIGHTS, **raw.get("rubric", {}).get("weights", {})}
    base = raw.get("base_model")
    return RubricConfig(weights, base if isinstance(base, str) else "", dict(_systems(raw.get("roles"))))


def _problems(rubric: Any) -> Iterator[str]:
    if not isinstance(rubric, dict):
        yield "rubric must be a mapping such as {weights: {structure: 25, ...}}"
        return
    yield from (f"rubric.{key} is unknown; only weights can be set" for key in rubric if key != "weights")
    weights = rubric.get("weights", DEFAULT_WEIGHTS)
    if not isinstance(weights, dict | Mapping):
        yield "rubric.weights must give a number for each part"
        return
    parts = ", ".join(DEFAULT_WEIGHTS)
    yield from (
        f"rubric.weights.{key} is no part; the parts are {parts}" for key in weights if key not in DEFAULT_WEIGHTS
    )
    yield from (f"rubric.weights.{part} is missing; give all four" for part in DEFAULT_WEIGHTS if part not in weights)
    for part in DEFAULT_WEIGHTS:
        if part in weights and not _is_positive(weights[part]):
            yield f"rubric.weights.{part} is {weights[part]!r}; give a number above 0"


def _is_positive(weight: Any) -> bool:
    return isinstance(weight, int | float) and not isinstance(weight, bool) and 0 < weight < float("inf")


def _systems(roles: Any) -> Iterator[tuple[str, str]]:
    for name, entry in roles.items() if isinstance(roles, dict) else ():
        if isinstance(entry, dict) and isinstance(entry.get("system"), str):
            yield str(name), entry["system"].strip()
