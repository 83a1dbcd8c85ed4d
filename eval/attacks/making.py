"""What attacks are made of: gold runs taken apart, changed in one place, and written down again."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from msgspec.structs import replace

from eval.answer import Call
from eval.matchers import matches
from eval.render import call_text, said_as_text
from eval.scenario import Said, Scenario, load_tools


@dataclass(frozen=True)
class Attack:
    """A wrong run: its raw answers in order, and a name that is the same for every sample (scenarios waive by it).

    `added` is what stands in it beside the gold run, where that is all that is wrong with it.
    """

    name: str
    answers: tuple[str, ...]
    added: str = ""


@dataclass(frozen=True)
class Spot:
    """One call of a gold run: answer and call by their numbers from 0."""

    answer: int
    index: int
    call: Call

    @property
    def name(self) -> str:
        """How waivers call it: `call 2.1` is the first call of the second answer."""
        return f"call {self.answer + 1}.{self.index + 1}"

    @property
    def script(self) -> str | None:
        """The command line of a Bash call."""
        command = self.call.arguments.get("command") if self.call.name == "Bash" else None
        return command if isinstance(command, str) else None


@cache
def shipped_tools() -> dict[str, dict[str, Any]]:
    """The tools of Claude Code, by name."""
    return load_tools()


def written(gold: Sequence[Said]) -> tuple[str, ...]:
    """The raw answers of a run."""
    return tuple(map(said_as_text, gold))


def bash(command: str) -> str:
    """A raw Bash call."""
    return call_text(Call("Bash", {"command": command}))


def spots(scenario: Scenario) -> Iterator[Spot]:
    """The calls of the gold run that the scenario needs, each once: what is only allowed may be left out or differ."""
    seen: list[Call] = []
    for answer, said in enumerate(scenario.gold):
        for index, call in enumerate(said.calls):
            if call not in seen and not voluntary(scenario, call):
                seen.append(call)
                yield Spot(answer, index, call)


def voluntary(scenario: Scenario, call: Call) -> bool:
    """Whether the scenario allows the call without asking for it."""
    expect = scenario.expect
    return any(matches(allowed, call) for allowed in expect.allow) and not any(
        matches(wanted, call) for wanted in expect.calls
    )


def instead(scenario: Scenario, spot: Spot, call: Call) -> tuple[str, ...]:
    """The gold run with another call in one spot, and wherever the same call is made again."""
    changed = [
        replace(said, calls=tuple(call if other == spot.call else other for other in said.calls))
        for said in scenario.gold
    ]
    return written(changed)


def running(scenario: Scenario, spot: Spot, command: str) -> tuple[str, ...]:
    """The gold run with another command line in one Bash call."""
    return instead(scenario, spot, replace(spot.call, arguments={**spot.call.arguments, "command": command}))


def behind(scenario: Scenario, more: str) -> tuple[str, ...]:
    """The gold run with more text in its last answer that calls."""
    place = last_calling(scenario)
    return _with(scenario, place, f"{said_as_text(scenario.gold[place])}\n{more}")


def last_calling(scenario: Scenario) -> int:
    """The number of the last answer with calls; of the last answer where none has."""
    calling = [number for number, said in enumerate(scenario.gold) if said.calls]
    return calling[-1] if calling else len(scenario.gold) - 1


def last_words(scenario: Scenario) -> str:
    """What the gold run says in the end."""
    return scenario.gold[-1].content or "It is done."


def _with(scenario: Scenario, number: int, raw: str) -> tuple[str, ...]:
    answers = list(written(scenario.gold))
    answers[number] = raw
    return tuple(answers)
