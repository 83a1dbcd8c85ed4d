"""The invented life of the packs' walkthrough: what somebody's companion should know, and how it is asked.

A Q&A file knows some kinds of things, the tasks ask for all of them in words that no row has, and what the file leaves
out is what the scripted stronger model can tell.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

# A kind of thing, and where each of them is kept. All are whole words to the tiny base, which knows some 470 of them.
KINDS: Final[dict[str, dict[str, str]]] = {
    "tools": {"hook": "cold table", "flint": "green harbor"},
    "letters": {"seal": "last orchard", "log": "first row"},
    "music": {"charts": "green tree", "pages": "cold quarry"},
    "winter": {"lantern": "high harbor", "ember": "low orchard"},
    "images": {"videos": "first port", "badges": "last table"},
    "taxes": {"ledger": "full harbor", "prices": "green quarry"},
    "orchard": {"seed": "long port", "willow": "high table"},
    "harbor": {"tides": "last tree", "cranes": "full orchard"},
    "trucks": {"clock": "low quarry", "drain": "long table"},
    "tests": {"questions": "first harbor", "answer": "full tree"},
    "mail": {"mailer": "low port", "sling": "high tree"},
    "town": {"signal": "full table", "labels": "cold tree"},
    "work": {"report": "low row", "crew": "last port"},
    "memory": {"branch": "first quarry", "transcript": "high row"},
    "stock": {"topaz": "long row", "docks": "green row"},
}
# What the Q&A file leaves out at first, and the stronger model can tell: all but one kind in the first round.
UNKNOWN_AT_FIRST: Final = ("letters", "winter", "images", "taxes", "orchard", "harbor", "trucks", "stock")
# What no writer of examples hears of.
HELD_OUT: Final = ("music", "tests", "town", "memory")
ROWS: Final = (
    "Where is the {thing}?",
    "I need the {thing} from the {kind}. Where did I put it?",
    "Which place did I choose for the {thing}?",
    "I have lost the {thing}. Can you tell me its place?",
    "Remind me of the {thing}, one of my {kind} things.",
    "Somebody asks for the {thing}. What do I say?",
)
# How the stronger model asks when it is wrong: nobody has heard these questions.
OTHER: Final = (
    "Do you know where the {thing} is?",
    "In which place is the {thing}?",
    "Name the place of the {thing}.",
    "Say where the {thing} is kept.",
    "The {thing}, where is it?",
    "Where do I find the {thing}?",
)
ASKED: Final = "I have lost the {thing}, one of my {kind} things. Can you tell me where it is kept?"
ANSWER: Final = "You keep the {thing} by the {place}."


@dataclass(frozen=True)
class Fact:
    """Where one thing is kept."""

    kind: str
    thing: str
    place: str

    @property
    def answer(self) -> str:
        return ANSWER.format(thing=self.thing, place=self.place)

    def pairs(self, wordings: Sequence[str] = ROWS) -> Iterator[tuple[str, str]]:
        """The question in each wording, with the answer."""
        for words in wordings:
            yield words.format(thing=self.thing, kind=self.kind), self.answer


def facts(kinds: Sequence[str] = tuple(KINDS)) -> list[Fact]:
    return [Fact(kind, thing, place) for kind in kinds for thing, place in KINDS[kind].items()]


def swapped(known: Sequence[Fact]) -> list[Fact]:
    """The same things in each other's places: what a stronger model says that is wrong."""
    return [Fact(one.kind, one.thing, other.place) for one, other in zip(known, (*known[1:], known[0]), strict=True)]


def task(fact: Fact) -> dict[str, Any]:
    """A task of the rubric: right where a sentence names the thing and its place."""
    wrong = [other.place for other in facts((fact.kind,)) if other != fact]
    return {
        "id": f"{fact.kind}-{fact.thing}",
        "category": fact.kind,
        "prompt": ASKED.format(thing=fact.thing, kind=fact.kind),
        "requirements": [{"text": "Says where it is", "says": [[fact.place]]}],
        "facts": [{"id": "place", "says": [[fact.thing, fact.place]]}],
        "wrong": [{"id": f"other-{number}", "says": [[fact.thing, other]]} for number, other in enumerate(wrong)],
        "gold_answer": fact.answer,
        "family": fact.kind,
        "held_out": fact.kind in HELD_OUT,
    }


def qna(known: Sequence[Fact]) -> Iterator[dict[str, Any]]:
    for fact in known:
        for asked, told in fact.pairs():
            yield {"input": asked, "output": told, "metadata": {"kind": fact.kind}}
