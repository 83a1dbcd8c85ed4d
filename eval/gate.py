"""The gate: may this adapter be released? Passed, a regression, not comparable, or not decided by these scenarios.

`decide(comparison, margin, tried)` gives the outcome, whose value is the exit code, and its reasons as sentences.
What is not significant has not passed.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from eval.costs import costs_of
from eval.paired import Comparison, Row, changes
from eval.power import Luck, luck_of_the_best, scenarios_needed
from eval.results import families
from eval.statistics import MIN_CLUSTERS

SERVED = "local-chat-completions"
ALPHA = 0.05


class Outcome(IntEnum):
    """What the gate says; the value is the exit code."""

    PASSED = 0
    REGRESSION = 1
    NOT_COMPARABLE = 2
    INCONCLUSIVE = 3

    @property
    def words(self) -> str:
        """`not comparable`."""
        return self.name.lower().replace("_", " ")


@dataclass(frozen=True)
class Decision:
    """The outcome, its reasons, and under which margin (0..1) and number of tried checkpoints it was taken.

    `needed`: scenarios that would decide, where the outcome is inconclusive.
    """

    outcome: Outcome
    reasons: tuple[str, ...]
    margin: float
    luck: Luck | None = None
    needed: int | None = None


def decide(comparison: Comparison, margin: float = 0.05, tried: int = 1) -> Decision:
    """The gate's decision: on `all`, or on the only role; any role that surely lost is a regression too."""
    if faults := tuple(why_not_comparable(comparison)):
        return Decision(Outcome.NOT_COMPARABLE, faults, margin)
    row = comparison.rows[-1]
    clusters = families([episode for pair in comparison.clean for episode in pair.adapter])
    luck = luck_of_the_best(changes(comparison.clean), clusters, tried)
    if losses := tuple(why_regression(comparison)):
        return Decision(Outcome.REGRESSION, losses, margin, luck)
    surely = row.difference.low - luck.gain
    if row.enough and surely > -margin:
        return Decision(Outcome.PASSED, (_passed(row, margin, luck),), margin, luck)
    needed = scenarios_needed(row.difference, row.error, margin - luck.gain)
    return Decision(Outcome.INCONCLUSIVE, tuple(_open(row, margin, luck, needed)), margin, luck, needed)


def why_not_comparable(comparison: Comparison) -> Iterator[str]:
    """Why no number of this comparison may decide anything; one sentence each."""
    for name, run in (("base", comparison.base), ("adapter", comparison.adapter)):
        if run.smoke:
            yield f"The {name} run is a smoke run; run role_bench without --smoke."
        if cut := costs_of(run).truncated:
            yield f"The token limit cut {cut} of {len(run.episodes)} runs of the {name}; raise --max-new-tokens."
    if _all_the_same(comparison):
        yield "All raw answers of both runs are identical; the adapter was not used, or it changes nothing."
    elif active_check(comparison.adapter.facts) is None:
        yield "The adapter's run has no check that its adapter was active; run role_bench with the adapter folder."
    if not comparison.rows:
        yield "Every scenario stands in the training rows; write others."


def active_check(facts: Mapping[str, Any]) -> str | None:
    """How it is known from a run's facts that the adapter was used, or None.

    A server's adapter shows only in its answers.
    """
    adapter = facts.get("adapter")
    if isinstance(adapter, dict):
        change = adapter.get("max_logit_change")
        if isinstance(change, int | float) and change > 0:
            return f"active: it changes logits by up to {change:.3g}"
        return None
    return "served: its answers differ from the base's" if facts.get("backend") == SERVED else None


def why_regression(comparison: Comparison) -> Iterator[str]:
    """What surely got worse; one sentence each."""
    for scenario, action in comparison.forbidden:
        yield f"{scenario}: did what is forbidden, and the base did not: {action}."
    for row in comparison.rows:
        if row.enough and row.difference.high < 0 and (row is comparison.rows[-1] or row.p_holm < ALPHA):
            yield f"{row.role}: the adapter is worse, {points(row.difference.value)} points {bounds(row)}."


def points(value: float) -> str:
    """`+4.1` for 0.041."""
    return f"{100 * value + 0.0:+.1f}"  # a margin of none is no -0.0


def bounds(row: Row) -> str:
    """`[-1.2, +9.3]`, the 95 % interval of the difference in points, or `(too few families)`."""
    difference = row.difference
    return f"[{points(difference.low)}, {points(difference.high)}]" if row.enough else "(too few families)"


def _all_the_same(comparison: Comparison) -> bool:
    return all(
        [step.answer for step in before.steps] == [step.answer for step in after.steps]
        for pair in comparison.pairs
        for before, after in zip(pair.base, pair.adapter, strict=True)
    )


def _passed(row: Row, margin: float, luck: Luck) -> str:
    less = f", {100 * luck.gain:.1f} of luck among {luck.tried} checkpoints already taken off" if luck.gain else ""
    surely = points(row.difference.low - luck.gain)
    return (
        f"{row.role}: the difference is at least {surely} points (95 %){less}; "
        f"a loss of {100 * margin:.1f} would be accepted. No new forbidden action."
    )


def _open(row: Row, margin: float, luck: Luck, needed: int | None) -> Iterator[str]:
    if not row.enough:
        yield (
            f"{row.role}: {row.difference.clusters} families are too few for an interval; {MIN_CLUSTERS} are the least."
        )
    else:
        less = f" less {100 * luck.gain:.1f} of luck among {luck.tried} checkpoints" if luck.gain else ""
        yield (
            f"{row.role}: the difference lies in {bounds(row)} points{less}; "
            f"that neither excludes a loss of {100 * margin:.1f} points nor shows one."
        )
    if needed is None:
        yield "No number of scenarios that can be written decides this; give a larger --margin."
    else:
        yield (
            f"About {needed} scenarios of this kind, {row.difference.units} are there, would decide with 80 % "
            "probability if the difference is what it seems. This is not a pass."
        )
