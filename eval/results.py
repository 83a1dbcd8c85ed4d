"""The results file of role_bench as typed values: what was run, every raw answer, every check.

`summarize` turns judged runs into rates; `read_results` refuses a file of another kind or without raw answers.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from eval.errors import BadInput
from eval.statistics import Rate, rate_interval
from eval.transcript import Step
from eval.verdict import Check

NAME = "results.json"


class Episode(msgspec.Struct, frozen=True):
    """One sample of one scenario: what was asked, every answer with its results, and the judgement.

    `variables` are the values that were drawn; `asked` is the conversation that the model was given, without the
    system prompt; `forbidden` names the forbidden actions that were done.
    """

    id: str
    role: str
    family: str
    held_out: bool
    sample: int
    variables: dict[str, str]
    asked: tuple[dict[str, Any], ...]
    steps: tuple[Step, ...]
    passed: bool
    partial: float
    explanation: str
    checks: tuple[Check, ...]
    forbidden: tuple[str, ...] = ()
    unanswered: int = 0

    @property
    def truncated(self) -> bool:
        """Whether an answer hit the token limit."""
        return any(step.truncated for step in self.steps)


class Overlap(msgspec.Struct, frozen=True):
    """How much of a scenario stands in the training rows, each 0..1.

    `grams`: share of its word 13-grams; `ratio`: likeness of its last question to the nearest one that was trained.
    """

    grams: float
    ratio: float
    nearest: str = ""


class RoleBench(msgspec.Struct, frozen=True, tag="role_bench", tag_field="kind"):
    """One run: everything needed to compare it with another, or to doubt it.

    `scenarios` and `systems` are hashes by role (scenario file with tool schemas; system prompt); `floor` is the pass
    rate by role of an agent that only ever says one sentence; `contaminated` holds the scenarios that stand in the
    training rows too (None: not checked); `smoke` marks a run that is too small for any claim.
    """

    model: str
    facts: dict[str, Any]
    settings: dict[str, int | float | str]
    versions: dict[str, str]
    scenarios: dict[str, str]
    systems: dict[str, str]
    floor: dict[str, float]
    contaminated: dict[str, Overlap] | None
    smoke: bool
    summary: dict[str, dict[str, float]]
    episodes: tuple[Episode, ...]
    format: Literal[2] = 2


def read_results(path: Path) -> RoleBench:
    """The run stored in `path` (a results file or its folder), or a sentence that says why it is none."""
    path = path / NAME if path.is_dir() else path
    try:
        run = msgspec.json.decode(path.read_bytes(), type=RoleBench)
    except FileNotFoundError:
        raise BadInput(f"{path} does not exist; make it with `python -m eval.role_bench --out DIR`.") from None
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as problem:
        raise BadInput(f"{path} is no role_bench result ({problem}); run role_bench again.") from None
    if not run.episodes or not all(episode.steps for episode in run.episodes):
        raise BadInput(f"{path} holds no raw answers; run role_bench again.")
    return run


def clean(run: RoleBench) -> tuple[Episode, ...]:
    """The episodes of the headline: those whose scenario does not stand in the training rows."""
    return tuple(episode for episode in run.episodes if episode.id not in (run.contaminated or {}))


def by_role(episodes: Iterable[Episode]) -> dict[str, list[Episode]]:
    """The episodes by role in file order, and under `all` where there are several roles."""
    found: dict[str, list[Episode]] = {}
    for episode in episodes:
        found.setdefault(episode.role, []).append(episode)
    if len(found) > 1:
        found["all"] = [episode for group in found.values() for episode in group]
    return found


def rates(episodes: Iterable[Episode]) -> dict[str, Rate]:
    """Pass rate by role: the unit is the scenario (mean over its samples), its family is the cluster."""
    return {role: rate_interval(scores(group), families(group)) for role, group in by_role(episodes).items()}


def summarize(episodes: Iterable[Episode]) -> dict[str, dict[str, float]]:
    """The rates as plain numbers for the results file."""
    return {role: _numbers(group) for role, group in by_role(episodes).items()}


def _numbers(episodes: Sequence[Episode]) -> dict[str, float]:
    rate = rate_interval(scores(episodes), families(episodes))
    return {
        "passed": rate.value,
        "low": rate.low,
        "high": rate.high,
        "scenarios": rate.units,
        "families": rate.clusters,
        "partial": _mean(partials(episodes).values()),
    }


def scores(episodes: Iterable[Episode]) -> dict[str, float]:
    """Share of passed samples, 0..1, by scenario id."""
    return _means((episode.id, float(episode.passed)) for episode in episodes)


def partials(episodes: Iterable[Episode]) -> dict[str, float]:
    """Mean `partial` over the samples, 0..1, by scenario id."""
    return _means((episode.id, episode.partial) for episode in episodes)


def families(episodes: Iterable[Episode]) -> Mapping[str, str]:
    """The cluster of each scenario id: its family within its role."""
    return {episode.id: f"{episode.role}/{episode.family}" for episode in episodes}


def _means(pairs: Iterable[tuple[str, float]]) -> dict[str, float]:
    found: dict[str, list[float]] = {}
    for key, value in pairs:
        found.setdefault(key, []).append(value)
    return {key: _mean(values) for key, values in found.items()}


def _mean(values: Iterable[float]) -> float:
    several = list(values)
    return sum(several) / len(several) if several else 0.0
