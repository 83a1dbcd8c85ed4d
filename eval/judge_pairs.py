"""Pairs of runs put before a judge in both orders, and what came of each: only a verdict that survives the swap counts.

`ask_pairs(judge, candidates, seed)` returns one `Judged` per pair, with every prompt and every reply in it.
"""

import random
from collections.abc import Sequence
from typing import Literal

import msgspec

from eval.judge_client import Judge
from eval.judge_prompt import pair_prompt, parse_verdict

Side = Literal["first", "second"]
Outcome = Literal["first", "second", "same", "contradiction", "no verdict"]
OTHER: dict[Side, Side] = {"first": "second", "second": "first"}


class Candidate(msgspec.Struct, frozen=True):
    """Two runs of one task: `kind` says what is known of the second, empty where nothing is."""

    id: str
    role: str
    family: str
    sample: int
    task: str
    first: str
    second: str
    kind: str = ""


class Question(msgspec.Struct, frozen=True):
    """One question to the judge: which run stood as A, the whole prompt, and every reply, word for word."""

    a: Side
    prompt: str
    replies: tuple[str, ...]

    @property
    def better(self) -> Side | Literal["same"] | None:
        """Which run the judge found better, None where its last reply is no verdict."""
        verdict = parse_verdict(self.replies[-1])
        if verdict is None:
            return None
        if verdict.better == "same":
            return "same"
        return self.a if verdict.better == "A" else OTHER[self.a]


class Judged(msgspec.Struct, frozen=True):
    """A pair with both questions; none were asked where the two runs are the same text."""

    id: str
    role: str
    family: str
    sample: int
    kind: str
    outcome: Outcome
    questions: tuple[Question, ...] = ()


def ask_pairs(judge: Judge, candidates: Sequence[Candidate], seed: int) -> list[Judged]:
    """Every pair judged in both orders; which order comes first is drawn from the seed."""
    orders = [() if c.first == c.second else _order(c, seed) for c in candidates]
    prompts = [_prompt(c, a) for c, order in zip(candidates, orders, strict=True) for a in order]
    replies = iter(zip(prompts, judge.replies(prompts), strict=True))
    return [
        _judged(candidate, tuple(Question(a, *next(replies)) for a in order))
        for candidate, order in zip(candidates, orders, strict=True)
    ]


def is_consistent(pair: Judged) -> bool:
    """Whether the judge said the same in both orders."""
    return pair.outcome in ("first", "second", "same")


def _order(candidate: Candidate, seed: int) -> tuple[Side, ...]:
    dice = random.Random(f"{seed}/{candidate.id}/{candidate.sample}/{candidate.kind}")
    return ("first", "second") if dice.random() < 0.5 else ("second", "first")


def _prompt(candidate: Candidate, a: Side) -> str:
    runs = (candidate.first, candidate.second)
    return pair_prompt(candidate.task, *(runs if a == "first" else reversed(runs)))


def _judged(candidate: Candidate, questions: tuple[Question, ...]) -> Judged:
    said = [question.better for question in questions] or ["same"]
    outcome: Outcome = "no verdict" if None in said else "contradiction" if len({*said}) > 1 else said[0] or "same"
    return Judged(candidate.id, candidate.role, candidate.family, candidate.sample, candidate.kind, outcome, questions)
