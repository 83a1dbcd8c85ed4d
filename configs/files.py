"""Where the recipes lie, where runs put their files, and the atomic write that all of them use."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

CONFIGS: Final = Path(__file__).parent
BASE_FILE: Final = CONFIGS / "base.yml"
ROLES: Final = CONFIGS / "roles"
PACKS: Final = CONFIGS / "packs"
SCHEMA_FILE: Final = CONFIGS / "axolotl-0.19.schema.json"


@dataclass(frozen=True, slots=True)
class Output:
    """The folders of one output tree: `output` for real runs, `output/smoke` for the walkthrough."""

    root: Path = Path("output")

    @property
    def datasets(self) -> Path:
        return self.root / "datasets"

    @property
    def prepared(self) -> Path:
        return self.root / "prepared"

    def config(self, run: str) -> Path:
        return self.root / "configs" / f"{run}.yml"

    def checkpoints(self, run: str) -> Path:
        return self.root / "checkpoints" / run

    def adapter(self, run: str) -> Path:
        return self.root / "adapters" / run

    def rows(self, role: str, split: str, rl: str = "") -> Path:
        """A role's rows, or its preferences for a method such as `dpo`."""
        return self.datasets / (f"{role}.{rl}.{split}.jsonl" if rl else f"{role}_{split}.jsonl")


def shown(file: Path) -> Path:
    """A path as messages name it: relative to the working folder when it lies below."""
    try:
        return file.resolve().relative_to(Path.cwd())
    except ValueError:
        return file


def write_text(file: Path, text: str) -> None:
    """Write a whole file or nothing."""
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(file)
    finally:
        unfinished.unlink(missing_ok=True)
