"""Invented answers of two models, and matches between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from eval.people.answered import Answered, Answers
from eval.people.match import Match, make_match
from eval.people.stored import Head

KINDS = ("decisions", "relationships")


def answered(number: int, text: str, kind: str = "", **facts: object) -> Answered:
    key = f"companion/t{number}"
    known = {"seconds": 1.5, "prompt_tokens": 100, "new_tokens": len(text)} | facts
    return Answered(key, kind or KINDS[number % 2], key, f"Question {number}?", text, **known)  # type: ignore[arg-type]


def answers(model: str, texts: Sequence[str], **facts: object) -> Answers:
    """One answer to each question."""
    return Answers(model, {one.id: one for one in (answered(n, text, **facts) for n, text in enumerate(texts))})


def match_of(local: Sequence[str], strong: Sequence[str], seed: int = 1234) -> Match:
    return make_match(answers("companion@v2", local), answers("big", strong), seed)


def a_match(tasks: int = 4) -> Match:
    return match_of([f"Ours {n}." for n in range(tasks)], [f"Theirs {n}." for n in range(tasks)])


def stored(path: Path, model: str, texts: Sequence[str] | Mapping[int, str]) -> Path:
    """A file of answers, as those that were asked live."""
    items = texts.items() if isinstance(texts, Mapping) else enumerate(texts)
    lines = [msgspec.json.encode(Head(model, "asked")), *(msgspec.json.encode(answered(n, t)) for n, t in items)]
    path.write_bytes(b"\n".join(lines) + b"\n")
    return path
