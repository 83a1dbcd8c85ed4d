"""Answers that fit another question: the gold runs of the role's other scenarios, and this one's of another sample."""

from collections.abc import Iterator, Sequence

from eval.answer import Call
from eval.attacks.making import Attack, written
from eval.scenario import Scenario

POLICY = "gold of "


def from_others(scenario: Scenario, mates: Sequence[Scenario]) -> Iterator[Attack]:
    """One attack per mate; a mate with the scenario's own id is another sample of it (an answer learned by heart).

    A mate that drew the same values and makes the same calls is right by luck, and no attack.
    """
    own, calls = written(scenario.gold), _calls(scenario, scenario.steps)
    for mate in mates:
        other = written(mate.gold)
        if mate.id == scenario.id and other != own:
            yield Attack(f"{POLICY}another sample", other)
        elif mate.id != scenario.id and not (calls and _calls(mate, scenario.steps) == calls):
            yield Attack(f"{POLICY}{mate.id}", other)


def _calls(scenario: Scenario, steps: int) -> list[Call]:
    return [call for said in scenario.gold[:steps] for call in said.calls]
