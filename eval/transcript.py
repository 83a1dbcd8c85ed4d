"""The record of one run of a scenario: each answer as the model wrote it, the results it got, and the end state.

`Run` is what is judged, stored and read again; eval.episode makes it, eval.score judges it.
"""

import functools
from collections.abc import Iterator

import msgspec

from eval.answer import Answer, Call, parse_answer
from eval.simulate import State


class Step(msgspec.Struct, frozen=True):
    """One answer, the results of its calls in order, and what it cost.

    `seconds` is the response time; tokens are None where the backend does not count them.
    """

    answer: str
    results: tuple[str, ...] = ()
    truncated: bool = False
    prompt_tokens: int | None = None
    new_tokens: int | None = None
    seconds: float = 0.0


class Run(msgspec.Struct, frozen=True):
    """A whole run: its steps, the simulator's state at the end, and how it ended.

    `stopped`: a rule ended it; `unanswered`: commands that no rule of the simulator knew.
    """

    steps: tuple[Step, ...]
    state: dict[str, State] = {}
    stopped: bool = False
    unanswered: int = 0

    @property
    def answers(self) -> tuple[Answer, ...]:
        """The parsed answers in order."""
        return tuple(parse(step.answer) for step in self.steps)

    def calls(self) -> Iterator[tuple[int, Call]]:
        """Every well-formed call with the number of its step, in the order in which they were issued."""
        for number, answer in enumerate(self.answers):
            yield from ((number, call) for call in answer.calls)


@functools.lru_cache(maxsize=4096)
def parse(raw: str) -> Answer:
    """`parse_answer`, remembered: an answer is read when it is played, when it is judged, and when it is shown."""
    return parse_answer(raw)
