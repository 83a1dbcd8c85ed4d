"""Simulated runs whose truth is known: how often intervals hold it, tests raise a false alarm, and gates pass a loss.

A sample passes where its scenario's ease (shared in part by the family) plus chance is above a threshold. A large
`spread` makes scenarios that nearly always pass or nearly always fail, as real ones do.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from eval.report import make_console, make_table
from eval.statistics import SEED, paired_difference, rate_interval, sign_flip_p, t_95

Scores = NDArray[np.float64]


@dataclass(frozen=True)
class World:
    """`n` scenarios in families of `family`, `k` samples each, true rate `rate`; the adapter's is `rate + gain`.

    `shared`: part of the ease that a family has in common; `alike`: part of it that base and adapter have in common.
    """

    n: int
    k: int
    rate: float
    gain: float = 0.0
    family: int = 3
    spread: float = 6.0
    shared: float = 0.7
    alike: float = 0.8

    @property
    def clusters(self) -> dict[str, str]:
        """The family of each scenario."""
        return {str(index): str(index // self.family) for index in range(self.n)}

    def runs(self, repetitions: int, seed: int = SEED) -> Iterator[tuple[dict[str, float], dict[str, float]]]:
        """Pairs of base and adapter scores by scenario."""
        rng = np.random.default_rng(seed)
        for _ in range(repetitions):
            ease, own = self._ease(rng), self._ease(rng)
            other = math.sqrt(self.alike) * ease + math.sqrt(1 - self.alike) * own
            yield self._play(rng, ease, self.rate), self._play(rng, other, self.rate + self.gain)

    def _ease(self, rng: np.random.Generator) -> Scores:
        families = rng.standard_normal(math.ceil(self.n / self.family)).repeat(self.family)[: self.n]
        return math.sqrt(self.shared) * families + math.sqrt(1 - self.shared) * rng.standard_normal(self.n)

    def _play(self, rng: np.random.Generator, ease: Scores, rate: float) -> dict[str, float]:
        level = NormalDist().inv_cdf(rate) * math.sqrt(1 + self.spread**2)
        passed = (level + self.spread * ease)[:, None] + rng.standard_normal((self.n, self.k)) > 0
        return _keyed(passed.mean(axis=1))


@dataclass(frozen=True)
class Collapse:
    """The base always passes a share `rate` of the families and no other; the adapter fails a share `loss` more."""

    n: int
    loss: float
    family: int = 3
    rate: float = 1.0

    @property
    def clusters(self) -> dict[str, str]:
        """The family of each scenario."""
        return {str(index): str(index // self.family) for index in range(self.n)}

    def runs(self, repetitions: int, seed: int = SEED) -> Iterator[tuple[dict[str, float], dict[str, float]]]:
        """Pairs of base and adapter scores by scenario."""
        rng = np.random.default_rng(seed)
        for _ in range(repetitions):
            luck = rng.random(math.ceil(self.n / self.family))
            base, adapter = (
                _keyed((luck < limit).repeat(self.family)[: self.n].astype(float))
                for limit in (self.rate, self.rate - self.loss)
            )
            yield base, adapter


# The sizes and rates that facts about small test sets are told for, then those of this project's own scenarios.
RATES = (
    World(10, 5, 0.80, family=1),
    World(24, 5, 0.80),
    World(24, 5, 0.90),
    World(60, 5, 0.80),
    World(60, 5, 0.95),
    World(60, 1, 0.80),
    World(60, 1, 0.95),
    World(110, 5, 0.50, family=2),
    World(110, 5, 0.95, family=2),
)
PAIRS = tuple(World(n, k, 0.6, family=f) for n, f in ((24, 3), (60, 3), (60, 1), (110, 2)) for k in (1, 5))
MARGIN = 0.05
SIZE = ("scenarios", "families", "k")
LOSSES: tuple[World | Collapse, ...] = (
    *(replace(world, gain=-MARGIN) for world in PAIRS if world.family > 1),
    *(Collapse(n, MARGIN, family, rate) for n, family in ((24, 3), (60, 3), (110, 2)) for rate in (0.5, 1.0)),
)


def coverage(world: World, repetitions: int) -> tuple[float, float, float]:
    """Share of runs whose 95 % interval holds the true rate: over rows, by t over scenarios, and ours."""
    held = [0, 0, 0]
    for scores, _ in world.runs(repetitions):
        values = np.array([*scores.values()])
        mean, rows = float(values.mean()), world.n * world.k
        halves = (1.96 * math.sqrt(mean * (1 - mean) / rows), _t_half(values))
        ours = rate_interval(scores, world.clusters)
        for index, (low, high) in enumerate([*((mean - h, mean + h) for h in halves), (ours.low, ours.high)]):
            held[index] += low - 1e-9 <= world.rate <= high + 1e-9
    over_rows, by_t, by_us = (count / repetitions for count in held)
    return over_rows, by_t, by_us


def false_alarms(world: World, repetitions: int) -> tuple[float, float, float]:
    """Share of runs without a true difference in which one is found: by t over scenarios, our interval, sign flips."""
    found = [0, 0, 0]
    for base, adapter in world.runs(repetitions):
        values = np.array([adapter[key] - base[key] for key in base])
        ours = paired_difference(base, adapter, world.clusters)
        found[0] += abs(float(values.mean())) > _t_half(values)
        found[1] += not ours.low <= 0 <= ours.high
        found[2] += sign_flip_p({key: adapter[key] - base[key] for key in base}, world.clusters) < 0.05
    by_t, by_us, by_flips = (count / repetitions for count in found)
    return by_t, by_us, by_flips


def false_passes(world: World | Collapse, repetitions: int, margin: float = MARGIN) -> tuple[float, float]:
    """Share of runs with a true loss of `margin` whose lower bound is above it: by t over families, and ours."""
    passed = [0, 0]
    for base, adapter in world.runs(repetitions):
        ours = paired_difference(base, adapter, world.clusters)
        groups = np.array([adapter[key] - base[key] for key in base])
        passed[0] += ours.value - _clustered_half(groups, world.family) > -margin
        passed[1] += ours.low > -margin
    return passed[0] / repetitions, passed[1] / repetitions


def smallest_gain(world: World, repetitions: int) -> float | None:
    """The smallest true gain, in steps of one point, that our interval finds in 80 % of the runs, or None."""

    def finds(gain: int) -> bool:
        runs = replace(world, gain=gain / 100).runs(repetitions)
        found = sum(paired_difference(base, adapter, world.clusters).low > 0 for base, adapter in runs)
        return found >= 0.8 * repetitions

    low, high = 0, round(100 * (0.99 - world.rate))
    if not finds(high):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if finds(middle) else (middle, high)
    return high / 100


def print_coverage(repetitions: int) -> None:
    """Three tables: intervals of rates, false alarms of comparisons, and losses that pass."""
    console = make_console()
    title = "How often a 95 % interval holds the true rate"
    rows = [[*_size(world), f"{world.rate:.2f}", *_cells(coverage(world, repetitions))] for world in RATES]
    _print(console, title, SIZE, ("rate", "over rows", "t, scenarios", "ours"), rows)
    title = "How often 95 % sure differences are found where there is none (base 60 %)"
    rows = [[*_size(world), *_cells(false_alarms(world, repetitions))] for world in PAIRS]
    _print(console, title, SIZE, ("t, scenarios", "our interval", "sign flips"), rows)
    title = f"How often a true loss of {100 * MARGIN:.0f} points passes such a margin (2.5 % is nominal)"
    rows = [[*_size(world), _kind(world), *_cells(false_passes(world, repetitions))] for world in LOSSES]
    _print(console, title, SIZE, ("loss", "t, families", "ours"), rows)
    console.print(f"{repetitions} simulated runs per line; nothing here says how good any model is.")


def print_gains(repetitions: int) -> None:
    """The smallest gain that is found with 80 % probability, by scenarios and samples."""
    samples, tries = (1, 3, 5), max(1, repetitions // 4)
    rows = []
    for n in (24, 48, 90, 110, 220):
        gains = (smallest_gain(World(n, k, 0.6, family=2), tries) for k in samples)
        rows.append([str(n), str(n // 2), *("none" if gain is None else f"+{100 * gain:.0f}" for gain in gains)])
    console = make_console()
    title = "Smallest true gain, in points, that is found with 80 % probability (base 60 %)"
    _print(console, title, ("scenarios", "families"), tuple(f"k {k}" for k in samples), rows)
    console.print("More samples help where answers vary; scenarios that always pass or always fail need others.")


def _print(
    console: Console, title: str, names: tuple[str, ...], columns: tuple[str, ...], rows: list[list[str]]
) -> None:
    console.print(title)
    table = make_table("", *names)
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console.print(table)


def _size(world: World | Collapse) -> list[str]:
    samples = world.k if isinstance(world, World) else 1
    return [str(world.n), str(math.ceil(world.n / world.family)), str(samples)]


def _kind(world: World | Collapse) -> str:
    return "spread" if isinstance(world, World) else f"whole families, base {100 * world.rate:.0f} %"


def _cells(shares: tuple[float, ...]) -> list[str]:
    return [f"{100 * share:.1f} %" for share in shares]


def _keyed(values: Scores) -> dict[str, float]:
    return {str(index): float(value) for index, value in enumerate(values)}


def _t_half(values: Scores) -> float:
    return t_95(len(values) - 1) * float(values.std(ddof=1)) / math.sqrt(len(values))


def _clustered_half(values: Scores, family: int) -> float:
    sums: Any = np.add.reduceat(values - values.mean(), range(0, len(values), family))
    error = math.sqrt(len(sums) / (len(sums) - 1) * float((sums**2).sum())) / len(values)
    return t_95(len(sums) - 1) * error
