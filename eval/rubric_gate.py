"""The gate for marks: may an adapter be released by what it scored in the rubric?

`decide(comparison, margin, tried)` gives the outcome and its reasons, as `eval.gate` does for scenarios: passed, a
regression, not comparable, or not decided by these tasks. What is not significant has not passed.
"""

from collections.abc import Iterator

from eval.costs import goes_in_circles
from eval.gate import ALPHA, Decision, Outcome, active_check, points
from eval.power import Luck, luck_of_the_best, scenarios_needed
from eval.rubric_paired import Row, RubricComparison
from eval.rubric_results import RubricRun, clusters_of
from eval.statistics import MIN_CLUSTERS


def decide(comparison: RubricComparison, margin: float = 0.05, tried: int = 1) -> Decision:
    """The decision: on all tasks; any domain that surely lost is a regression too."""
    if faults := tuple(why_not_comparable(comparison)):
        return Decision(Outcome.NOT_COMPARABLE, faults, margin)
    row = comparison.rows[-1]
    luck = luck_of_the_best(comparison.changes, clusters_of(comparison.adapter.results), tried)
    if losses := tuple(why_regression(comparison)):
        return Decision(Outcome.REGRESSION, losses, margin, luck)
    surely = row.difference.low - luck.gain
    if row.enough and surely > -margin:
        said = (
            f"{row.domain}: the difference of the marks is at least {points(surely)} points (95 %){_less(luck)}; "
            f"a loss of {100 * margin:.1f} would be accepted."
        )
        return Decision(Outcome.PASSED, (said,), margin, luck)
    needed = scenarios_needed(row.difference, row.error, margin - luck.gain)
    return Decision(Outcome.INCONCLUSIVE, tuple(_open(row, margin, luck, needed)), margin, luck, needed)


def why_not_comparable(comparison: RubricComparison) -> Iterator[str]:
    """Why no number of this comparison may decide anything; one sentence each."""
    base, adapter = comparison.base, comparison.adapter
    for name, run in (("base", base), ("adapter", adapter)):
        if cut := cut_answers(run):
            yield f"The token limit cut {cut} of {len(run.results)} answers of the {name}; raise --max-new-tokens."
    if [one.answer for one in base.results] == [one.answer for one in adapter.results]:
        yield "All raw answers of both runs are identical; the adapter was not used, or it changes nothing."
    elif active_check(adapter.facts) is None:
        yield "The adapter's run has no check that its adapter was active; run the rubric with the adapter folder."


def cut_answers(run: RubricRun) -> int:
    """Answers that the token limit cut, but for those that went in circles, which more tokens would not end."""
    return sum(one.truncated and not goes_in_circles(one.answer) for one in run.results)


def why_regression(comparison: RubricComparison) -> Iterator[str]:
    """What surely got worse; one sentence each."""
    for row in comparison.rows:
        if row.enough and row.difference.high < 0 and (row is comparison.rows[-1] or row.p_holm < ALPHA):
            yield f"{row.domain}: the adapter is worse, {points(row.difference.value)} points {bounds(row)}."


def bounds(row: Row) -> str:
    """`[-1.2, +9.3]`, the 95 % interval of the difference in points, or `(too few families)`."""
    difference = row.difference
    return f"[{points(difference.low)}, {points(difference.high)}]" if row.enough else "(too few families)"


def _less(luck: Luck) -> str:
    return f", {100 * luck.gain:.1f} of luck among {luck.tried} checkpoints already taken off" if luck.gain else ""


def _open(row: Row, margin: float, luck: Luck, needed: int | None) -> Iterator[str]:
    if not row.enough:
        yield (
            f"{row.domain}: {row.difference.clusters} families of tasks are too few for an interval; "
            f"{MIN_CLUSTERS} are the least."
        )
    else:
        yield (
            f"{row.domain}: the difference lies in {bounds(row)} points{_less(luck)}; "
            f"that neither excludes a loss of {100 * margin:.1f} points nor shows one."
        )
    if needed is None:
        yield "No number of tasks that can be written decides this; give a larger --margin."
    else:
        yield (
            f"About {needed} tasks of this kind, {row.difference.units} are there, would decide with 80 % "
            "probability if the difference is what it seems. This is not a pass."
        )
