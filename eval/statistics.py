"""Rates with honest intervals: the unit is the scenario, scenarios of one family are not independent.

`rate_interval` is Wilson's interval with the number of scenarios reduced to its effective size and the t quantile of
the families; `paired_difference` joins two such intervals, of what was gained and what was lost; `sign_flip_p` and
`holm` test differences. `python -m eval.power --coverage` shows by simulation how often they are right.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

# Two-sided 95 % quantiles of Student's t for 1 to 30 degrees of freedom (any statistics table).
T_95 = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip
Z_95 = 1.959964
# With fewer clusters the spread between them is itself a guess: such a number describes, it does not prove.
MIN_CLUSTERS = 8
# Up to here every way to flip the signs is tried (half of 2^16, the others mirror them), beyond a fixed draw of them.
EXACT_FLIPS = 16
DRAWN_FLIPS = 20_000
SEED = 1234


@dataclass(frozen=True)
class Rate:
    """A share of scenarios in 0..1 with its 95 % interval.

    And how many scenarios and families it rests on.
    """

    value: float
    low: float
    high: float
    units: int
    clusters: int

    @property
    def enough(self) -> bool:
        """Whether there are families enough to claim anything beyond these scenarios."""
        return self.clusters >= MIN_CLUSTERS


def t_95(degrees: int) -> float:
    """Two-sided 95 % quantile of Student's t; beyond 30 degrees by Cornish and Fisher, right to 0.001."""
    if degrees < 1:
        return T_95[0]
    if degrees <= len(T_95):
        return T_95[degrees - 1]
    return Z_95 + (Z_95**3 + Z_95) / (4 * degrees) + (5 * Z_95**5 + 16 * Z_95**3 + 3 * Z_95) / (96 * degrees**2)


def rate_interval(scores: Mapping[str, float], clusters: Mapping[str, str]) -> Rate:
    """The mean of `scores` (0..1 by scenario id) with a Wilson interval that respects the families.

    Raises ValueError without scores.
    """
    if not scores:
        raise ValueError("a rate needs at least one scenario")
    groups = list(_groups(scores, clusters).values())
    mean = math.fsum(scores.values()) / len(scores)
    size = effective_size(groups, mean)
    # Where all pass or all fail, no spread is estimated: the families are counted, and the normal quantile serves.
    t = t_95(len(groups) - 1) if 0 < mean < 1 else Z_95
    middle = (mean + t * t / (2 * size)) / (1 + t * t / size)
    half = t * math.sqrt(mean * (1 - mean) / size + t * t / (4 * size * size)) / (1 + t * t / size)
    low, high = max(0.0, min(mean, middle - half)), min(1.0, max(mean, middle + half))
    return Rate(mean, low, high, len(scores), len(groups))


def effective_size(groups: Sequence[Sequence[float]], mean: float) -> float:
    """How many independent scenarios the scores are worth: between the number of families and of scenarios.

    Where all scores are equal their spread says nothing, and the families count as one scenario each.
    """
    scenarios = sum(map(len, groups))
    independent = mean * (1 - mean) / scenarios
    if independent <= 0 or len(groups) == 1:
        return float(len(groups))
    correction = len(groups) / (len(groups) - 1)
    clustered = correction * math.fsum(math.fsum(s - mean for s in group) ** 2 for group in groups) / scenarios**2
    design = max(clustered / independent, 1.0)
    return max(scenarios / design, float(min(len(groups), scenarios)))


def paired_difference(base: Mapping[str, float], adapter: Mapping[str, float], clusters: Mapping[str, str]) -> Rate:
    """Adapter minus base over the same scenarios, in -1..1: gained minus lost, with a 95 % interval.

    Both shares have their own interval, put together as Newcombe does (squared distances, here of a multinomial).
    Newcombe's interval of the two rates is too sure where few scenarios differ: a true loss of 5 points passed a margin
    of 5 in up to 27 % of simulated runs. Raises ValueError where the two sides do not hold the same scenarios.
    """
    if base.keys() != adapter.keys():
        raise ValueError("a paired difference needs the same scenarios on both sides")
    changes = {key: adapter[key] - base[key] for key in base}
    gained = rate_interval({key: max(0.0, change) for key, change in changes.items()}, clusters)
    lost = rate_interval({key: max(0.0, -change) for key, change in changes.items()}, clusters)
    rest = (1 - gained.value) * (1 - lost.value)
    together = -math.sqrt(min(1.0, gained.value * lost.value / rest)) if rest > 0 else 0.0
    value = gained.value - lost.value
    low = value - _hybrid(gained.value - gained.low, lost.high - lost.value, together)
    high = value + _hybrid(gained.high - gained.value, lost.value - lost.low, together)
    return Rate(value, max(-1.0, low), min(1.0, high), gained.units, gained.clusters)


def mean_interval(values: Mapping[str, float], clusters: Mapping[str, str]) -> Rate:
    """The mean of graded values (marks, not passes) with a t interval over the clusters.

    A mark of 74 that all tasks share is sure; Wilson's interval would take it for a coin that fell right 74 times.
    Raises ValueError without values.
    """
    if not values:
        raise ValueError("a mean needs at least one value")
    count = len(_groups(values, clusters))
    mean = math.fsum(values.values()) / len(values)
    half = t_95(count - 1) * standard_error(values, clusters)
    return Rate(mean, mean - half, mean + half, len(values), count)


def standard_error(differences: Mapping[str, float], clusters: Mapping[str, str]) -> float:
    """Standard error of the mean difference, families as clusters; 0 where all are equal or in one family."""
    groups = list(_groups(differences, clusters).values())
    mean = math.fsum(differences.values()) / len(differences)
    if len(groups) < 2:
        return 0.0
    spread = math.fsum(math.fsum(value - mean for value in group) ** 2 for group in groups)
    return math.sqrt(len(groups) / (len(groups) - 1) * spread) / len(differences)


def sign_flip_p(differences: Mapping[str, float], clusters: Mapping[str, str]) -> float:
    """Two-sided p of no difference: how often the families' sums, with random signs, add up to as much.

    Exact up to 16 families that differ; beyond that a seeded draw, the observed signs counted in.
    """
    import numpy as np

    sums = np.array([total for total in map(math.fsum, _groups(differences, clusters).values()) if abs(total) > 1e-12])
    if not len(sums):
        return 1.0
    observed = abs(sums.sum()) - 1e-9
    if len(sums) <= EXACT_FLIPS:
        ways = np.arange(2 ** (len(sums) - 1))[:, None] >> np.arange(len(sums)) & 1
        return float((np.abs((1 - 2 * ways) @ sums) >= observed).mean())
    ways = np.random.default_rng(SEED).integers(0, 2, (DRAWN_FLIPS, len(sums)), dtype=np.int8)
    return float((1 + (np.abs((1 - 2 * ways) @ sums) >= observed).sum()) / (1 + DRAWN_FLIPS))


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """The p values after Holm's correction for as many tests, in the given order."""
    corrected, largest = dict(p_values), 0.0
    for rank, key in enumerate(sorted(p_values, key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[key]))
        corrected[key] = largest
    return corrected


class Directions(NamedTuple):
    """Scenarios in which the adapter passes more often, less often, and equally often."""

    better: int
    worse: int
    same: int


def directions(differences: Mapping[str, float]) -> Directions:
    """How many scenarios changed in which direction."""
    up = sum(value > 1e-9 for value in differences.values())
    down = sum(value < -1e-9 for value in differences.values())
    return Directions(up, down, len(differences) - up - down)


def _hybrid(one: float, other: float, correlation: float) -> float:
    return math.sqrt(max(0.0, one * one - 2 * correlation * one * other + other * other))


def _groups(scores: Mapping[str, float], clusters: Mapping[str, str]) -> dict[str, list[float]]:
    groups: dict[str, list[float]] = {}
    for key, score in scores.items():
        groups.setdefault(clusters[key], []).append(score)
    return groups
