"""Decides by rules which examples are kept. What is refused has a reason, and each reason is counted."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

from scripts.loop.generate import Example
from scripts.loop.plan import Plan
from scripts.loop.seen import Evaluation, known, nearest, words
from scripts.loop.settings import Curation, Shares

SPLITS = ("train", "val", "test")


class Reason(StrEnum):
    """Why an example is not kept."""

    TOO_SHORT = "answer too short"
    TOO_LONG = "answer too long"
    REFUSAL = "refuses, or talks of being a model"
    REPEATED = "like another one of this round"
    KNOWN = "like a question of the dataset"
    EVALUATION = "like something that evaluation asks"
    SECRET = "holds a secret or a name"
    OVER_SHARE = "over the share of generated rows"
    OWN = "over the share of our own adapters"


def curate(
    examples: Sequence[Example], plan: Plan, kept_before: int = 0, learned: Iterable[Path] = ()
) -> tuple[list[Example], Counter[Reason]]:
    """The examples that may be learned, and why the others may not.

    Earlier rounds that went live gave `kept_before` examples; `learned` are the datasets that they were trained on.
    """
    names = [f"{plan.role}_{split}.jsonl" for split in SPLITS]
    files = [file for folder in (plan.datasets, *learned) for name in names if (file := folder / name).is_file()]
    rules = plan.settings.curation
    judge = Judge(
        rules, Evaluation(plan), known([e.input for e in examples], files, rules.likeness), clean_of(plan.config)
    )
    refused: Counter[Reason] = Counter()
    good: list[Example] = []
    for example in in_turn(examples):
        reason = judge.why_not(example)
        if reason is None:
            good.append(example)
        else:
            refused[reason] += 1
    rows = count_lines(plan.datasets / f"{plan.role}_train.jsonl")
    kept = list(capped(good, plan.settings.shares, rows, kept_before, refused))
    return kept, refused


def clean_of(config: Path) -> Callable[[str], str]:
    """The pipeline's own redaction of a text."""
    from data.config import load_config
    from data.transform.redactor import text_redactor

    return text_redactor(load_config(config).redact)


class Judge:
    """The rules for single examples, in the order in which a reason is named."""

    def __init__(
        self, rules: Curation, evaluation: Evaluation, known_ones: set[str], clean: Callable[[str], str]
    ) -> None:
        self._rules, self._evaluation, self._known, self._clean = rules, evaluation, known_ones, clean
        self._refusals = [re.compile(pattern) for pattern in rules.refusals]
        self._kept: list[str] = []

    def why_not(self, example: Example) -> Reason | None:
        """Why an example is not kept; one that is kept is remembered."""
        reason = next((reason for reason, holds in self._checks(example) if holds()), None)
        if reason is None:
            self._kept.append(words(example.input))
        return reason

    def _checks(self, example: Example) -> Iterator[tuple[Reason, Callable[[], bool]]]:
        rules, asked, told = self._rules, example.input, answer_of(example)
        yield Reason.TOO_SHORT, lambda: not example.calls and len(example.output) < rules.min_answer
        yield Reason.TOO_LONG, lambda: len(told) > rules.max_answer or len(asked) > rules.max_answer
        yield Reason.REFUSAL, lambda: any(pattern.search(example.output) for pattern in self._refusals)
        yield Reason.EVALUATION, lambda: self._evaluation.asks(asked) or self._evaluation.shares_words(asked, told)
        yield Reason.KNOWN, lambda: asked in self._known
        yield Reason.REPEATED, lambda: nearest(words(asked), self._kept, rules.likeness)
        yield Reason.SECRET, lambda: self._clean(asked) != asked or self._clean(told) != told


def answer_of(example: Example) -> str:
    """What is said and what the calls hold, as one text."""
    calls = (part for call in example.calls for part in (call.name, *map(str, call.arguments.values())))
    return "\n".join(filter(None, (example.output, *calls)))


def in_turn(examples: Iterable[Example]) -> list[Example]:
    """The first of each family, then the second of each: a limit takes from all of them alike."""
    count: Counter[str] = Counter()
    placed = []
    for order, example in enumerate(examples):
        placed.append((count[example.family], order, example))
        count[example.family] += 1
    return [example for *_, example in sorted(placed, key=lambda place: place[:2])]


def capped(
    examples: Iterable[Example], shares: Shares, rows: int, before: int, refused: Counter[Reason]
) -> Iterator[Example]:
    """As many as the shares allow beside so many rows."""
    room, own_room = limit(shares.generated, rows) - before, limit(shares.own, rows)
    for example in examples:
        if room <= 0:
            refused[Reason.OVER_SHARE] += 1
        elif example.own and own_room <= 0:
            refused[Reason.OWN] += 1
        else:
            room -= 1
            own_room -= example.own
            yield example


def limit(share: float, rows: int) -> int:
    """How many new rows are at most that share of all, beside so many others."""
    return math.floor(share / (1 - share) * rows + 1e-9)


def count_lines(file: Path) -> int:
    """The lines of a file; 0 where there is none."""
    if not file.is_file():
        return 0
    with file.open("rb") as stream:
        return sum(part.count(b"\n") for part in iter(lambda: stream.read(1 << 20), b""))


def as_lines(examples: Iterable[Example], name: str) -> tuple[str, str]:
    """The examples as lines for the sources `qna` (answers of words) and `pairs` (answers with calls)."""
    plain: list[dict[str, Any]] = []
    chats: list[dict[str, Any]] = []
    for example in examples:
        about = {"generated_by": example.generated_by, "family": example.family, "round": name}
        made = {"made_by": "own-adapter"} if example.own else {}
        if not example.calls:
            plain.append({"input": example.input, "output": example.output, "metadata": about | made})
            continue
        calls = [{"type": "function", "function": {"name": c.name, "arguments": c.arguments}} for c in example.calls]
        answer = {"role": "assistant", "content": example.output, "tool_calls": calls}
        chats.append({"messages": [{"role": "user", "content": example.input}, answer], "metadata": about} | made)
    return _text(plain), _text(chats)


def _text(lines: Iterable[dict[str, Any]]) -> str:
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
