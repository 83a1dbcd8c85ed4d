"""Terminal tables of role_bench: rates with intervals, and the paired comparison of two runs with its decision.

Readable from 80 columns on. An interval rests on scenarios as units and families as clusters; with fewer than eight
families there is none, and the cell says so.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace

from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from eval.costs import costs_of
from eval.gate import Decision, Outcome, points
from eval.paired import Comparison
from eval.printable import one_line
from eval.results import Episode, RoleBench, by_role, clean, families, partials, scores
from eval.statistics import rate_interval
from eval.wording import (
    LEFT_OUT,
    RUN_LEGEND,
    TOO_FEW,
    change,
    comparison_lines,
    cost_rows,
    of_scenarios,
    p_value,
    percent,
    seconds,
    size,
)

FAILURES_SHOWN = 5
PIPE_WIDTH = 110
COLOURS = {
    Outcome.PASSED: "bold green",
    Outcome.REGRESSION: "bold red",
    Outcome.NOT_COMPARABLE: "bold red",
    Outcome.INCONCLUSIVE: "bold yellow",
}


def make_console() -> Console:
    """A console for results: as wide as the terminal, or wide enough for the tables in a pipe."""
    return Console(width=None if sys.stdout.isatty() else PIPE_WIDTH, highlight=False)


def make_table(title: str, *columns: str) -> Table:
    """A plain table whose cells never break."""
    table = Table(title=title or None, title_justify="left", box=SIMPLE, pad_edge=False, padding=(0, 1, 0, 0))
    for column in columns:
        table.add_column(column, no_wrap=True)
    return table


def print_run(run: RoleBench, console: Console) -> None:
    """One row per role, the floor, what was left out, and the first failures with their reasons."""
    label = " (smoke run: no number here is evidence)" if run.smoke else ""
    columns = ("role", "scenarios", "passed [95 %]", "all k", "partial", "floor")
    table = make_table(f"role_bench: {escape(one_line(run.model, 60))}{label}", *columns)
    for role, group in by_role(clean(run)).items():
        table.add_row(role, *_run_cells(run, group))
    console.print(table)
    for line in _run_lines(run):
        console.print(line, markup=False)
    _print_failures(run.episodes, console)


def print_tables(comparison: Comparison, decision: Decision, console: Console) -> None:
    """The two tables per role, the costs, the lines that belong to them, and the decision at the end."""
    if comparison.rows:
        console.print(_rates_table(comparison))
        console.print(_evidence_table(comparison))
    console.print(_costs_table(comparison))
    for line in comparison_lines(comparison, decision):
        console.print(line, markup=False, soft_wrap=False)
    console.print(
        f"\n{decision.outcome.words.upper()} (exit code {int(decision.outcome)})", style=COLOURS[decision.outcome]
    )
    for reason in decision.reasons:
        console.print(f"  {one_line(reason)}", markup=False)


def _rates_table(comparison: Comparison) -> Table:
    title = f"{escape(one_line(comparison.adapter.model, 50))} against {escape(one_line(comparison.base.model, 50))}"
    interval = "[95 %]"
    columns = ("scenarios", f"base {interval}", f"adapter {interval}", f"points {interval}")
    table = make_table(f"{title}: passed", "role", *columns)
    for row in comparison.rows:
        table.add_row(row.role, size(row), percent(row.base.rate), percent(row.adapter.rate), change(row.difference))
    return table


def _evidence_table(comparison: Comparison) -> Table:
    columns = ("better/worse/same", "p", "detects", "all k", "partial", "floor")
    table = make_table("What it rests on", "role", *columns)
    for row in comparison.rows:
        table.add_row(
            row.role,
            " / ".join(map(str, row.directions)),
            p_value(row.p_holm) if row.enough else "n/a",
            points(row.detectable) if row.enough else "n/a",
            f"{row.base.always} → {row.adapter.always}",
            f"{row.base.partial:.2f} → {row.adapter.partial:.2f}",
            of_scenarios(row.floor, row.difference.units),
        )
    return table


def _costs_table(comparison: Comparison) -> Table:
    table = make_table("What it cost", "", "base", "adapter")
    for row in cost_rows(comparison):
        table.add_row(*row)
    return table


def _run_cells(run: RoleBench, group: Sequence[Episode]) -> Iterator[str]:
    passed = scores(group)
    rate = rate_interval(passed, families(group))
    shown = replace(rate, clusters=0) if run.smoke else rate
    samples = max(len({e.sample for e in group if e.id == key}) for key in passed)
    partial = partials(group)
    roles = {episode.id: episode.role for episode in group}
    floor = sum(run.floor.get(role, 0.0) for role in roles.values()) / len(roles)
    yield f"{rate.units} in {rate.clusters}, k {samples}"
    yield percent(shown)
    yield f"{sum(score == 1 for score in passed.values())} of {rate.units}"
    yield f"{sum(partial.values()) / len(partial):.2f}"
    yield of_scenarios(floor, rate.units)


def _run_lines(run: RoleBench) -> Iterator[str]:
    costs = costs_of(run)
    yield RUN_LEGEND
    if run.smoke or any(not rate_interval(scores(g), families(g)).enough for g in by_role(clean(run)).values()):
        yield TOO_FEW
    if run.contaminated:
        yield f"{LEFT_OUT}: {one_line(', '.join(run.contaminated), 400)}."
    if costs.truncated:
        yield f"{costs.truncated} of {len(run.episodes)} runs hit the token limit; raise --max-new-tokens."
    if costs.circles:
        yield f"{costs.circles} of {len(run.episodes)} runs went in circles until the token limit."
    if costs.unanswered:
        yield f"Commands that found no rule of the simulator: {costs.unanswered}."
    yield f"{costs.answers} answers in {seconds(costs.median)} (median), 95 of 100 within {seconds(costs.slow)}."


def _print_failures(episodes: Sequence[Episode], console: Console) -> None:
    failed = [episode for episode in episodes if not episode.passed]
    for episode in failed[:FAILURES_SHOWN]:
        console.print(f"  {episode.id}: {one_line(episode.explanation)}", markup=False)
    if len(failed) > FAILURES_SHOWN:
        console.print(f"  and {len(failed) - FAILURES_SHOWN} more in the results file")
