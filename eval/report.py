"""Terminal tables of role_bench: rates with intervals, and the paired comparison of two runs.

An interval rests on scenarios as units and families as clusters. Below eight families it still shows how
little is known, but the row carries a star: too few for a claim.
"""

import sys
from collections.abc import Sequence

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from eval.results import Result, RoleBench, families, rates, scores
from eval.statistics import MIN_CLUSTERS, Rate, paired_difference

WHY_TOO_FEW = (
    f"* too few: with under {MIN_CLUSTERS} families the spread between families is itself a guess; "
    "the interval describes these scenarios, it is no evidence for others."
)
FAILURES_SHOWN = 5
PIPE_WIDTH = 110


def make_console() -> Console:
    """A console for results: as wide as the terminal, or wide enough for the tables in a pipe."""
    return Console(width=None if sys.stdout.isatty() else PIPE_WIDTH, highlight=False)


def make_table(title: str, *columns: str) -> Table:
    """A plain table whose cells never break."""
    table = Table(title=title, title_justify="left", box=SIMPLE, pad_edge=False)
    for column in columns:
        table.add_column(column, no_wrap=True)
    return table


def percent(rate: Rate, sign: bool = False) -> str:
    """`60 % [31, 83]`; `+40 % [+3, +67]` with `sign`."""
    value, low, high = (f"{100 * x:{'+' if sign else ''}.0f}" for x in (rate.value, rate.low, rate.high))
    return rf"{value} % \[{low}, {high}]"


def print_run(run: RoleBench, console: Console) -> None:
    """One row per role, the floor, and the first failures with their reasons."""
    found = rates(run.results)
    table = make_table(f"role_bench: {run.model}", "role", "passed", r"rate \[95 %]", "families")
    for role, rate in found.items():
        passed = f"{round(rate.value * rate.units)} of {rate.units}"
        table.add_row(role, passed, percent(rate), f"{rate.clusters}{'' if rate.enough else ' *'}")
    console.print(table)
    if not all(rate.enough for rate in found.values()):
        console.print(WHY_TOO_FEW)
    console.print(f"Floor: an agent that never calls a tool passes {run.never_calls} of {len(run.results)}.")
    if cut := sum(result.truncated for result in run.results):
        console.print(f"{cut} of {len(run.results)} answers hit the token limit; see --max-new-tokens.")
    _print_failures(run.results, console)


def print_comparison(base: RoleBench, adapter: RoleBench, console: Console) -> None:
    """Both rates, the paired difference with its interval, and better / worse / same, per role."""
    title = f"{adapter.model} against {base.model}, same scenarios"
    interval = r"\[95 %]"
    columns = (f"base {interval}", f"adapter {interval}", f"difference {interval}", "better/worse/same", "verdict")
    table = make_table(title, "role", *columns)
    base_rates, adapter_rates = rates(base.results), rates(adapter.results)
    for role in adapter_rates:
        before, after = _of(base.results, role), _of(adapter.results, role)
        difference = paired_difference(scores(before), scores(after), families(after))
        counts = " / ".join(map(str, directions(before, after)))
        numbers = (percent(base_rates[role]), percent(adapter_rates[role]), percent(difference, sign=True))
        table.add_row(role, *numbers, counts, verdict(difference))
    console.print(table)
    if not all(rate.enough for rate in adapter_rates.values()):
        console.print(WHY_TOO_FEW)


def verdict(difference: Rate) -> str:
    """What the interval allows to say; one that holds 0 is never called `the same`."""
    star = "" if difference.enough else " *"
    if difference.low <= 0 <= difference.high:
        return f"inconclusive{star}"
    return ("better" if difference.low > 0 else "worse") + star


def directions(base: Sequence[Result], adapter: Sequence[Result]) -> tuple[int, int, int]:
    """Scenarios where the adapter is better, worse, and the same."""
    before = scores(base)
    changes = [score - before[key] for key, score in scores(adapter).items()]
    return sum(c > 0 for c in changes), sum(c < 0 for c in changes), sum(c == 0 for c in changes)


def _of(results: Sequence[Result], role: str) -> list[Result]:
    return [result for result in results if role in {"all", result.role}]


def _print_failures(results: Sequence[Result], console: Console) -> None:
    failed = [result for result in results if not result.passed]
    for result in failed[:FAILURES_SHOWN]:
        console.print(f"  {result.id}: {result.explanation}", markup=False)
    if len(failed) > FAILURES_SHOWN:
        console.print(f"  and {len(failed) - FAILURES_SHOWN} more in the results file")
