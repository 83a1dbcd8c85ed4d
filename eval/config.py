"""What evaluation needs of configs/data.yml: the base model, the form of the calls, the system prompts of each role.

The file is the data pipeline's; reading the prompt from it keeps training and evaluation on the same words.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from eval.errors import BadInput

DEFAULT = Path("configs/data.yml")


PromptKind = Literal["compact", "full"]


@dataclass(frozen=True)
class EvalConfig:
    """Base model name, form of calls and results in the rows, system prompts by role, and the path they came from."""

    base_model: str
    tool_format: Literal["xml", "native"]
    systems: dict[str, str]
    full_systems: dict[str, str]
    path: Path

    def system(self, role: str, kind: PromptKind = "compact") -> str:
        """The system prompt of `role`, as it stands in the training rows."""
        if role not in self.systems:
            raise BadInput(f"{self.path} has no system prompt for {role}; add roles.{role}.system.")
        if kind == "compact":
            return self.systems[role]
        if role not in self.full_systems:
            raise BadInput(f"{self.path} has no full prompt for {role}; add roles.{role}.full_file, or ask compactly.")
        return self.full_systems[role]


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
            form = raw.get("tool_format", "xml")
            if form not in ("xml", "native"):
                raise BadInput(f"{path}: tool_format is {form!r}; write xml or native.")
            return EvalConfig(base, form, dict(_systems(roles)), dict(_full_systems(roles, path.parent)), path)
        case _:
            raise BadInput(f"{path} needs base_model and roles.<role>.system; see configs/data.yml.")


def _systems(roles: dict[Any, Any]) -> Iterator[tuple[str, str]]:
    for name, entry in roles.items():
        if isinstance(entry, dict) and isinstance(entry.get("system"), str):
            yield str(name), entry["system"].strip()


def _full_systems(roles: dict[Any, Any], folder: Path) -> Iterator[tuple[str, str]]:
    for name, entry in roles.items():
        match entry:
            case {"full": str(text)}:
                yield str(name), text.strip()
            case {"full_file": str(file)}:
                try:
                    yield str(name), (folder / file).read_text(encoding="utf-8").strip()
                except (OSError, UnicodeDecodeError):
                    raise BadInput(f"roles.{name}.full_file: {folder / file} cannot be read; correct it.") from None
