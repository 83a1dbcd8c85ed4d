"""The scores of an evaluation in the two forms that the Hub reads: model-index in the card, and `.eval_results/*.yaml`.

Both hold only what was measured on the published artefact itself: an adapter on its base. A merged or quantised model
answers a little differently, so its card has the table and its repository has no scores.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import yaml

from deploy.release import ADAPTER, Release
from deploy.results import Evaluation, Marks, Rate, RoleBench

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

NAMES = {"role-bench": "lora-forge role scenarios", "rubric": "lora-forge domain tasks"}
METRICS = {"role-bench": "accuracy", "rubric": "rubric"}


@dataclass(frozen=True)
class Score:
    """One number of the adapter, in percent of what was possible; `base` is that of its base alone, if it was run."""

    data: str
    """role-bench or rubric"""
    role: str
    value: float
    interval: str
    """`12.0 to 34.5`, or what is said where there is none"""
    unit: str
    """`10 scenarios in 5 families`"""
    base: float | None

    @property
    def verb(self) -> str:
        """What the percents are percents of."""
        return "passed" if self.data == "role-bench" else "of the marks"


def measured(release: Release) -> Iterator[Score]:
    """The scores by role or domain, where these files are what was measured."""
    for run in release.evaluations if release.kinds == (ADAPTER,) else ():
        if not run.is_base:
            yield from _scores(run, next((one for one in release.evaluations if _is_base_of(one, run)), None))


def model_index(release: Release) -> list[EvalResult]:
    """The adapter's scores (not the base's) as the Hub's model-index wants them, in percent."""
    from huggingface_hub import EvalResult

    return [
        EvalResult(
            task_type="text-generation",
            dataset_type=score.data,
            dataset_name=NAMES[score.data],
            dataset_config=score.role,
            metric_type=METRICS[score.data],
            metric_name=f"{score.verb}, {score.unit} [95 % {score.interval}]",
            metric_value=round(score.value, 1),
        )
        for score in measured(release)
    ]


def result_files(release: Release, repo: str) -> dict[str, str]:
    """The files of `.eval_results`, one for scenarios and one for the rubric, or none.

    Their dataset is an id in the own namespace, because neither is on the Hub: it shows such results on a leaderboard
    only where that dataset exists and is a benchmark.
    """
    from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml

    told = release.version.evaluation if release.version else None
    entries: dict[str, list[EvalResultEntry]] = {}
    for score in measured(release):
        entry = EvalResultEntry(
            dataset_id=f"{repo.split('/')[0]}/{score.data}",
            task_id=score.role,
            value=round(score.value, 1),
            date=told.evaluated_at if told else None,
            notes=_notes(score),
        )
        entries.setdefault(f".eval_results/{score.data}.yaml", []).append(entry)
    return {
        file: yaml.safe_dump(eval_result_entries_to_yaml(several), sort_keys=False, width=200)
        for file, several in entries.items()
    }


def _is_base_of(run: Evaluation, other: Evaluation) -> bool:
    return run.is_base and type(run) is type(other)


def _scores(run: Evaluation, base: Evaluation | None) -> Iterator[Score]:
    data = "role-bench" if isinstance(run, RoleBench) else "rubric"
    for role, one in run.summary.items():
        beside = base.summary.get(role) if base else None
        yield Score(data, role, 100 * one.value, _interval(one), one.unit, 100 * beside.value if beside else None)


def _interval(one: Rate | Marks) -> str:
    return f"{100 * one.low:.1f} to {100 * one.high:.1f}" if one.enough else "not known: too few families"


def _notes(score: Score) -> str:
    alone = f"; the base alone {score.base:.1f}" if score.base is not None else ""
    return f"percent {score.verb}, 95 % interval {score.interval}, {score.unit}{alone}"
