"""Two sets of answers put against each other: the tasks that both answered, and in which order they are shown.

The order of each task is drawn from the seed and from what is compared, and says nothing of who answered.
"""

import random
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from eval.errors import BadInput, sha256
from eval.people.answered import Answered, Answers
from eval.people.endpoint import Side

Choice = Literal["first", "second", "tie", "skip"]
CHOICES: tuple[Choice, ...] = ("first", "second", "tie", "skip")


@dataclass(frozen=True)
class Pairing:
    """One task with both answers; `first` is the side whose answer is shown first."""

    local: Answered
    strong: Answered
    first: Side

    @property
    def id(self) -> str:
        return self.local.id

    @property
    def same(self) -> bool:
        """Both answered the same: there is nothing to vote on, and it counts as a tie."""
        return self.local.text == self.strong.text

    @property
    def texts(self) -> tuple[str, str]:
        """The answers in the order in which they are shown."""
        sides = (self.local.text, self.strong.text)
        return sides if self.first is Side.LOCAL else (sides[1], sides[0])


@dataclass(frozen=True)
class Match:
    """Two models on the same tasks, in the order in which they are shown; the id changes with any answer."""

    id: str
    local: str
    strong: str
    seed: int
    pairings: tuple[Pairing, ...]

    @property
    def open(self) -> tuple[Pairing, ...]:
        """The tasks on which people vote."""
        return tuple(pairing for pairing in self.pairings if not pairing.same)


def make_match(local: Answers, strong: Answers, seed: int) -> Match:
    """The tasks that both sides answered. Raises BadInput where they were asked different things."""
    both = sorted(local.by_task.keys() & strong.by_task.keys())
    if not both:
        raise BadInput("the two results have no task in common; there is nothing to judge.")
    pairs = [(local.by_task[key], strong.by_task[key]) for key in both]
    for one, other in pairs:
        if one.prompt != other.prompt:
            raise BadInput(f"the two sides were asked different things at {one.id}; run both again with equal options.")
    name = sha256(*_parts(local.model, (one for one, _ in pairs)), *_parts(strong.model, (one for _, one in pairs)))[
        :16
    ]
    pairings = [Pairing(one, other, _first(one, other, seed)) for one, other in pairs]
    random.Random(f"{seed}/tasks").shuffle(pairings)
    return Match(name, local.model, strong.model, seed, tuple(pairings))


def _first(local: Answered, strong: Answered, seed: int) -> Side:
    """A coin that knows the two texts, and not whose they are: the same two are shown in the same order whoever wrote
    them.
    """
    low, high = sorted((local.text, strong.text))
    coin = random.Random(sha256(str(seed).encode(), local.id.encode(), low.encode(), high.encode())).random() < 0.5
    return Side.LOCAL if (local.text == low) == coin else Side.STRONG


def _parts(model: str, answers: Iterable[Answered]) -> Iterable[bytes]:
    yield model.encode()
    for answer in answers:
        yield from (answer.id.encode(), answer.prompt.encode(), answer.text.encode())
