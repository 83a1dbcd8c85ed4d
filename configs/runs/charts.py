"""Curves as what the page draws: lines in a plane that the browser stretches, marks and labels by percent and pixel."""

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

PLANE: Final = 1000  # of a line's coordinates, whatever the size on the screen
POINTS: Final = 800  # of a line; more would fall on the same pixel
TINY: Final = 1e-6
SMOOTHED: Final = 60  # points from which a noisy line is drawn with its running mean

Curve = Sequence[tuple[int, float]]


@dataclass(frozen=True, slots=True)
class Label:
    """A text beside an axis: percent along it, counted from the left or the top."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Dot:
    """A marked point in percent of the drawing, `name` its class in the page's style."""

    x: float
    y: float
    name: str
    says: str


@dataclass(frozen=True, slots=True)
class Line:
    """`points` as SVG takes them."""

    name: str
    points: str


@dataclass(frozen=True, slots=True)
class Chart:
    title: str
    says: str
    told: str
    lines: tuple[Line, ...]
    dots: tuple[Dot, ...]
    levels: tuple[Label, ...]
    steps: tuple[Label, ...]


@dataclass(frozen=True, slots=True)
class Scale:
    """From steps and values to percent; values grow upwards."""

    first: float
    last: float
    low: float
    high: float

    def x(self, step: float) -> float:
        return 100 * (step - self.first) / (self.last - self.first or 1)

    def y(self, value: float) -> float:
        return 100 * (self.high - value) / (self.high - self.low or 1)

    def line(self, name: str, curve: Sequence[tuple[float, float]]) -> Line:
        factor = PLANE / 100
        return Line(
            name, " ".join(f"{factor * self.x(step):.1f},{factor * self.y(value):.1f}" for step, value in curve)
        )


def chart(
    title: str,
    says: str,
    curve: Curve,
    text: Callable[[float], str],
    marked: Curve = (),
    best: int | None = None,
    noisy: bool = False,
) -> Chart:
    """One curve over the steps, with `marked` points joined by a line of their own (evaluations, `best` among them).

    The curve holds at least one finite value; `text` writes a value for a person. A long `noisy` one is drawn faintly,
    with its running mean over it.
    """
    curve, marked = finite(curve), finite(marked)
    values = [value for _, value in (*curve, *marked)]
    levels = ticks(min(0.0, *values), max(values))
    steps = [step for step, _ in (*curve, *marked)]
    scale = Scale(min(steps), max(steps), levels[0], levels[-1])
    is_smoothed = noisy and len(curve) >= SMOOTHED
    named = [scale.line("raw" if is_smoothed else "train", thinned(curve))]
    if is_smoothed:
        named.append(scale.line("train", thinned(smooth(curve))))
    if marked:
        named.append(scale.line("eval", marked))
    dots = [
        Dot(scale.x(step), scale.y(value), "best" if step == best else "eval", f"step {step}: {text(value)}")
        for step, value in marked
    ]
    told = f"{title}: {text(curve[0][1])} at step {curve[0][0]}, {text(curve[-1][1])} at step {curve[-1][0]}, between "
    told += f"{text(min(v for _, v in curve))} and {text(max(v for _, v in curve))}"
    return Chart(
        title,
        says,
        told,
        tuple(named),
        tuple(dots),
        tuple(Label(scale.y(level), text(level)) for level in levels),
        tuple(Label(scale.x(step), f"{step:,}") for step in step_labels(min(steps), max(steps))),
    )


def finite(curve: Curve) -> list[tuple[int, float]]:
    return [(step, value) for step, value in curve if math.isfinite(value)]


def ticks(low: float, high: float) -> list[float]:
    """Three to six round levels that hold both ends: steps of 1, 2 or 5 times a power of ten."""
    # A difference that no curve shows is none.
    span = high - low if high - low > TINY * (1 + abs(high)) else 1 + abs(high)
    power = 10 ** math.floor(math.log10(span / 4))
    step = next(power * factor for factor in (1, 2, 5, 10) if span / (power * factor) <= 4)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [float(f"{step * number:.12g}") for number in range(first, max(last, first + 1) + 1)]


def step_labels(first: int, last: int) -> list[int]:
    """The ends and the middle of the steps, each once."""
    return list(dict.fromkeys((first, (first + last) // 2, last)))


def thinned(curve: Curve) -> list[tuple[float, float]]:
    """At most POINTS points, each the mean of its neighbours where there are more."""
    width = math.ceil(len(curve) / POINTS)
    groups = [curve[start : start + width] for start in range(0, len(curve), width)]
    return [tuple(map(statistics.fmean, zip(*group, strict=True))) for group in groups]  # type: ignore[misc]


def smooth(curve: Curve) -> list[tuple[int, float]]:
    """The mean of each point with the twentieth of the curve around it."""
    half = max(1, len(curve) // 40)
    values = [value for _, value in curve]
    return [
        (step, statistics.fmean(values[max(0, place - half) : place + half + 1]))
        for place, (step, _) in enumerate(curve)
    ]
