"""Reads what evaluation and registry wrote: the score of each family, whole rates, and what is live.

Results of role_bench count the share of passed samples of a scenario; those of the rubric the marks of a task. Families
of which anything is held out are told apart: nobody who writes examples may hear of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.loop.errors import Failed
from scripts.loop.plan import Plan

SAME = ("kind", "scenarios", "systems", "tasks", "weights", "versions")
SAME_FACTS = ("backend", "base_model", "template_sha256", "base_revision", "dtype")
FREE_SETTINGS = ("batch_size",)  # changes the speed, not the question


@dataclass(frozen=True)
class Family:
    """How a family of scenarios or tasks went: mean score in 0..1 over `items` of them."""

    name: str
    score: float
    items: int


def read(path: Path) -> dict[str, Any]:
    """A results file. Raises `Failed`."""
    try:
        found = json.loads((path / "results.json" if path.is_dir() else path).read_text("utf-8"))
    except (OSError, ValueError) as problem:
        raise Failed(f"{path} holds no results ({problem}).") from None
    if not isinstance(found, dict) or found.get("kind") not in ("role_bench", "rubric"):
        raise Failed(f"{path} is no result of role_bench or of the rubric.")
    return found


def families(run: Mapping[str, Any], role: str) -> tuple[Family, ...]:
    """Every family of the role in a run, held out or not."""
    scores: dict[str, dict[str, list[float]]] = {}
    leaked = run.get("contaminated") or {}
    for one in run["episodes"] if run["kind"] == "role_bench" else run["results"]:
        if run["kind"] == "role_bench" and (one["role"] != role or one["id"] in leaked):
            continue
        name = family_of(one)
        value = float(one["passed"]) if run["kind"] == "role_bench" else float(one["total"])
        scores.setdefault(name, {}).setdefault(one["id"], []).append(value)
    return tuple(
        Family(name, sum(sum(v) / len(v) for v in items.values()) / len(items), len(items))
        for name, items in sorted(scores.items())
    )


def held_out(run: Mapping[str, Any], plan: Plan) -> frozenset[str]:
    """Families with anything held out: in the run, in the questions as they stand now, or by the pack's word."""
    asked = [*(run.get("episodes") or run.get("results") or ()), *questions_of(plan)]
    return plan.held_out | {family_of(one) for one in asked if one.get("held_out")}


def family_of(question: Mapping[str, Any]) -> str:
    """The family of a scenario; of a task its family, or the category of one that stands alone."""
    return str(question.get("family") or question.get("category") or "")


def questions_of(plan: Plan) -> list[dict[str, Any]]:
    """The scenarios or tasks of the plan, as they stand in their file."""
    file = plan.questions if plan.kind == "pack" else plan.questions / f"{plan.role}.jsonl"
    try:
        return [json.loads(line) for line in file.read_text("utf-8").splitlines() if line.strip()]
    except (OSError, ValueError) as problem:
        raise Failed(f"{file} cannot be read ({problem}).") from None


def weakest(found: Iterable[Family], hidden: frozenset[str], count: int) -> tuple[Family, ...]:
    """The families that went worst, the worst first: none that is held out, and none that is perfect."""
    open_ones = [family for family in found if family.name not in hidden and family.score < 1]
    return tuple(sorted(open_ones, key=lambda family: (family.score, family.name))[:count])


def same_question(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two runs were asked the same, so that they can be compared."""
    return _asked(one) == _asked(other)


def _asked(run: Mapping[str, Any]) -> dict[str, Any]:
    facts, settings = run.get("facts") or {}, run.get("settings") or {}
    return (
        {name: run.get(name) for name in SAME}
        | {f"facts.{name}": facts.get(name) for name in SAME_FACTS}
        | {"settings": {name: value for name, value in settings.items() if name not in FREE_SETTINGS}}
    )


def overall(run: Mapping[str, Any], role: str) -> dict[str, float] | None:
    """The rate of a whole run with its interval, for the page; None where there is none."""
    summary = run.get("summary") or {}
    for name in ("all", role, *summary):
        if (row := summary.get(name)) and (value := row.get("passed", row.get("total"))) is not None:
            return {"value": value, "low": row.get("low", value), "high": row.get("high", value)}
    return None
