"""What a run cost: response times and tokens of its answers, and what went wrong without being the model's fault."""

import math
from dataclasses import dataclass

from eval.results import RoleBench

# A loop: the same phrase, of up to so many characters, so many times at the end, over so many characters at least.
LOOP_PHRASE, LOOP_TIMES, LOOP_LEAST = 400, 6, 120


@dataclass(frozen=True)
class Costs:
    """Over all answers of a run: seconds of the median and the slowest 5 %, tokens (None where nobody counted).

    `truncated`: runs in which the token limit cut an answer; `circles`: those that it cut out of an endless loop, which
    more tokens would not end; `unanswered`: commands that the simulator did not know.
    """

    answers: int
    median: float
    slow: float
    prompt_tokens: int | None
    new_tokens: int | None
    truncated: int
    circles: int
    unanswered: int


def costs_of(run: RoleBench) -> Costs:
    """The costs of all answers of a run, contaminated scenarios included."""
    steps = [step for episode in run.episodes for step in episode.steps]
    seconds = sorted(step.seconds for step in steps)
    cut = [episode for episode in run.episodes if episode.truncated]
    circles = sum(all(goes_in_circles(step.answer) for step in one.steps if step.truncated) for one in cut)
    return Costs(
        answers=len(steps),
        median=_quantile(seconds, 0.5),
        slow=_quantile(seconds, 0.95),
        prompt_tokens=_total([step.prompt_tokens for step in steps]),
        new_tokens=_total([step.new_tokens for step in steps]),
        truncated=len(cut) - circles,
        circles=circles,
        unanswered=sum(episode.unanswered for episode in run.episodes),
    )


def goes_in_circles(text: str) -> bool:
    """Whether a text ends in one phrase said over and over; such an answer is the model's fault, not the limit's."""
    tail = text[-LOOP_PHRASE * LOOP_TIMES :]
    most = len(tail) // LOOP_TIMES
    return any(
        period * LOOP_TIMES >= LOOP_LEAST and tail.endswith(tail[-period:] * LOOP_TIMES)
        for period in range(1, most + 1)
    )


def _quantile(ordered: list[float], share: float) -> float:
    """The smallest value that at least this share of the values does not exceed."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def _total(counts: list[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None
