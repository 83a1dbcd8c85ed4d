"""What the rubric takes from a pack's config: weights of the four parts, tasks, base model, system prompts.

The file may be a data.yml; its other keys are none of our business. Without `rubric.weights` the parts weigh
25, 40, 20 and 15; `eval.tasks` is the pack's own file of tasks, relative to the pack or to the repository.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from eval.errors import BadInput

REPOSITORY = Path(__file__).parent.parent
# The role of data.yml for sessions that no other role fits: nobody writes tasks for it.
NO_ROLE = "unknown"
DEFAULT_WEIGHTS: Mapping[str, float] = {"structure": 25, "correctness": 40, "similarity": 20, "completeness": 15}


@dataclass(frozen=True)
class RubricConfig:
    """Weights by part, base model ("" where none is named), system prompts by domain, and the pack's own tasks."""

    weights: Mapping[str, float] = field(default_factory=lambda: dict(DEFAULT_WEIGHTS))
    base_model: str = ""
    systems: Mapping[str, str] = field(default_factory=dict)
    tasks: Path | None = None

    def domain_of(self, path: Path) -> str:
        """The domain of a file of tasks: the role that it is named for, or the only one that the pack has."""
        roles = [name for name in self.systems if name != NO_ROLE]
        return roles[0] if len(roles) == 1 and path.stem not in roles else path.stem


def load_rubric_config(path: Path) -> RubricConfig:
    """Reads `rubric.weights`, `eval.tasks`, `base_model` and `roles.<domain>.system`.

    Raises BadInput with every problem at once.
    """
    try:
        raw: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadInput(f"{path} does not exist; give the pack's config with --config.") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as problem:
        raise BadInput(f"{path} is not readable YAML ({str(problem).splitlines()[0]}); correct it.") from None
    if not isinstance(raw, dict):
        raise BadInput(f"{path} is no mapping of keys; see configs/data.yml.")
    if problems := [*_problems(raw.get("rubric", {})), *_problems_of_tasks(raw.get("eval", {}))]:
        raise BadInput(f"{path}: {'; '.join(problems)}.")
    weights = {**DEFAULT_WEIGHTS, **raw.get("rubric", {}).get("weights", {})}
    base = raw.get("base_model")
    return RubricConfig(
        weights=weights,
        base_model=base if isinstance(base, str) else "",
        systems=dict(_systems(raw.get("roles"))),
        tasks=_tasks(path, raw.get("eval", {}).get("tasks")),
    )


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


def _problems_of_tasks(entry: Any) -> Iterator[str]:
    if not isinstance(entry, dict):
        yield "eval must be a mapping such as {tasks: eval/domains/legal.jsonl}"
    elif not isinstance(entry.get("tasks", ""), str):
        yield f"eval.tasks is {entry['tasks']!r}; give the path of a file of tasks"


def _tasks(pack: Path, named: str | None) -> Path | None:
    """The pack's file of tasks: beside the pack, or below the repository."""
    if not named:
        return None
    beside = pack.parent / Path(named).expanduser()
    return beside if beside.is_file() else REPOSITORY / Path(named).expanduser()


def _is_positive(weight: Any) -> bool:
    return isinstance(weight, int | float) and not isinstance(weight, bool) and 0 < weight < float("inf")


def _systems(roles: Any) -> Iterator[tuple[str, str]]:
    for name, entry in roles.items() if isinstance(roles, dict) else ():
        if isinstance(entry, dict) and isinstance(entry.get("system"), str):
            yield str(name), entry["system"].strip()
