"""What a comparison can tell: the smallest gain it finds, how many scenarios decide, and luck among checkpoints.

`python -m eval.power` prints how many scenarios and samples find which gain; `--coverage` prints how often the
intervals and tests of eval.statistics are right. Both by seeded simulation, in a minute at most.
"""

import argparse
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from eval.errors import one_sentence
from eval.options import positive
from eval.statistics import MIN_CLUSTERS, SEED, Z_95, Rate, standard_error, t_95

Z_80 = 0.841621  # one-sided 80 % quantile of the normal distribution: the power that is asked for
LUCK_DRAWS = 4000
# Below a tenth of a point between the difference and what decides, hundreds of thousands of scenarios would be needed.
LEAST_GAP = 0.001


@dataclass(frozen=True)
class Luck:
    """What the best of `tried` checkpoints seems to gain where none is better than the base.

    `gain` is its expected value in 0..1; `as_large` the probability of the observed difference or more.
    """

    tried: int
    gain: float
    as_large: float


def known_error(difference: Rate, differences: Mapping[str, float], clusters: Mapping[str, str]) -> float:
    """Standard error of the paired difference: by families, or what its interval says where that is wider."""
    half = (difference.high - difference.low) / 2
    return max(standard_error(differences, clusters), half / t_95(difference.clusters - 1))


def smallest_detectable(error: float, clusters: int) -> float:
    """The true difference that such a comparison finds with 80 % probability (5 % two-sided), in 0..1."""
    t = t_95(clusters - 1)
    return min(1.0, error * t * (1 + Z_80 / Z_95))


def scenarios_needed(difference: Rate, error: float, margin: float) -> int | None:
    """How many scenarios of this kind would decide with 80 % probability, if the difference is what it seems.

    Never fewer than eight families of the present size; None where no number that can be written would.
    """
    gap = max(difference.value + margin, -difference.value)
    if gap < LEAST_GAP:
        return None
    needed = difference.units * ((Z_95 + Z_80) * error / gap) ** 2
    families = difference.units / difference.clusters * MIN_CLUSTERS
    return math.ceil(max(needed, families, difference.units + 1))


def luck_of_the_best(differences: Mapping[str, float], clusters: Mapping[str, str], tried: int) -> Luck:
    """Draws the best of `tried` checkpoints without a true gain, from the spread of these families.

    Half of the variance of a difference is the base's own, which all checkpoints share.
    """
    import numpy as np

    value = math.fsum(differences.values()) / len(differences)
    residuals: dict[str, float] = {}
    for key, change in differences.items():
        residuals[clusters[key]] = residuals.get(clusters[key], 0.0) + change - value
    rng = np.random.default_rng(SEED)
    signs = rng.integers(0, 2, (LUCK_DRAWS, len(residuals)), dtype=np.int8) * 2 - 1
    changes = (signs @ np.array([*residuals.values()])) / len(differences) * math.sqrt(0.5)
    best = changes[rng.integers(0, LUCK_DRAWS, (LUCK_DRAWS, tried))].max(axis=1)
    seen = best + rng.permutation(changes)
    gain = float(best.mean()) if tried > 1 else 0.0
    return Luck(tried, max(0.0, gain), float((seen >= value - 1e-9).mean()))


def power(argv: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m eval.power", description=__doc__)
    parser.add_argument("--coverage", action="store_true", help="how often intervals, tests and the gate are right")
    parser.add_argument("--repetitions", type=positive, default=1000, help="simulated runs per line (default 1000)")
    args = parser.parse_args(argv)
    from eval.worlds import print_coverage, print_gains

    (print_coverage if args.coverage else print_gains)(args.repetitions)
    return 0


if __name__ == "__main__":
    sys.exit(one_sentence(power))
