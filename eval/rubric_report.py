"""Terminal tables of the rubric: the parts per domain, the comparison of two runs, and what wrong answers score.

Prose is never called correct: its column says coverage, and a line says who has to judge it.
"""

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from eval.gate import Decision, active_check, points
from eval.printable import one_line
from eval.report import COLOURS, make_table
from eval.rubric_attacks import Row
from eval.rubric_paired import RubricComparison, marks_difference
from eval.rubric_results import Marked, RubricRun, by_domain, part_mean, total_rate, totals
from eval.statistics import Rate
from eval.wording import TOO_FEW, adapter_hash, change, p_value, percent

WORST_SHOWN = 5
COVERAGE = (
    "Coverage is not correctness: it counts the authored facts that an answer states, and no rule here sees whether "
    "its sentences are true. A claim about {} needs a judge that passed its audit, or a person."
)
EVIDENCE = (
    "p: signs of the families flipped, Holm over domains; "
    "detects: smallest true difference found with 80 % probability."
)
LIMITS = (
    "Limits: rules on words cannot tell every wrong answer from a right one. Keywords in many sentences, and a gold "
    "answer with its words shuffled or its claims negated, score as shown."
)


def print_marks(run: RubricRun, console: Console) -> None:
    """One row per domain, what coverage means, and the worst tasks with their reasons."""
    columns = ("domain", "tasks", "structure", "correctness", "similarity", "completeness", "total [95 %]")
    table = make_table(f"rubric: {escape(one_line(run.model, 60))}", *columns)
    for domain, group in by_domain(run.results).items():
        table.add_row(domain, str(len(group)), *_cells(group))
    console.print(table)
    weights = ", ".join(f"{name} {weight:g}" for name, weight in run.weights.items())
    console.print(f"Weights: {weights}. Total: mean over tasks of 100 points.", markup=False)
    if prose := dict.fromkeys(one.domain for one in run.results if one.is_prose):
        console.print(COVERAGE.format(", ".join(prose)), markup=False)
    if cut := sum(one.truncated for one in run.results):
        console.print(f"{cut} of {len(run.results)} answers hit the token limit; see --max-new-tokens.", markup=False)
    _print_worst(run.results, console)


def print_marks_compared(base: RubricRun, adapter: RubricRun, console: Console) -> None:
    """Both totals per domain, the paired difference in points, and better / worse / same tasks."""
    columns = ("domain", "before [95 %]", "after [95 %]", "difference [95 %]", "better/worse/same", "verdict")
    table = make_table(f"{escape(one_line(adapter.model, 40))} against {escape(one_line(base.model, 40))}", *columns)
    before, after = by_domain(base.results), by_domain(adapter.results)
    for domain, group in after.items():
        old, new = totals(before[domain]), totals(group)
        difference = marks_difference(before[domain], group)
        cells = (percent(total_rate(before[domain])), percent(total_rate(group)), change(difference))
        table.add_row(domain, *map(escape, cells), _directions(old, new), _verdict(difference))
    console.print(table)


def print_comparison(comparison: RubricComparison, decision: Decision, console: Console) -> None:
    """Both totals and their difference by domain, the parts, what it rests on, and the decision at the end."""
    models = [escape(one_line(run.model, 50)) for run in (comparison.adapter, comparison.base)]
    columns = ("domain", "tasks", "base [95 %]", "adapter [95 %]", "points [95 %]", "better/worse/same")
    table = make_table(f"{' against '.join(models)}: marks of 100", *columns)
    for row in (*comparison.rows, *([comparison.held_out] if comparison.held_out else ())):
        size = f"{row.difference.units} in {row.difference.clusters}"
        cells = (percent(row.base), percent(row.adapter), change(row.difference))
        table.add_row(row.domain, size, *map(escape, cells), " / ".join(map(str, row.directions)))
    console.print(table)
    console.print(_parts_table(comparison))
    hidden = " held out: tasks that no example may be written for, alone." if comparison.held_out else ""
    console.print(f"tasks: how many, in how many families.{hidden} {EVIDENCE}", markup=False)
    if not all(row.enough for row in comparison.rows):
        console.print(TOO_FEW, markup=False)
    console.print(COVERAGE.format("a domain"), markup=False)
    active = active_check(comparison.adapter.facts) or "not checked to be active"
    console.print(f"Adapter {adapter_hash(comparison.adapter.facts)}, {active}.", markup=False)
    outcome = decision.outcome
    console.print(f"\n{outcome.words.upper()} (exit code {int(outcome)})", style=COLOURS[outcome])
    for reason in decision.reasons:
        console.print(f"  {one_line(reason)}", markup=False)


def _parts_table(comparison: RubricComparison) -> Table:
    table = make_table("By part", "domain", *comparison.adapter.weights, "p", "detects")
    for row in comparison.rows:
        parts = [f"{_mean(base)} → {_mean(adapter)}" for base, adapter in row.parts.values()]
        tested = (p_value(row.p_holm), points(row.detectable)) if row.enough else ("n/a", "n/a")
        table.add_row(row.domain, *parts, *tested)
    return table


def _mean(value: float | None) -> str:
    return "n/a" if value is None else f"{100 * value:.0f} %"


def print_attacks(attacks: Sequence[Row], limits: Sequence[Row], console: Console) -> None:
    """Mean and highest score of each wrong answer per domain; the limits with their coverage."""
    console.print(_attack_table("Wrong answers: mean (highest) of 100; each must stay under 30", attacks))
    console.print(
        _attack_table(
            "The gold answer, and what is made of it: mean (highest) of 100, correctness or coverage", limits, True
        )
    )
    console.print(LIMITS, markup=False)


def _cells(group: Sequence[Marked]) -> list[str]:
    kinds = {one.is_prose for one in group}
    word = " coverage" if kinds == {True} else " mixed" if len(kinds) > 1 else ""
    means = [part_mean(group, name) for name in ("structure", "correctness", "similarity", "completeness")]
    shown = [_mean(mean) for mean in means]
    shown[1] += word
    return [*shown, escape(percent(total_rate(group)))]


def _print_worst(results: Sequence[Marked], console: Console) -> None:
    for one in sorted(results, key=lambda result: result.total)[:WORST_SHOWN]:
        if one.total < 1:
            console.print(f"  {one.key}: {100 * one.total:.0f}, {one_line(one.explanation)}", markup=False)


def _directions(old: dict[str, float], new: dict[str, float]) -> str:
    changes = [new[key] - old[key] for key in new]
    better, worse = sum(c > 1e-9 for c in changes), sum(c < -1e-9 for c in changes)
    return f"{better} / {worse} / {len(changes) - better - worse}"


def _verdict(difference: Rate) -> str:
    """What the interval allows to say; one that holds 0 is never called the same."""
    if not difference.enough:
        return "too few tasks"
    if difference.low <= 0 <= difference.high:
        return "inconclusive"
    return "better" if difference.low > 0 else "worse"


def _attack_table(title: str, rows: Sequence[Row], with_correctness: bool = False) -> Table:
    domains = list(dict.fromkeys(row.domain for row in rows))
    table = make_table(title, "answer", *domains)
    cells = {(row.attack, row.domain): _attack_cell(row, with_correctness) for row in rows}
    for attack in dict.fromkeys(row.attack for row in rows):
        table.add_row(attack, *(cells.get((attack, domain), "") for domain in domains))
    return table


def _attack_cell(row: Row, with_correctness: bool) -> str:
    return f"{row.mean:.0f} ({row.highest:.0f})" + (f" {row.correctness:.0f} %" if with_correctness else "")
