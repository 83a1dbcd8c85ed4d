"""Rates with honest intervals: the unit is the scenario, scenarios of one family are not independent.

`rate_interval` is Wilson's interval with the number of scenarios reduced to its effective size and the t
quantile of the families; `paired_difference` is Newcombe's hybrid of two such intervals. Coverage is tested
by simulation.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# Two-sided 95 % quantiles of Student's t for 1 to 30 degrees of freedom (any statistics table).
T_95 = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip
Z_95 = 1.959964
# With fewer clusters the spread between them is itself a guess: such a number describes, it does not prove.
MIN_CLUSTERS = 8


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
    groups = _groups(scores, clusters)
    mean = math.fsum(scores.values()) / len(scores)
    size = effective_size(groups, mean)
    t = t_95(len(groups) - 1)
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
    """Adapter minus base over the same scenarios, in -1..1, with Newcombe's 95 % interval for paired rates.

    Raises ValueError where the two sides do not hold the same scenarios.
    """
    if base.keys() != adapter.keys():
        raise ValueError("a paired difference needs the same scenarios on both sides")
    first, second = rate_interval(base, clusters), rate_interval(adapter, clusters)
    value = second.value - first.value
    together = _correlation([(base[key], adapter[key]) for key in base])
    low = value - _hybrid(second.value - second.low, first.high - first.value, together)
    high = value + _hybrid(second.high - second.value, first.value - first.low, together)
    return Rate(value, max(-1.0, low), min(1.0, high), first.units, first.clusters)


def _hybrid(one: float, other: float, correlation: float) -> float:
    return math.sqrt(max(0.0, one * one - 2 * correlation * one * other + other * other))


def _correlation(pairs: Sequence[tuple[float, float]]) -> float:
    """Pearson's correlation, 0 where one side does not vary."""
    x_mean = math.fsum(x for x, _ in pairs) / len(pairs)
    y_mean = math.fsum(y for _, y in pairs) / len(pairs)
    xx = math.fsum((x - x_mean) ** 2 for x, _ in pairs)
    yy = math.fsum((y - y_mean) ** 2 for _, y in pairs)
    xy = math.fsum((x - x_mean) * (y - y_mean) for x, y in pairs)
    return max(-1.0, min(1.0, xy / math.sqrt(xx * yy))) if xx > 1e-12 and yy > 1e-12 else 0.0


def _groups(scores: Mapping[str, float], clusters: Mapping[str, str]) -> list[list[float]]:
    groups: dict[str, list[float]] = {}
    for key, score in scores.items():
        groups.setdefault(clusters[key], []).append(score)
    return list(groups.values())
