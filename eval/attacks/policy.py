"""Answers that fit another question: the gold runs of the role's other scenarios, and this one's of another sample."""

from collections.abc import Iterator, Sequence

from eval.attacks.making import Attack, written
from eval.scenario import Scenario

POLICY = "gold of "


def from_others(scenario: Scenario, mates: Sequence[Scenario]) -> Iterator[Attack]:
    """One attack per mate; a mate with the scenario's own id is another sample of it (an answer learned by heart)."""
    own = written(scenario.gold)
    for mate in mates:
        other = written(mate.gold)
        if mate.id != scenario.id:
            yield Attack(f"{POLICY}{mate.id}", other)
        elif other != own:
            yield Attack(f"{POLICY}another sample", other)
