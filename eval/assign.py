"""Which call of a run serves which required one, and in what order they came.

A call, or a simple command of a Bash call, serves one requirement at most. The assignment is a maximum matching, so
that a broad matcher never takes the only call that a narrow one could have had.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from eval import shell
from eval.answer import Call
from eval.expect import Wanted
from eval.matchers import CallMatcher, matches, matches_command
from eval.pairing import most_pairs

Place = tuple[int, int]
"""Position in the run and number of the step of one call or command."""


@dataclass(frozen=True)
class Unit:
    """What can serve a requirement: a call as a whole, or one command that a Bash call surely runs."""

    step: int
    call: Call
    command: shell.Command | None = None

    def serves(self, wanted: CallMatcher) -> bool:
        """Whether this is the wanted call, or the wanted command."""
        if self.command is None:
            return not wanted.about_commands and matches(wanted, self.call)
        return wanted.about_commands and matches_command(wanted, self.call, self.command)


def units(calls: Sequence[tuple[int, Call]]) -> Iterator[Unit]:
    """The units of a run in the order in which they run."""
    for step, call in calls:
        yield Unit(step, call)
        script = call.arguments.get("command") if call.name == "Bash" else None
        if isinstance(script, str):
            yield from (Unit(step, call, command) for command in shell.commands(script) if command.certain)


def assign(wanted: Sequence[Wanted], calls: Sequence[tuple[int, Call]]) -> dict[int, tuple[Place, ...]]:
    """For each required call the places of those that serve it; what is left over goes to the first it fits."""
    found = list(units(calls))
    fits = [[position for position, unit in enumerate(found) if unit.serves(want)] for want in wanted]
    slots = [index for index, want in enumerate(wanted) for _ in range(want.min)]
    owner = {place: slots[slot] for place, slot in most_pairs([fits[index] for index in slots]).items()}
    for index, positions in enumerate(fits):
        for position in positions:
            owner.setdefault(position, index)
    return {
        index: tuple((position, found[position].step) for position in sorted(owner) if owner[position] == index)
        for index in range(len(wanted))
    }


def before(first: Sequence[Place], second: Sequence[Place]) -> bool:
    """Whether some first call was issued before every second one, and both were made."""
    return bool(first and second) and first[0] < second[0]


def seen_before(first: Sequence[Place], second: Sequence[Place]) -> bool:
    """Whether the result of a first call was seen (in an earlier step) before any second one was issued."""
    return bool(first and second) and first[0][1] < second[0][1]
