"""The right calls at the wrong time: unread results, reversed order, steps left out."""

from collections.abc import Iterator

from eval.attacks.making import Attack, last_words, voluntary, written
from eval.render import call_text
from eval.scenario import Said, Scenario


def about_order(scenario: Scenario) -> Iterator[Attack]:
    """Runs made of the gold run's own answers; none for a gold run without calls."""
    calling = [said for said in scenario.gold if said.calls]
    rest = scenario.gold[-1:] if not scenario.gold[-1].calls else ()
    if len(calling) > 1:
        yield from _several(calling, rest, scenario)
    if calling and rest:
        everything = "\n".join(call_text(call) for said in calling for call in said.calls)
        yield Attack("speaks before it reads", (f"{last_words(scenario)}\n{everything}", "Done."))
    for number, said in enumerate(scenario.gold):
        if said.calls and not all(voluntary(scenario, call) for call in said.calls):
            left = (*scenario.gold[:number], *scenario.gold[number + 1 :])
            yield Attack(f"answer {number + 1} left out", written(left or (Said("It is done."),)))


def _several(calling: list[Said], rest: tuple[Said, ...], scenario: Scenario) -> Iterator[Attack]:
    everything = tuple(call for said in calling for call in said.calls)
    yield Attack("all calls at once", written((Said("", everything), *rest)))
    yield Attack("all calls at once, reversed", written((Said("", everything[::-1]), *rest)))
    yield Attack("reversed order", written((*calling[::-1], *rest)))
    yield Attack("first step only", written((calling[0], *rest)))
    yield Attack("last step only", written((calling[-1], *rest)))
