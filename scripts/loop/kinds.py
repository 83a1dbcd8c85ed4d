"""What the training rows of a family look like: the rows whose words are most those of its scenarios or tasks.

The scenarios only choose. What goes to the stronger model are rows, which are redacted and share no run of words with
the evaluation; and of families that are held out not even the words are looked at.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.loop.results import family_of

WORD = re.compile(r"[a-z][a-z-]{2,}")
CALL = re.compile(r"<tool_call>\n(.*?)\n</tool_call>", re.DOTALL)
SHOWN = 4  # rows of a kind in one request
LONGEST = 1500  # characters of a question or an answer there


@dataclass(frozen=True)
class Pair:
    """One question with the answer that trains, calls as `<tool_call>` text."""

    question: str
    answer: str


def pairs_of(file: Path) -> Iterator[Pair]:
    """The trained answers of a file of rows, each with the words before it; either form of rows."""
    with file.open("rb") as lines:
        for line in lines:
            row = json.loads(line)
            messages = row.get("conversations") or row.get("messages") or ()
            yield from _pairs(json.loads(messages) if isinstance(messages, str) else messages)


def _pairs(messages: Iterable[Mapping[str, Any]]) -> Iterator[Pair]:
    question = ""
    for message in messages:
        who, text = message.get("from") or message.get("role"), message.get("value") or message.get("content") or ""
        if who in ("human", "user"):
            question = text
        elif who in ("gpt", "assistant") and message.get("train") and question:
            yield Pair(question, "\n".join(filter(None, (text, *_native_calls(message)))))


def _native_calls(message: Mapping[str, Any]) -> Iterator[str]:
    for call in message.get("tool_calls") or ():
        function = call["function"]
        told = json.dumps({"name": function["name"], "arguments": function["arguments"]}, ensure_ascii=False)
        yield f"<tool_call>\n{told}\n</tool_call>"


def of_kind(rows: Iterable[Pair], terms: Mapping[str, float], count: int = SHOWN) -> list[Pair]:
    """The rows nearest to these terms, the nearest first, no question twice."""
    found: dict[str, tuple[float, Pair]] = {}
    for pair in rows:
        score = nearness(f"{pair.question} {pair.answer}", terms)
        if score > 0 and score > found.get(pair.question, (0.0, pair))[0]:
            found[pair.question] = (score, pair)
    best = sorted(found.values(), key=lambda scored: (-scored[0], scored[1].question))
    return [Pair(pair.question[:LONGEST], pair.answer[:LONGEST]) for _, pair in best[:count]]


def nearness(text: str, terms: Mapping[str, float]) -> float:
    """How much of what marks a kind stands in a text; long texts have no advantage."""
    words = set(WORD.findall(text.lower()))
    return sum(terms.get(word, 0.0) for word in words) / math.sqrt(len(words) + 1)


def terms_of(family: str, questions: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """The words that mark a family among the others, each with its weight; of held-out questions none."""
    own: Counter[str] = Counter()
    others: Counter[str] = Counter()
    for one in questions:
        if not one.get("held_out"):
            words = set(WORD.findall(" ".join(strings(one)).lower()))
            (own if family == family_of(one) else others).update(words)
    weights = {word: count / (1 + others[word]) for word, count in own.items()}
    return weights | dict.fromkeys(WORD.findall(family.lower()), 2.0)


def strings(question: Mapping[str, Any]) -> Iterator[str]:
    """What a question asks and its right answer say."""
    told = [question.get("prompt"), question.get("gold_answer"), question.get("messages"), question.get("gold")]
    yield from _strings([part for part in told if part])


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from _strings([part for key, part in value.items() if key not in ("role", "name")])
    elif isinstance(value, list):
        for part in value:
            yield from _strings(part)


def tools_in(rows: Iterable[Pair]) -> frozenset[str]:
    """The tools that trained answers call."""
    return frozenset(name for pair in rows for name in _called(pair.answer))


def _called(answer: str) -> Iterator[str]:
    for text in CALL.findall(answer):
        try:
            name = json.loads(text).get("name")
        except (ValueError, AttributeError):
            continue
        if isinstance(name, str):
            yield name
