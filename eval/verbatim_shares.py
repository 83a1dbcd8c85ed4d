"""Repeats as shares with intervals: of the answers that hold one, and of the words within one; and beside the base.

`measure(side, found, words)` sums up one side; `beside(base, other)` is the paired difference of two.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from eval.graded import graded_difference, graded_mean
from eval.statistics import Rate, paired_difference, rate_interval
from eval.verbatim_answers import Side
from eval.verbatim_runs import Found

# 50 tokens of English in words, at about four tokens for three words.
LONG = 38


@dataclass(frozen=True)
class Measured:
    """One side: by unit the share of its answers with a run, with a long run, and of its words within runs."""

    side: Side
    found: tuple[Found, ...]
    with_run: Mapping[str, float]
    with_long: Mapping[str, float]
    words: Mapping[str, float]

    @property
    def longest(self) -> int:
        """The longest run, in words."""
        return max(one.longest for one in self.found)

    @property
    def rates(self) -> tuple[Rate, Rate, Rate]:
        """The three shares with their intervals, families as clusters."""
        clusters = self.side.clusters
        run, long = rate_interval(self.with_run, clusters), rate_interval(self.with_long, clusters)
        return run, long, graded_mean(self.words, clusters)


def measure(side: Side, found: Sequence[Found], words: int) -> Measured:
    """The shares of one side; a unit with several answers counts their mean."""
    return Measured(
        side,
        tuple(found),
        _by_unit(side, found, lambda one: float(one.longest >= words)),
        _by_unit(side, found, lambda one: float(one.longest >= max(LONG, words))),
        _by_unit(side, found, lambda one: one.covered / one.size if one.size else 0.0),
    )


def beside(base: Measured, other: Measured) -> tuple[Rate, Rate, Rate] | None:
    """Other minus base for the three shares; None where they did not answer the same."""
    if base.with_run.keys() != other.with_run.keys() or base.side.kind != other.side.kind:
        return None
    clusters = other.side.clusters
    return (
        paired_difference(base.with_run, other.with_run, clusters),
        paired_difference(base.with_long, other.with_long, clusters),
        graded_difference(base.words, other.words, clusters),
    )


def _by_unit(side: Side, found: Sequence[Found], value: Callable[[Found], float]) -> dict[str, float]:
    several: dict[str, list[float]] = {}
    for answer, one in zip(side.answers, found, strict=True):
        several.setdefault(answer.unit, []).append(value(one))
    return {unit: math.fsum(values) / len(values) for unit, values in several.items()}
