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

    `seconds` is the response time; tokens are None where the backend does not count them. `ran` holds, by the number
    of a Bash call, the script that really ran where a failing command kept a part of it from running.
    """

    answer: str
    results: tuple[str, ...] = ()
    truncated: bool = False
    prompt_tokens: int | None = None
    new_tokens: int | None = None
    seconds: float = 0.0
    ran: dict[int, str] = {}


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
        """Every well-formed call with the number of its step, in the order in which they were issued, as it ran."""
        for number, (step, answer) in enumerate(zip(self.steps, self.answers, strict=True)):
            for index, call in enumerate(answer.calls):
                ran = step.ran.get(index)
                yield number, call if ran is None else Call(call.name, call.arguments | {"command": ran})


@functools.lru_cache(maxsize=4096)
def parse(raw: str) -> Answer:
    """`parse_answer`, remembered: an answer is read when it is played, when it is judged, and when it is shown."""
    return parse_answer(raw)
