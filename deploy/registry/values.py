"""What the registry tells: versions, their evaluations, what was promoted, and what was exported from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Measure = Literal["role_bench", "rubric"]


@dataclass(frozen=True)
class Rate:
    """A share of passed scenarios or a mean mark in 0..1, or a difference of two in -1..1, with its 95 % interval.

    `scenarios` (or tasks) and `families` are how many it rests on.
    """

    value: float
    low: float
    high: float
    scenarios: int
    families: int


@dataclass(frozen=True)
class Evaluation:
    """What the gate said of a version: the comparison of the base's results with its own.

    The rates are those of the row that decides: all roles together, or the only one. They are None where the two runs
    could not be compared.
    """

    passed: bool
    outcome: str
    """passed, regression, not comparable or inconclusive"""
    reasons: tuple[str, ...]
    margin: float | None
    """the loss in 0..1 that was accepted"""
    about: str | None
    """the role of the rates, or `all`"""
    base: Rate | None
    adapter: Rate | None
    difference: Rate | None
    roles: tuple[str, ...]
    """whose scenarios were played, or tasks answered"""
    smoke: bool
    """whether one of the results is a smoke run, too small for a claim"""
    base_results: Path
    adapter_results: Path
    evaluated_at: str
    measure: Measure = "role_bench"
    """whether scenarios were passed, or marks were given"""


@dataclass(frozen=True)
class Version:
    """One adapter that was registered; its folder never changes."""

    role: str
    number: int
    folder: Path
    base_model: str
    """Hub id, or the local path that it was trained on"""
    base_revision: str | None
    sha256: str
    """digest of the adapter, as results of role_bench name it"""
    run: str
    """name of the training, such as mayor-dpo"""
    manifest_sha256: str | None
    files: Mapping[str, str]
    """sha256 of every file in the folder but version.json"""
    notes: tuple[str, ...]
    """what is not known of its origin"""
    registered_at: str
    evaluation: Evaluation | None
    """the newest one"""

    @property
    def name(self) -> str:
        """mayor@v3"""
        return f"{self.role}@v{self.number}"


@dataclass(frozen=True)
class RoleVersions:
    """A role: what is live, what a rollback goes back to, and all its versions."""

    role: str
    live: int | None
    previous: int | None
    versions: tuple[int, ...]


@dataclass(frozen=True)
class Promotion:
    """One change of what is live. `overruled` are the reasons against it that somebody overruled."""

    role: str
    number: int
    before: int | None
    kind: Literal["promote", "rollback"]
    by: str
    forced: bool
    why: str
    overruled: tuple[str, ...]
    promoted_at: str


@dataclass(frozen=True)
class Export:
    """A version in another format. `path` is a file or a folder, `base` what it needs beside it, `size` in bytes."""

    kind: str
    path: Path
    base: Path | None
    sha256: str
    size: int
    report: Mapping[str, Any]
    made_at: str
