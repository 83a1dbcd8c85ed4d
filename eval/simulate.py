"""The scripted world of a scenario: rules answer the model's calls, with a little state; nothing is executed.

A Bash call is read as the simple commands that would surely run; each is answered by the first rule that fits, and
what no rule answers is counted. Filters behind a pipe change nothing: the reader gets the whole reply.
`World(simulator)` is one run of it; `answer(call)` is the text of the result.
"""

from collections import Counter
from collections.abc import Callable
from typing import Annotated

import msgspec

from eval import shell
from eval.answer import Call
from eval.matchers import CallMatcher, matches, matches_command
from eval.programs import FILTERS

State = str | int | bool

SILENT = frozenset({"cd", "pushd", "popd", "true", "false", ":", "export", "set", "sleep", "wait", "exit"})
SAYS = frozenset({"echo", "printf"})


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Answers a call that fits `when` with `reply`, at most `times` times, where the state is as `if_state` says.

    `set` changes the state; `stop` ends the run behind this result (a handoff, the end of a session).
    """

    when: CallMatcher
    reply: str = ""
    times: Annotated[int, msgspec.Meta(ge=1)] | None = None
    if_state: dict[str, State] = {}
    set: dict[str, State] = {}
    stop: bool = False


class Simulator(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The rules, first match first, the state at the start, and what anything else is answered with."""

    rules: tuple[Rule, ...] = ()
    state: dict[str, State] = {}
    otherwise: str = "error: not available in this exercise"


class World:
    """One run of a simulator: its state, and how many commands found no rule."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self._used: Counter[int] = Counter()
        self.state: dict[str, State] = dict(simulator.state)
        self.unanswered = 0
        self.stopped = False

    def answer(self, call: Call) -> str:
        """The result of one call, as the tool would print it."""
        if (whole := self._apply(lambda rule: not rule.when.about_commands and matches(rule.when, call))) is not None:
            return whole
        script = call.arguments.get("command") if call.name == "Bash" else None
        if not isinstance(script, str):
            return self._nobody()
        said = [self._run(call, command) for command in shell.commands(script) if command.certain]
        return "\n".join(text for text in said if text) if said else self._nobody()

    def _run(self, call: Call, command: shell.Command) -> str:
        """What one command prints where the reader sees it."""
        found = self._apply(lambda rule: rule.when.about_commands and matches_command(rule.when, call, command))
        said = self._without_rule(command) if found is None else found
        return "" if command.muted else said

    def _without_rule(self, command: shell.Command) -> str:
        if command.program in SAYS:
            return " ".join(command.words[1:])
        silent = command.program in SILENT or (command.piped and command.program in FILTERS)
        return "" if silent else self._nobody()

    def _apply(self, fits: Callable[[Rule], bool]) -> str | None:
        for index, rule in enumerate(self._simulator.rules):
            open_still = rule.times is None or self._used[index] < rule.times
            if open_still and fits(rule) and _holds(rule.if_state, self.state):
                self._used[index] += 1
                self.state |= rule.set
                self.stopped = self.stopped or rule.stop
                return rule.reply
        return None

    def _nobody(self) -> str:
        self.unanswered += 1
        return self._simulator.otherwise


def _holds(wanted: dict[str, State], state: dict[str, State]) -> bool:
    """Whether the state is as wanted; 1 is not true."""
    return all(
        key in state and type(state[key]) is type(value) and state[key] == value for key, value in wanted.items()
    )
