"""The parts of the rubric that read prose: structure, coverage of authored facts, completeness.

Everything stands on real sentences: seven words or more, English in form, new, and not taken from the task. So a list
of keywords, repeated filler and the prompt itself earn nothing. Coverage is not correctness: it finds words, not truth.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from eval.domain_tasks import Requirement, Statement
from eval.pairing import most_pairs
from eval.sentences import Passage, Sentence
from eval.statements import denies, mentions, reports_a_belief, states

# Measured on the gold answers: a good answer may have 60 % of a gold's words, and three times as many.
ENOUGH_OF_GOLD, TOO_MUCH_OF_GOLD = 0.6, 3.0
REQUIREMENTS_PER_SENTENCE = 2
# Where the gold answer asks its reader something, up to so many times as many questions are no fragments.
QUESTIONS_OF_GOLD = 2


@dataclass(frozen=True)
class Measured:
    """A part in 0..1, or None where it cannot be measured, and why in a few words."""

    value: float | None
    explanation: str


def structure_of_prose(answer: Passage, gold: Passage) -> Measured:
    """Length, times the mean of the share of real sentences and of sections; all against the gold answer."""
    words, wanted = answer.words, gold.words
    length = min(1.0, words / (ENOUGH_OF_GOLD * wanted))
    if words > TOO_MUCH_OF_GOLD * wanted:
        length = TOO_MUCH_OF_GOLD * wanted / words
    asked = min(len(answer.questions), QUESTIONS_OF_GOLD * len(gold.questions))
    share = len(answer.real) / max(1, answer.fragments - asked)
    sections = min(1.0, len(answer.sections) / len(gold.sections))
    said = f"{len(answer.real)} real sentences of {answer.fragments}, {words} words, {len(answer.sections)} sections"
    return Measured(length * (share + sections) / 2, said)


def coverage_of(answer: Passage, facts: Sequence[Statement], wrong: Sequence[Statement]) -> Measured:
    """Share of the facts that real sentences state, one fact a sentence, less what is wrong.

    Wrong are the authored wrong statements, in any sentence, and facts that are only denied.
    """
    stated = _served([[i for i, s in enumerate(answer.real) if states(s.text, fact.says)] for fact in facts])
    said = [sentence.text for sentence in answer.said if not reports_a_belief(sentence.text)]
    errors = [error.id for error in wrong if any(states(text, error.says) for text in said)]
    denied = [
        f"{fact.id} denied"
        for index, fact in enumerate(facts)
        if index not in stated and any(denies(sentence.text, fact.says) for sentence in answer.said)
    ]
    faults = [*errors, *denied]
    value = max(0.0, (len(stated) - len(faults)) / len(facts))
    return Measured(value, _counted("facts", facts, stated) + (f", wrong: {', '.join(faults)}" if faults else ""))


def completeness_of(answer: Passage, requirements: Sequence[Requirement]) -> Measured:
    """Share of the measurable requirements that are met, two of them at most in one sentence or question."""
    measured = [requirement for requirement in requirements if requirement.says or requirement.asks]
    if not measured:
        return Measured(None, "no requirement can be measured")
    sentences = (*answer.real, *answer.questions)
    places = [sentence for sentence in sentences for _ in range(REQUIREMENTS_PER_SENTENCE)]
    met = _served([[i for i, s in enumerate(places) if _meets(s, requirement)] for requirement in measured])
    missing = [f'"{item.text}"' for index, item in enumerate(measured) if index not in met]
    said = f"{len(met)} of {len(measured)} requirements" + (f", missing {', '.join(missing)}" if missing else "")
    return Measured(len(met) / len(measured), said)


def _meets(sentence: Sentence, requirement: Requirement) -> bool:
    if sentence.asks:
        return bool(requirement.asks) and mentions(sentence.text, requirement.asks)
    return states(sentence.text, requirement.says)


def _counted(noun: str, items: Sequence[Statement], found: set[int]) -> str:
    missing = [item.id for index, item in enumerate(items) if index not in found]
    return f"{len(found)} of {len(items)} {noun}" + (f", missing {', '.join(missing)}" if missing else "")


def _served(fits: Sequence[Sequence[int]]) -> set[int]:
    """The items that get a place of their own, where each item lists the places that fit it."""
    return set(most_pairs(fits).values())
