"""What the comparison page draws: intervals as places on an axis, and the scenarios as data for its script.

`embed(comparison)` is JSON that can stand inside a page's script element, cut so that a page stays small.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from eval.paired import Comparison, Pair
from eval.printable import printable
from eval.results import Episode
from eval.statistics import Rate
from eval.transcript import Step

# Characters of one text at most: the first of these with which the page's data stays below `BYTES`.
LIMITS = (20_000, 8_000, 4_000, 2_000, 1_000, 400, 100)
BYTES = 5_000_000


@dataclass(frozen=True)
class Place:
    """Where a value and its interval stand on an axis, in percent of its width; without interval `drawn` is False."""

    low: float
    value: float
    high: float
    drawn: bool


@dataclass(frozen=True)
class Picture:
    """The axis of differences: from -`reach` to +`reach` points, with the margin marked."""

    reach: int
    margin: float

    @classmethod
    def of(cls, comparison: Comparison, margin: float) -> "Picture":
        """An axis that holds every interval of the comparison, in steps of ten points."""
        ends = [abs(end) for row in comparison.rows for end in _ends(row.difference)] or [0.0]
        reach = max(10, math.ceil(round(10 * max(*ends, margin), 6)) * 10)
        return cls(reach, 50 - 50 * 100 * margin / reach)

    def rate(self, rate: Rate) -> Place:
        """The place of a pass rate, on an axis from 0 to 100 %."""
        low, value, high = (round(100 * x, 2) for x in (rate.low, rate.value, rate.high))
        return Place(low, value, high, rate.enough)

    def change(self, rate: Rate) -> Place:
        """The place of a difference."""
        low, value, high = (round(50 + 5000 * x / self.reach, 2) for x in (rate.low, rate.value, rate.high))
        return Place(low, value, high, rate.enough)


def embed(comparison: Comparison) -> str:
    """The scenarios as JSON without a character that could end a script element or a line."""
    lengths = [len(text) for pair in comparison.pairs for text in _texts(pair)]
    text = ""
    for limit in LIMITS:
        if limit > LIMITS[-1] and sum(min(length, limit) for length in lengths) > BYTES:
            continue
        text = msgspec.json.encode([_scenario(pair, limit) for pair in comparison.pairs]).decode()
        if len(text.encode()) <= BYTES:
            break
    return text.replace("<", "\\u003c")


def _ends(rate: Rate) -> tuple[float, ...]:
    return (rate.low, rate.high) if rate.enough else (rate.value,)


def _texts(pair: Pair) -> Iterator[str]:
    for episode in (*pair.base, *pair.adapter):
        for step in episode.steps:
            yield from (step.answer, *step.results)


def _scenario(pair: Pair, limit: int) -> dict[str, Any]:
    before, after = pair.passed
    near = pair.overlap
    return {
        "id": printable(pair.id, 200),
        "role": printable(pair.role, 100),
        "family": printable(pair.family, 200),
        "heldOut": pair.held_out,
        "overlap": near and {"grams": near.grams, "ratio": near.ratio, "near": printable(near.nearest, 500)},
        "passed": [before, after],
        "forbidden": [printable(action, 200) for action in pair.forbidden],
        "samples": [
            {
                "asked": [_message(message, limit) for message in first.asked],
                "drawn": {printable(key, 50): printable(value, 100) for key, value in first.variables.items()},
                "sides": [_sample(first, limit), _sample(second, limit)],
            }
            for first, second in zip(pair.base, pair.adapter, strict=True)
        ],
    }


def _message(message: dict[str, Any], limit: int) -> list[str]:
    content = message.get("content")
    said = content if isinstance(content, str) else "" if content is None else json.dumps(content, ensure_ascii=False)
    calls = message.get("tool_calls")
    text = "\n".join([said, json.dumps(calls, ensure_ascii=False)] if calls else [said])
    return [printable(str(message.get("role", "")), 50), printable(text, limit)]


def _sample(episode: Episode, limit: int) -> dict[str, Any]:
    return {
        "passed": episode.passed,
        "partial": round(episode.partial, 3),
        "why": printable(episode.explanation, 1000),
        "forbidden": [printable(action, 200) for action in episode.forbidden],
        "unanswered": episode.unanswered,
        "steps": [_step(step, limit) for step in episode.steps],
        # Where a check holds, its sentence would say the opposite of what happened.
        "checks": [
            [printable(c.name, 200), c.ok, "" if c.ok else printable(c.note, 1000), c.gate, c.critical, c.weight]
            for c in episode.checks
        ],
    }


def _step(step: Step, limit: int) -> dict[str, Any]:
    return {
        "answer": printable(step.answer, limit),
        "results": [printable(result, limit) for result in step.results],
        "cut": step.truncated,
        "cost": [round(step.seconds, 2), step.prompt_tokens, step.new_tokens],
    }
