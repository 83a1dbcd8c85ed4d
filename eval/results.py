"""The results file of role_bench as typed values: what was run, every raw answer, every check.

`summarize` turns scored answers into rates; `read_results` refuses a file of another kind or without raw
answers.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from eval.errors import BadInput
from eval.score import Check
from eval.statistics import Rate, rate_interval


class Result(msgspec.Struct, frozen=True):
    """One scenario with the model's raw answer and its judgement."""

    id: str
    role: str
    family: str
    passed: bool
    explanation: str
    checks: tuple[Check, ...]
    answer: str
    truncated: bool


class RoleBench(msgspec.Struct, frozen=True, tag="role_bench", tag_field="kind"):
    """One run: everything needed to compare it with another, or to doubt it.

    `scenarios` and `systems` are hashes by role (scenario file with tool schemas; system prompt);
    `never_calls` is how many scenarios an agent would pass that only ever says one sentence.
    """

    model: str
    facts: dict[str, Any]
    settings: dict[str, int]
    versions: dict[str, str]
    scenarios: dict[str, str]
    systems: dict[str, str]
    never_calls: int
    summary: dict[str, dict[str, float]]
    results: tuple[Result, ...]
    format: Literal[1] = 1


def read_results(path: Path) -> RoleBench:
    """The run stored in `path`, or a sentence that says why it is none."""
    try:
        run = msgspec.json.decode(path.read_bytes(), type=RoleBench)
    except FileNotFoundError:
        raise BadInput(f"{path} does not exist; make it with `python -m eval.role_bench --out {path}`.") from None
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as problem:
        raise BadInput(f"{path} is no role_bench result ({problem}); run role_bench again.") from None
    if not run.results:
        raise BadInput(f"{path} holds no answers; run role_bench again.")
    return run


def rates(results: Iterable[Result]) -> dict[str, Rate]:
    """Pass rate by role in file order, and under `all` where there are several roles."""
    by_role: dict[str, list[Result]] = {}
    for result in results:
        by_role.setdefault(result.role, []).append(result)
    if len(by_role) > 1:
        by_role["all"] = [result for group in by_role.values() for result in group]
    return {role: rate_interval(scores(group), families(group)) for role, group in by_role.items()}


def summarize(results: Iterable[Result]) -> dict[str, dict[str, float]]:
    """The rates as plain numbers for the results file."""
    return {
        role: {
            "passed": rate.value,
            "low": rate.low,
            "high": rate.high,
            "scenarios": rate.units,
            "families": rate.clusters,
        }
        for role, rate in rates(results).items()
    }


def scores(results: Iterable[Result]) -> dict[str, float]:
    """1 or 0 by scenario id."""
    return {result.id: float(result.passed) for result in results}


def families(results: Iterable[Result]) -> Mapping[str, str]:
    """The cluster of each scenario id: its family within its role."""
    return {result.id: f"{result.role}/{result.family}" for result in results}
