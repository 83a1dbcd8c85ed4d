"""Reads results of an evaluation for the registry and the model card: scenarios of a role, or marks of a rubric.

`read_evaluations(paths, folder)` takes only what was measured on the adapter in that folder, and on its base. It is
numbers that are read here, never answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from deploy.adapter import Refusal
from deploy.evidence import adapter_digest, decode

# Below so many families of scenarios or tasks eval shows no interval (MIN_CLUSTERS of its statistics).
LEAST_FAMILIES = 8
AGAIN = "Run it again: python -m eval.role_bench, or eval.rubric."


class Rate(msgspec.Struct, frozen=True):
    """A share of passed scenarios in 0..1 with its 95 % interval."""

    passed: float
    low: float
    high: float
    scenarios: float
    families: float

    @property
    def value(self) -> float:
        """What it is about, in 0..1."""
        return self.passed

    @property
    def enough(self) -> bool:
        """Whether to show its interval: Wilson's is wide where families are few."""
        return True

    @property
    def unit(self) -> str:
        """What it rests on."""
        return f"{self.scenarios:.0f} scenarios in {self.families:.0f} families"


class Marks(msgspec.Struct, frozen=True):
    """The mean mark of a domain's tasks in 0..1 with its 95 % interval; a part is None where it cannot be measured.

    `families` is None in results that were written before tasks had families: there each task stands alone.
    """

    total: float
    low: float
    high: float
    tasks: float
    families: float | None = None
    structure: float | None = None
    correctness: float | None = None
    similarity: float | None = None
    completeness: float | None = None

    @property
    def value(self) -> float:
        """What it is about, in 0..1."""
        return self.total

    @property
    def enough(self) -> bool:
        """Whether there are families enough for an interval."""
        return self._clusters >= LEAST_FAMILIES

    @property
    def unit(self) -> str:
        """What it rests on."""
        return f"{self.tasks:.0f} tasks in {self._clusters:.0f} families"

    def part(self, name: str) -> float | None:
        """The mean of one part."""
        found: float | None = getattr(self, name, None)
        return found

    @property
    def _clusters(self) -> float:
        return self.tasks if self.families is None else self.families


class Answered(msgspec.Struct, frozen=True):
    """Results of a model: which one, and `facts` about what was run."""

    model: str
    facts: dict[str, Any]

    @property
    def adapter_digest(self) -> str | None:
        """The digest of the adapter that answered, None for the base alone."""
        adapter = self.facts.get("adapter")
        return adapter.get("sha256") if isinstance(adapter, dict) else None

    @property
    def is_base(self) -> bool:
        """Whether the base model answered alone, loaded here (a server does not prove what it serves)."""
        return self.facts.get("adapter") is None and self.facts.get("backend") == "hf"


class RoleBench(Answered, frozen=True, kw_only=True, tag="role_bench", tag_field="kind"):
    """One run of eval.role_bench: its rates by role."""

    summary: dict[str, Rate]
    floor: dict[str, float]
    smoke: bool


class Rubric(Answered, frozen=True, kw_only=True, tag="rubric", tag_field="kind"):
    """One run of eval.rubric: its marks by domain, and what the parts weigh."""

    summary: dict[str, Marks]
    weights: dict[str, float]

    @property
    def smoke(self) -> bool:
        """A rubric has no small form: it always marks all of its tasks."""
        return False


Evaluation = RoleBench | Rubric
RESULTS: msgspec.json.Decoder[Evaluation] = msgspec.json.Decoder(Evaluation)


def read_evaluations(paths: Sequence[Path], folder: Path) -> tuple[Evaluation, ...]:
    """The results in `paths`: of the adapter in `folder`, and of its base where one of them is that.

    Raises `Refusal` for the results of anything else, because they would say something untrue on the card.
    """
    found: tuple[Evaluation, ...] = tuple(decode(path, RESULTS, AGAIN) for path in paths)
    digest = adapter_digest(folder)
    for path, run in zip(paths, found, strict=True):
        if run.smoke:
            raise Refusal(f"{path} is a smoke run, too small for a card. Score again without --smoke.")
        if run.adapter_digest != digest and not run.is_base:
            raise Refusal(
                f"{path} is not about this adapter (it scored {run.model}). "
                f"Score this one: {score_command(run, folder, path)}."
            )
    if found and all(run.is_base for run in found):
        raise Refusal(f"{paths[0]} scores the base alone. Add the adapter's results with another --eval.")
    return tuple(sorted(found, key=lambda run: not run.is_base))


def score_command(run: Evaluation, folder: Path, out: Path, *options: str) -> str:
    """The command that scores another model as this run scored its own."""
    module, target = ("role_bench", out.parent) if isinstance(run, RoleBench) else ("rubric", out)
    return " ".join(("python -m", f"eval.{module}", "--model", str(folder), *options, "--out", str(target)))
