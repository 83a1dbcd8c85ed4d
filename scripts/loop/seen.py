"""What examples may not repeat: the evaluation's scenarios and tasks, and the rows that are there already.

`Evaluation(plan)` finds texts that share words with a question of the evaluation, held out or not; `known(...)` finds
questions that a dataset has.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from scripts.loop.kinds import pairs_of, strings
from scripts.loop.plan import Plan
from scripts.loop.results import questions_of

WORD = re.compile(r"\w+")
DRAWN = re.compile(r"\{\{\w+\}\}")
DRAWN_HERE = "{}"
ANY = r"\w+(?: \w+){0,5}"  # a drawn value: `pe-812`, a path


class Evaluation:
    """Every question that evaluation asks, with its right answers."""

    def __init__(self, plan: Plan) -> None:
        from data.transform.overlap import finder, runs_of

        rules = plan.settings.curation
        items = questions_of(plan)
        runs = {run: str(one["id"]) for one in items for run in runs_of(_scenario(one), rules.words)}
        self._find, self._likeness = finder(runs), rules.likeness
        self._templates = Templates((text for one in items for text in strings(one)), rules.words)
        asked = [text for one in items for text in _asked(one)]
        self._questions = sorted({words(text) for text in asked if not DRAWN.search(text)})
        self._patterns = [_pattern(text) for text in asked if DRAWN.search(text)]

    def shares_words(self, *texts: str) -> bool:
        """Whether one of the texts has a run of words in common with a scenario or task."""
        return bool(self._find(texts)) or any(map(self._templates.found_in, texts))

    def asks(self, question: str) -> bool:
        """Whether evaluation asks this, or nearly this."""
        told = words(question)
        return nearest(told, self._questions, self._likeness) or any(p.fullmatch(told) for p in self._patterns)


class Templates:
    """Runs of words in texts whose `{{name}}` may be anything: the pipeline's own check ends a run there."""

    def __init__(self, texts: Iterable[str], size: int) -> None:
        self._by_phrase: dict[str, set[str]] = {}
        for text in texts:
            tokens = _tokens(text)
            for at in range(len(tokens) - size + 1):
                self._add(tokens[at : at + size])

    def found_in(self, text: str) -> bool:
        """Whether one of the runs stands in a text."""
        told = words(text)
        return any(re.search(pattern, told) for phrase in _phrases(told.split()) for pattern in self._of(phrase))

    def _of(self, phrase: str) -> Iterable[str]:
        return self._by_phrase.get(phrase, ())

    def _add(self, run: Sequence[str]) -> None:
        """A run is looked for where its first phrase without a drawn value stands."""
        pattern = r"\b" + " ".join(ANY if token == DRAWN_HERE else re.escape(token) for token in run) + r"\b"
        if phrase := next((phrase for phrase in _phrases(run) if DRAWN_HERE not in phrase), None):
            self._by_phrase.setdefault(phrase, set()).add(pattern)


def _phrases(told: Sequence[str]) -> Iterator[str]:
    return (" ".join(told[at : at + 3]) for at in range(len(told) - 2))


def _tokens(text: str) -> list[str]:
    """The words of a text, with one sign for each value that is drawn."""
    first, *parts = DRAWN.split(text)
    found = words(first).split()
    for part in parts:
        found += [DRAWN_HERE, *words(part).split()]
    return found


def _scenario(one: dict[str, Any]) -> Any:
    from data.transform.overlap import Scenario, Turn

    if "gold_answer" not in one:
        return msgspec.convert(one, Scenario, strict=False)
    return Scenario(one["id"], (Turn("user", one["prompt"]),), (Turn("assistant", one["gold_answer"]),))


def _asked(one: dict[str, Any]) -> list[str]:
    """What a person says in a scenario or task."""
    said = [m["content"] for m in one.get("messages", ()) if m["role"] == "user"]
    return said or [one["prompt"]]


def _pattern(text: str) -> re.Pattern[str]:
    """A question whose `{{name}}` may be anything."""
    parts = [re.escape(words(part)) for part in DRAWN.split(text)]
    return re.compile(r"\s?" + r"\s?\S.{0,60}?\s?".join(parts) + r"\s?")


def words(text: str) -> str:
    """The words of a text in lower case with one space between them."""
    return " ".join(WORD.findall(text.lower()))


def nearest(told: str, others: Sequence[str], likeness: float) -> bool:
    """Whether one of the others is that like."""
    from rapidfuzz import fuzz, process

    return process.extractOne(told, others, scorer=fuzz.ratio, score_cutoff=100 * likeness) is not None


def known(questions: Iterable[str], files: Iterable[Path], likeness: float) -> set[str]:
    """The questions that files of rows ask already, or nearly so. Rows pass by once."""
    from rapidfuzz import fuzz, process

    waiting = {words(question): question for question in questions}
    found: set[str] = set()
    for file in files:
        for pair in pairs_of(file):
            told = words(pair.question)
            hits = process.extract_iter(told, list(waiting), scorer=fuzz.ratio, score_cutoff=100 * likeness)
            for hit in [text for text, *_ in hits]:
                found.add(waiting.pop(hit))
            if not waiting:
                return found
    return found
