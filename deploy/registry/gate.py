"""The gate before a promotion: `reasons_against(...)` lists all that speaks against a version, each with its fix."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from deploy.registry.folders import faults, file_sha256
from deploy.registry.forgotten import forgotten_in
from deploy.registry.lineage import ALL_ROLES
from deploy.registry.values import Version
from deploy.registry.words import counted


def reasons_against(version: Version, sessions: Iterable[str], transcripts: Iterable[str], root: Path) -> Iterator[str]:
    """All that speaks against a promotion, each with its fix."""
    name, again = version.name, f"python -m deploy.registry evaluate {version.role} v{version.number} BASE ADAPTER"
    if wrong := list(faults(version.folder, version.files)):
        yield f"{version.folder} is not as it was registered ({', '.join(wrong)}). Register the adapter again."
    yield from about_evaluation(version, again)
    yield from (
        f"Of {name}, {note}. Register it again with the --manifest of that build, or train again."
        for note in version.notes
    )
    if gone := sorted(forgotten_in(root, sessions, transcripts)):
        yield (
            f"{name} learned from {counted(len(gone), 'forgotten session')} "
            f"({', '.join(gone[:3])}{' ...' if gone[3:] else ''}). "
            "Build the datasets again without them, and train it again."
        )


def about_evaluation(version: Version, again: str) -> Iterator[str]:
    """What the newest evaluation says against a version; `again` is the command for another one."""
    name, evaluation = version.name, version.evaluation
    if evaluation is None:
        yield f"{name} was never evaluated. Score base and adapter with eval.role_bench or eval.rubric, then: {again}."
        return
    for results in (evaluation.base_results, evaluation.adapter_results):
        if not results.is_file() or file_sha256(results) != results.stem:
            yield f"The results in {results} were changed or removed since they were judged. Again: {again}."
    if evaluation.smoke:
        yield f"{name} has only a smoke evaluation, too small for a claim. Score it without --smoke, then: {again}."
    if evaluation.roles and version.role not in (*evaluation.roles, ALL_ROLES):
        played = " and ".join(evaluation.roles)
        how = f"with --role {version.role}" if evaluation.measure == "role_bench" else f"on tasks of {version.role}"
        yield f"{name} was only scored as {played}. Score it {how}, then: {again}."
    if not evaluation.passed:
        yield f"{name} did not pass ({evaluation.outcome}: {' '.join(evaluation.reasons)}) Train or score it again."
