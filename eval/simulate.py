"""The scripted world of a scenario: rules answer the model's calls, with a little state; nothing is executed.

A Bash call is read as the simple commands that would surely run; each is answered by the first rule that fits, and
what no rule answers is counted. Behind `&&` nothing runs where a rule says that the command fails. Filters behind a
pipe change nothing: the reader gets the whole reply. `World(simulator)` is one run of it; `answer(call)` is the result.
"""

import shlex
from collections import Counter
from collections.abc import Callable, Sequence
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

    `set` changes the state; `fails`: the command ends with an error; `stop` ends the run behind this result (a handoff,
    the end of a session).
    """

    when: CallMatcher
    reply: str = ""
    times: Annotated[int, msgspec.Meta(ge=1)] | None = None
    if_state: dict[str, State] = {}
    set: dict[str, State] = {}
    fails: bool = False
    stop: bool = False


class Result(msgspec.Struct, frozen=True):
    """What a call printed; `ran` is what really ran of a script where a failing command kept the rest from running."""

    text: str
    ran: str | None = None


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

    def answer(self, call: Call) -> Result:
        """The result of one call, as the tool would print it."""
        whole = self._apply(lambda rule: not rule.when.about_commands and matches(rule.when, call))
        if whole is not None:
            return Result(whole.reply)
        script = call.arguments.get("command") if call.name == "Bash" else None
        if not isinstance(script, str):
            return Result(self._nobody())
        return self._run_script(call, shell.commands(script))

    def _run_script(self, call: Call, commands: Sequence[shell.Command]) -> Result:
        said, ran, failed = [], [], False
        for command in (command for command in commands if command.certain):
            if command.chained and failed:
                continue
            text, failed = self._run(call, command)
            said.append(text)
            ran.append(command)
        text = "\n".join(text for text in said if text) if said else self._nobody()
        return Result(text, script_of(ran) if len(ran) < len(commands) and is_plain(commands) else None)

    def _run(self, call: Call, command: shell.Command) -> tuple[str, bool]:
        """What one command prints where the reader sees it, and whether it fails."""
        found = self._apply(lambda rule: rule.when.about_commands and matches_command(rule.when, call, command))
        said = self._without_rule(command) if found is None else found.reply
        return "" if command.muted else said, found is not None and found.fails

    def _without_rule(self, command: shell.Command) -> str:
        if command.program in SAYS:
            return " ".join(command.words[1:])
        silent = command.program in SILENT or (command.piped and command.program in FILTERS)
        return "" if silent else self._nobody()

    def _apply(self, fits: Callable[[Rule], bool]) -> Rule | None:
        for index, rule in enumerate(self._simulator.rules):
            open_still = rule.times is None or self._used[index] < rule.times
            if open_still and fits(rule) and _holds(rule.if_state, self.state):
                self._used[index] += 1
                self.state |= rule.set
                self.stopped = self.stopped or rule.stop
                return rule
        return None

    def _nobody(self) -> str:
        self.unanswered += bool(self._simulator.rules)  # without a rule there is no world to know the command
        return self._simulator.otherwise


def is_plain(commands: Sequence[shell.Command]) -> bool:
    """Whether all of a script surely runs in its order unless something fails, so that a part of it can be told."""
    return all(command.certain and not command.writes for command in commands)


def script_of(commands: Sequence[shell.Command]) -> str:
    """The commands as a script again."""
    words = [(" | " if command.piped else "; ") + shlex.join(command.words) for command in commands]
    return "".join(words)[2:]


def _holds(wanted: dict[str, State], state: dict[str, State]) -> bool:
    """Whether the state is as wanted; 1 is not true."""
    return all(
        key in state and type(state[key]) is type(value) and state[key] == value for key, value in wanted.items()
    )
