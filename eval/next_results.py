"""The results file of tool_use_accuracy as typed values: what was asked, every raw answer of both sides, every score.

`summarize` turns scored answers into rates whose clusters are the sessions, `compare_sides` into paired differences,
`add_losses` does both for the losses.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from eval.baselines import Floor
from eval.loss import TurnLoss
from eval.next_action import METRICS, Metric, Mistake
from eval.segments import SEGMENTS, Segment
from eval.statistics import MIN_CLUSTERS, Rate, paired_difference, rate_interval, t_95


class Given(msgspec.Struct, frozen=True):
    """One answer of one side, how it compares with the recorded one, what it cost, and the loss of the recorded one."""

    answer: str
    truncated: bool
    metrics: dict[Metric, float | None]
    mistakes: tuple[Mistake, ...]
    prompt_tokens: int | None = None
    new_tokens: int | None = None
    seconds: float = 0.0
    loss: TurnLoss | None = None


class Turn(msgspec.Struct, frozen=True):
    """One held-out reply and both sides' answers; `dropped` of the oldest messages did not fit the prompt."""

    id: str
    session: str
    recorded: str
    dropped: int
    model: Given
    base: Given | None = None


class Number(msgspec.Struct, frozen=True):
    """A mean with standard error and 95 % interval, both by session, and the turns and sessions it rests on.

    One session alone has no standard error.
    """

    value: float
    error: float | None
    low: float
    high: float
    turns: int
    sessions: int

    @property
    def enough(self) -> bool:
        """Whether there are sessions enough for an interval to mean anything."""
        return self.sessions >= MIN_CLUSTERS


Summary = dict[Metric, Number]
Scores = Mapping[str, Mapping[Metric, float | None]]
"""The metrics by turn."""


class LossNumber(msgspec.Struct, frozen=True):
    """Nats per token of one segment, or bits per byte; `units` are tokens or bytes, `difference` model - base."""

    units: int
    model: float
    base: float | None = None
    difference: Number | None = None


class Training(msgspec.Struct, frozen=True):
    """The rows that the floors learned from; `own` where there were none but the held-out rows themselves.

    `shared`: sessions that are in both, which no honest split has.
    """

    path: str
    sha256: str
    turns: int
    own: bool
    shared: int


class ToolUse(msgspec.Struct, frozen=True, tag="tool_use_accuracy", tag_field="kind"):
    """One run over a dataset file: the model, its base where one load gave both, and the floors without any model.

    `shortened` and `too_long` count turns whose context lost its oldest messages, and turns that were left out;
    `no_loss` says why there is no loss.
    """

    model: str
    facts: dict[str, Any]
    settings: dict[str, int | float]
    versions: dict[str, str]
    data: dict[str, str]
    training: Training
    shortened: int
    too_long: int
    summary: Summary
    base: Summary | None
    difference: Summary | None
    floors: dict[Floor, Summary]
    loss: dict[str, LossNumber] | None
    no_loss: str
    turns: tuple[Turn, ...]
    format: Literal[2] = 2


def summarize(scores: Scores, sessions: Mapping[str, str]) -> Summary:
    """Every metric that applies to at least one turn. `sessions` are by turn."""
    found = {}
    for metric in METRICS:
        if values := _of(scores, metric):
            error = standard_error([(value, 1.0, sessions[key]) for key, value in values.items()])
            found[metric] = _number(rate_interval(values, sessions), error)
    return found


def compare_sides(model: Scores, base: Scores, sessions: Mapping[str, str]) -> Summary:
    """Model minus base, paired, over the turns where a metric applies to both."""
    found = {}
    for metric in METRICS:
        ours, theirs = _of(model, metric), _of(base, metric)
        if both := [key for key in ours if key in theirs]:
            gains = [(ours[key] - theirs[key], 1.0, sessions[key]) for key in both]
            before, after = ({key: side[key] for key in both} for side in (theirs, ours))
            found[metric] = _number(paired_difference(before, after, sessions), standard_error(gains))
    return found


def add_losses(turns: Sequence[Turn]) -> dict[str, LossNumber]:
    """Nats per token by segment and over `all` of them, and `bits_per_byte` of the replies without their end marks."""
    found = {}
    for name in (*SEGMENTS, "all", "bits_per_byte"):
        ours, theirs = _shares(turns, name, "model"), _shares(turns, name, "base")
        if units := sum(weight for _, weight, _ in ours):
            base = _ratio(theirs) if theirs else None
            difference = _paired_ratio(ours, theirs) if theirs else None
            found[name] = LossNumber(round(units), _ratio(ours), base, difference)
    return found


Share = tuple[float, float, str]
"""What one turn adds to a mean: a sum, the units that it is over, and the session."""


def standard_error(shares: Sequence[Share]) -> float | None:
    """Of the mean of all sums over all units, sessions taken as wholes; None where there is one session.

    The linearized variance of a ratio with the small-sample factor G / (G - 1); Cochran, Sampling Techniques, 6.
    """
    mean, units = _ratio(shares), sum(weight for _, weight, _ in shares)
    rests: dict[str, float] = {}
    for value, weight, session in shares:
        rests[session] = rests.get(session, 0.0) + value - mean * weight
    if len(rests) < 2:
        return None
    return math.sqrt(len(rests) / (len(rests) - 1) * math.fsum(rest**2 for rest in rests.values())) / units


def _of(scores: Scores, metric: Metric) -> dict[str, float]:
    return {key: value for key, metrics in scores.items() if (value := metrics[metric]) is not None}


def _number(rate: Rate, error: float | None) -> Number:
    return Number(rate.value, error, rate.low, rate.high, rate.units, rate.clusters)


def _ratio(shares: Sequence[Share]) -> float:
    return math.fsum(value for value, _, _ in shares) / math.fsum(weight for _, weight, _ in shares)


def _paired_ratio(ours: Sequence[Share], theirs: Sequence[Share]) -> Number:
    gains = [(a - b, weight, session) for (a, weight, session), (b, _, _) in zip(ours, theirs, strict=True)]
    value, error = _ratio(gains), standard_error(gains)
    sessions = len({session for _, _, session in gains})
    half = t_95(sessions - 1) * (error or 0.0)
    return Number(value, error, value - half, value + half, len(gains), sessions)


def _shares(turns: Sequence[Turn], name: str, side: Literal["model", "base"]) -> list[Share]:
    """What each turn adds to one loss: nats over tokens, or bits over bytes."""
    found = []
    for turn in turns:
        given = turn.model if side == "model" else turn.base
        if given is not None and given.loss is not None:
            total, units = _sum(given.loss, name)
            if units:
                found.append((total, float(units), turn.session))
    return found


def _sum(loss: TurnLoss, name: str) -> tuple[float, int]:
    if name == "bits_per_byte":
        spoken = math.fsum(part.nats for kind, part in loss.segments.items() if kind != "end")
        return spoken / math.log(2), loss.bytes
    wanted: tuple[Segment, ...] = SEGMENTS if name == "all" else tuple(kind for kind in SEGMENTS if kind == name)
    parts = [loss.segments[kind] for kind in wanted if kind in loss.segments]
    return math.fsum(part.nats for part in parts), sum(part.tokens for part in parts)
