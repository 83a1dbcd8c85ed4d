"""A comparison as JSON for other programs: the gate's outcome, its reasons, and the rates of every role.

`python -m eval.compare BASE ADAPTER --json FILE` writes it, and `python -m eval.rubric_compare` with a domain where the
other has a role. The last row is the one that decides: `all`, or the only role.
"""

from pathlib import Path
from typing import Any

from eval.errors import write_json
from eval.gate import Decision
from eval.paired import Comparison, Row
from eval.rubric_paired import Row as Marks
from eval.rubric_paired import RubricComparison
from eval.statistics import Rate


def write_compared(comparison: Comparison, decision: Decision, path: Path) -> Path:
    """Writes the JSON to `path`, whole or not at all."""
    write_json(path, compared(comparison, decision))
    return path


def write_compared_rubrics(comparison: RubricComparison, decision: Decision, path: Path) -> Path:
    """Writes the JSON of two runs of the rubric to `path`, whole or not at all."""
    write_json(path, _told(decision, "rubric", [_marks(row) for row in comparison.rows]))
    return path


def compared(comparison: Comparison, decision: Decision) -> dict[str, Any]:
    """Rates in 0..1 and their differences in -1..1, each with its 95 % interval."""
    forbidden = [{"scenario": scenario, "action": action} for scenario, action in comparison.forbidden]
    return _told(decision, "role_bench", [_row(row) for row in comparison.rows]) | {"forbidden": forbidden}


def _told(decision: Decision, measure: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "kind": "comparison",
        "measure": measure,
        "outcome": decision.outcome.words,
        "code": int(decision.outcome),
        "reasons": list(decision.reasons),
        "margin": decision.margin,
        "needed": decision.needed,
        "rows": rows,
    }


def _row(row: Row) -> dict[str, Any]:
    return {
        "role": row.role,
        "samples": row.samples,
        "base": _rate(row.base.rate),
        "adapter": _rate(row.adapter.rate),
        "difference": _rate(row.difference),
        "enough": row.enough,
        "p": row.p,
        "p_holm": row.p_holm,
        "floor": row.floor,
    }


def _marks(row: Marks) -> dict[str, Any]:
    return {
        "role": row.domain,
        "base": _rate(row.base),
        "adapter": _rate(row.adapter),
        "difference": _rate(row.difference),
        "enough": row.enough,
        "p": row.p,
        "p_holm": row.p_holm,
        "parts": {name: {"base": base, "adapter": adapter} for name, (base, adapter) in row.parts.items()},
    }


def _rate(rate: Rate) -> dict[str, float]:
    return {
        "value": rate.value,
        "low": rate.low,
        "high": rate.high,
        "scenarios": rate.units,
        "families": rate.clusters,
    }
