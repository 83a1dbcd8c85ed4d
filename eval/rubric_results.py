"""The results file of the rubric as typed values: what was run, every raw answer, every part with its reason.

`read_rubric` refuses a file of another kind or without answers; `refuse_unequal_rubrics` two runs that did not answer
the same question under the same conditions.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import msgspec

from eval.errors import BadInput
from eval.marker import Part
from eval.statistics import Rate, mean_interval
from eval.targets import same_model

AGAIN = "run the rubric for both again with the same options"
# What may differ: it changes the speed, not the question.
FREE_SETTINGS = ("batch_size",)


class Marked(msgspec.Struct, frozen=True):
    """One task with the raw answer and its marks; `total` and the parts in 0..1, None where a part is n/a."""

    id: str
    domain: str
    category: str
    is_prose: bool
    total: float
    parts: tuple[Part, ...]
    explanation: str
    answer: str
    truncated: bool = False
    prompt_tokens: int | None = None
    new_tokens: int | None = None
    seconds: float | None = None
    family: str | None = None
    held_out: bool = False
    prompt: str = ""

    @property
    def key(self) -> str:
        """The task across domains."""
        return f"{self.domain}/{self.id}"

    @property
    def cluster(self) -> str:
        """What the statistics take as one: the family of the task, or the task alone."""
        return f"{self.domain} {self.family}" if self.family else self.key


class RubricRun(msgspec.Struct, frozen=True, tag="rubric", tag_field="kind"):
    """One run: everything needed to compare it with another, or to doubt it.

    `tasks` and `systems` are hashes by domain (task file; system prompt, "" where there is none).
    """

    model: str
    facts: dict[str, Any]
    settings: dict[str, float | str]
    versions: dict[str, str]
    weights: dict[str, float]
    tasks: dict[str, str]
    systems: dict[str, str]
    sandbox: str | None
    summary: dict[str, dict[str, float | None]]
    results: tuple[Marked, ...]
    format: Literal[1] = 1


def read_rubric(path: Path) -> RubricRun:
    """The run stored in `path`, or a sentence that says why it is none."""
    try:
        run = msgspec.json.decode(path.read_bytes(), type=RubricRun)
    except FileNotFoundError:
        raise BadInput(f"{path} does not exist; make it with `python -m eval.rubric --out {path}`.") from None
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as problem:
        raise BadInput(f"{path} is no result of the rubric ({problem}); run the rubric again.") from None
    if not run.results:
        raise BadInput(f"{path} holds no answers; run the rubric again.")
    return run


def by_domain(results: Iterable[Marked]) -> dict[str, list[Marked]]:
    """The results of each domain in file order, and under `all` where there are several."""
    found: dict[str, list[Marked]] = {}
    for result in results:
        found.setdefault(result.domain, []).append(result)
    return found | ({"all": [one for group in found.values() for one in group]} if len(found) > 1 else {})


def totals(results: Iterable[Marked]) -> dict[str, float]:
    """The whole mark of each task, in 0..1."""
    return {result.key: result.total for result in results}


def clusters_of(results: Iterable[Marked]) -> dict[str, str]:
    """The cluster of each task: tasks that were written one by one stand alone, those of a family together."""
    return {result.key: result.cluster for result in results}


def total_rate(results: Sequence[Marked]) -> Rate:
    """The mean of the whole marks with its 95 % interval over families of tasks."""
    rate = mean_interval(totals(results), clusters_of(results))
    return replace(rate, low=max(0.0, rate.low), high=min(1.0, rate.high))


def part_mean(results: Iterable[Marked], name: str) -> float | None:
    """The mean of one part over the tasks where it can be measured; None where it is n/a in all."""
    values = [part.value for one in results for part in one.parts if part.name == name and part.value is not None]
    return sum(values) / len(values) if values else None


def summarize_marks(results: Iterable[Marked], parts: Iterable[str]) -> dict[str, dict[str, float | None]]:
    """Parts and whole by domain as plain numbers for the results file."""
    names = tuple(parts)
    return {
        domain: {name: part_mean(group, name) for name in names} | _plain(total_rate(group))
        for domain, group in by_domain(results).items()
    }


def refuse_unequal_rubrics(base: RubricRun, adapter: RubricRun) -> None:
    """Raises BadInput where the two runs cannot be compared."""
    if base.tasks != adapter.tasks or base.systems != adapter.systems:
        raise BadInput(f"the runs used other domains, tasks or system prompts; {AGAIN}.")
    if totals(base.results).keys() != totals(adapter.results).keys():
        raise BadInput(f"the runs cover {len(base.results)} and {len(adapter.results)} tasks; {AGAIN}.")
    if base.weights != adapter.weights:
        raise BadInput(f"the runs weigh the parts differently ({base.weights} and {adapter.weights}); {AGAIN}.")
    if _settings(base) != _settings(adapter):
        raise BadInput(f"the runs differ in settings ({_settings(base)} and {_settings(adapter)}); {AGAIN}.")
    bases = [str(run.facts.get("base_model") or "") for run in (base, adapter)]
    if not same_model(*bases):
        raise BadInput(f"the runs stand on different base models ({' and '.join(bases)}); {AGAIN}.")


def _settings(run: RubricRun) -> dict[str, float | str]:
    return {key: value for key, value in run.settings.items() if key not in FREE_SETTINGS}


def _plain(rate: Rate) -> dict[str, float | None]:
    return {"total": rate.value, "low": rate.low, "high": rate.high, "tasks": rate.units, "families": rate.clusters}
