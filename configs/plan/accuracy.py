"""Hold the plan against what others measured: `python -m configs.plan.accuracy [--write]`.

Prints the table of docs/plan-accuracy.md from configs/plan/published.yml; --write puts it into that file.
"""

import statistics
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from configs.files import CONFIGS, shown
from configs.plan.memory import GIB, memory
from configs.plan.recipe import read_recipe
from configs.plan.speed import duration
from configs.plan.tables import Gpu, find_gpu, find_shape, load_gpus, load_models
from configs.plan.tabulate import run
from configs.plan.workload import workload
from configs.strict_yaml import load_mapping

PUBLISHED: Final = CONFIGS / "plan" / "published.yml"
REPORT: Final = Path("docs/plan-accuracy.md")
GOALS: Final = {"tensors": 0.10, "card": 0.10, "speed": 0.25}


@dataclass(frozen=True, slots=True)
class Compared:
    """One published run. `published` and `predicted`: GiB of tensors and of the card, tokens a second of one card."""

    name: str
    published: Mapping[str, float | None]
    predicted: Mapping[str, float]

    def error(self, what: str) -> float | None:
        published = self.published[what]
        return self.predicted[what] / published - 1 if published else None


def main(arguments: list[str] | None = None) -> int:
    return run("configs.plan.accuracy", __doc__.splitlines()[0], REPORT, report, arguments)


def report() -> Iterator[str]:
    """Markdown: a table for each source, then how many of the figures come within the goals."""
    sources = load_mapping(shown(PUBLISHED))["sources"]
    everything: list[Compared] = []
    for source in sources.values():
        rows = compared(source)
        everything += rows
        yield f"\n**[{source['title']}]({source['url']})**"
        yield f"Differs: {source['explains']}." + (f" Sets: {source['sets']}." if "sets" in source else "")
        names = (f"{what} | published | error" for what in ("tensors GiB", "card GiB", "tokens/s"))
        yield f"\n| run | {' | '.join(names)} |"
        yield "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
        yield from (line(row) for row in rows)
    yield "\n**All together**\n"
    yield "| | figures | median error | largest | within the goal |"
    yield "|---|--:|--:|--:|--:|"
    yield from (summary(what, everything) for what in GOALS)


def compared(source: Mapping[str, Any]) -> list[Compared]:
    gpu = find_gpu(source["gpu"], load_gpus())
    return [compare({**source["settings"], **row["with"]}, row, gpu) for row in source["rows"]]


def compare(settings: Mapping[str, Any], row: Mapping[str, Any], gpu: Gpu) -> Compared:
    """Rows as long as sequence_len and no evaluation, which is how such figures are taken."""
    recipe = read_recipe({**settings, "pad_to_sequence_len": True})
    shape = find_shape(recipe.base_model, load_models())
    gpus = row.get("gpus", 1)
    peak = memory(shape, recipe, gpus).peak
    tensors = peak.total - peak.parts["CUDA and libraries"] - peak.parts["free pieces"]
    lengths = [recipe.sequence_len] * (recipe.micro_batch * recipe.accumulation * gpus)
    speed = duration(shape, recipe, workload(recipe, lengths, 0, gpus), gpu, gpus).tokens_per_second / gpus
    published = {"tensors": row.get("gib"), "card": row.get("card_gib"), "speed": row.get("tokens_per_second")}
    predicted = {"tensors": tensors / GIB, "card": peak.total / GIB, "speed": speed}
    return Compared(row["name"], published, predicted)


def line(row: Compared) -> str:
    cells = [row.name]
    for what, digits in (("tensors", 1), ("card", 1), ("speed", 0)):
        published, error = row.published[what], row.error(what)
        if published is None or error is None:
            cells += ["", "", ""]
        else:
            cells += [f"{row.predicted[what]:,.{digits}f}", f"{published:,.{digits}f}", f"{error:+.0%}"]
    return f"| {' | '.join(cells)} |"


def summary(what: str, rows: list[Compared]) -> str:
    errors = [error for row in rows if (error := row.error(what)) is not None]
    good = sum(abs(error) <= GOALS[what] for error in errors)
    names = {"tensors": "memory of tensors", "card": "memory of the card", "speed": "tokens a second"}
    return (
        f"| {names[what]} | {len(errors)} | {statistics.median(map(abs, errors)):.0%} | {max(errors, key=abs):+.0%} "
        f"| {good} of {len(errors)} within {GOALS[what]:.0%} |"
    )


if __name__ == "__main__":
    sys.exit(main())
