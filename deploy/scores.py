"""The scores of an evaluation in the two forms that the Hub reads: model-index in the card, and `.eval_results/*.yaml`.

Both hold only what was measured on the published artefact itself: an adapter on its base. A merged or quantised model
answers a little differently, so its card has the table and its repository has no scores.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import yaml

from deploy.evidence import Rate
from deploy.release import ADAPTER, Release

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

BENCH = "lora-forge role scenarios"
FILE = ".eval_results/role-bench.yaml"


def measured(release: Release) -> Iterator[tuple[str, Rate, Rate | None]]:
    """Each role with the adapter's rate and the base's, where these files are what was measured."""
    base = next((run for run in release.evaluations if run.is_base), None)
    for run in release.evaluations if release.kinds == (ADAPTER,) else ():
        if not run.is_base:
            yield from ((role, rate, base.summary.get(role) if base else None) for role, rate in run.summary.items())


def model_index(release: Release) -> list[EvalResult]:
    """The adapter's rates (not the base's) as the Hub's model-index wants them, in percent."""
    from huggingface_hub import EvalResult

    return [
        EvalResult(
            task_type="text-generation",
            dataset_type="role-bench",
            dataset_name=BENCH,
            dataset_config=role,
            metric_type="accuracy",
            metric_name=f"passed of {rate.scenarios:.0f} [95 % {100 * rate.low:.1f} to {100 * rate.high:.1f}]",
            metric_value=round(100 * rate.passed, 1),
        )
        for role, rate, _ in measured(release)
    ]


def result_files(release: Release, repo: str) -> dict[str, str]:
    """The file of `.eval_results`, or none.

    Its dataset is an id in the own namespace, because the scenarios are not on the Hub: it shows such results on a
    leaderboard only where that dataset exists and is a benchmark.
    """
    from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml

    told = release.version.evaluation if release.version else None
    entries = [
        EvalResultEntry(
            dataset_id=f"{repo.split('/')[0]}/role-bench",
            task_id=role,
            value=round(100 * rate.passed, 1),
            date=told.evaluated_at if told else None,
            notes=_notes(rate, base),
        )
        for role, rate, base in measured(release)
    ]
    return {FILE: yaml.safe_dump(eval_result_entries_to_yaml(entries), sort_keys=False, width=200)} if entries else {}


def _notes(rate: Rate, base: Rate | None) -> str:
    alone = f"; the base alone {100 * base.passed:.1f}" if base else ""
    return (
        f"percent passed, 95 % interval {100 * rate.low:.1f} to {100 * rate.high:.1f}, "
        f"{rate.scenarios:.0f} scenarios in {rate.families:.0f} families{alone}"
    )
