"""The adversarial battery of role_bench: wrong runs made from a scenario, each of which must fail.

`attacks(instance, system, mates)` yields them; `python -m eval.lint` plays them all. A negated text is out of reach.
"""

from collections.abc import Iterator, Mapping, Sequence

from eval.attacks.arguments import wrong_arguments
from eval.attacks.disguise import disguised
from eval.attacks.excess import too_much
from eval.attacks.form import about_form
from eval.attacks.making import Attack
from eval.attacks.order import about_order
from eval.attacks.policy import POLICY, from_others
from eval.attacks.prompt import NULL, from_prompt
from eval.scenario import Scenario
from eval.variables import Choices

__all__ = ["NULL", "POLICY", "Attack", "attacks"]


def attacks(
    instance: Scenario, system: str, mates: Sequence[Scenario], choices: Mapping[str, Choices] | None = None
) -> Iterator[Attack]:
    """Every wrong run that applies to a scenario whose variables are drawn.

    `mates` are drawn scenarios of the same role; `choices` are the scenario's `vars`, of which the instance knows
    only what was drawn.
    """
    yield from from_prompt(instance, system, choices or {})
    yield from about_form(instance)
    yield from about_order(instance)
    yield from wrong_arguments(instance)
    yield from disguised(instance)
    yield from too_much(instance)
    yield from from_others(instance, mates)
