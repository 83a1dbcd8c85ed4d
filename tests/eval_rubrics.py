"""Invented results of the rubric for tests: runs whose every mark is chosen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from eval.marker import Part
from eval.rubric_results import Marked, RubricRun, summarize_marks
from tests.eval_results import ADAPTER, FACTS

Marks = Callable[[int], float]
WEIGHTS = {"structure": 25.0, "correctness": 40.0, "similarity": 20.0, "completeness": 15.0}


def make_marked(number: int, total: float, domain: str = "mayor", family: str | None = None, **other: Any) -> Marked:
    """A task with the same mark in each part."""
    known = {
        "id": f"task-{number}",
        "domain": domain,
        "category": "x",
        "is_prose": True,
        "total": total,
        "parts": tuple(Part(name, total, "as chosen") for name in ("structure", "correctness")),
        "explanation": "as chosen",
        "answer": f"The answer that got {total:.3f} in task {number}.",
        "family": family,
        "prompt": f"What is {number}?",
    }
    return Marked(**{**known, **other})


def make_rubric(results: Sequence[Marked], adapter: bool = False, **other: Any) -> RubricRun:
    """A run with these results, of a base model or of an adapter."""
    domains = sorted({one.domain for one in results})
    known: dict[str, Any] = {
        "model": "output/adapters/mayor" if adapter else "base",
        "facts": {**FACTS, "adapter": ADAPTER if adapter else None},
        "settings": {"max_new_tokens": 1024, "batch_size": 16, "seed": 1234, "temperature": 0.0},
        "versions": {"python": "3.11"},
        "weights": WEIGHTS,
        "tasks": {domain: f"tasks of {domain}" for domain in domains},
        "systems": {domain: f"system of {domain}" for domain in domains},
        "sandbox": None,
        "summary": summarize_marks(results, WEIGHTS),
        "results": tuple(results),
    }
    return RubricRun(**{**known, **other})


def marked(marks: Marks, families: int = 10, each: int = 2, domain: str = "mayor") -> list[Marked]:
    """Tasks of so many families, marked by their number."""
    return [make_marked(number, marks(number), domain, f"family-{number // each}") for number in range(families * each)]


def make_rubrics(base: Marks, adapter: Marks, **size: Any) -> tuple[RubricRun, RubricRun]:
    """Two runs over the same tasks."""
    return make_rubric(marked(base, **size)), make_rubric(marked(adapter, **size), adapter=True)


def save_rubric(run: RubricRun, path: Path) -> Path:
    """The run as a results file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.encode(run))
    return path
