"""What evaluation needs of configs/data.yml: the base model and the system prompt of each role.

The file is the data pipeline's; reading the prompt from it keeps training and evaluation on the same words.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from eval.errors import BadInput

DEFAULT = Path("configs/data.yml")


@dataclass(frozen=True)
class EvalConfig:
    """Base model name, system prompt by role, and the path they came from."""

    base_model: str
    systems: dict[str, str]
    path: Path

    def system(self, role: str) -> str:
        """The system prompt of `role`, as it stands in the training rows."""
        if role not in self.systems:
            raise BadInput(f"{self.path} has no system prompt for {role}; add roles.{role}.system.")
        return self.systems[role]


def load_config(path: Path) -> EvalConfig:
    """Reads base_model and roles.<role>.system; anything else in the file is none of our business."""
    try:
        raw: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadInput(f"{path} does not exist; give the config of the data with --config.") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as problem:
        raise BadInput(f"{path} is not readable YAML ({str(problem).splitlines()[0]}); correct it.") from None
    match raw:
        case {"base_model": str(base), "roles": dict(roles)}:
            return EvalConfig(base, dict(_systems(roles)), path)
        case _:
            raise BadInput(f"{path} needs base_model and roles.<role>.system; see configs/data.yml.")


def _systems(roles: dict[Any, Any]) -> list[tuple[str, str]]:
    return [
        (str(name), entry["system"].strip())
        for name, entry in roles.items()
        if isinstance(entry, dict) and isinstance(entry.get("system"), str)
    ]
