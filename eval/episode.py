"""Plays scenarios: rounds in which every open episode asks the model once, all of them in one batch.

`play(scenarios, ask)` returns one `Run` per scenario; `ask` gets the prompts of a round. Scripted answers (gold runs,
attacks) play the same way with `rehearse`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from eval.models import Prompt, Reply
from eval.render import Form, render_prompt, said_as_text
from eval.scenario import Scenario
from eval.simulate import World
from eval.transcript import Run, Step, parse

Tools = Mapping[str, Mapping[str, Any]]
NO_CALL_LEFT = "Nothing to do here."


class Episode:
    """One scenario (variables drawn) being played; `open` while another answer is wanted."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self._world = World(scenario.sim)
        self._steps: list[Step] = []
        self.open = True

    def prompt(self, system: str, tools: Tools, form: Form) -> Prompt:
        """What the model is asked next; only the tools that the scenario offers are shown."""
        offered = {name: tools[name] for name in self.scenario.tools}
        return render_prompt(system, self.scenario.messages, self._steps, offered, form)

    def take(self, reply: Reply) -> None:
        """Answers the calls of the reply. A malformed one, one without calls and the last one end the episode."""
        answer = parse(reply.text)
        results = () if answer.flags else tuple(self._world.answer(call) for call in answer.calls)
        costs = (reply.prompt_tokens, reply.new_tokens, reply.seconds)
        ran = {index: result.ran for index, result in enumerate(results) if result.ran is not None}
        self._steps.append(Step(reply.text, tuple(result.text for result in results), reply.truncated, *costs, ran))
        self.open = bool(results) and not self._world.stopped and len(self._steps) < self.scenario.steps

    @property
    def run(self) -> Run:
        """The run so far."""
        return Run(tuple(self._steps), self._world.state, self._world.stopped, self._world.unanswered)


def play(
    scenarios: Sequence[Scenario],
    systems: Mapping[str, str],
    tools: Tools,
    form: Form,
    ask: Callable[[int, Sequence[Prompt]], Sequence[Reply]],
) -> list[Run]:
    """Plays all scenarios; `ask(round, prompts)` answers the open episodes of one round, in order.

    `systems` are the system prompts by role.
    """
    episodes = [Episode(scenario) for scenario in scenarios]
    number = 0
    while waiting := [episode for episode in episodes if episode.open]:
        prompts = [episode.prompt(systems[episode.scenario.role], tools, form) for episode in waiting]
        for episode, reply in zip(waiting, ask(number, prompts), strict=True):
            episode.take(reply)
        number += 1
    return [episode.run for episode in episodes]


def rehearse(scenario: Scenario, answers: Sequence[str]) -> Run:
    """Plays a scenario with these answers; where they run out, the agent says that nothing is left to do."""
    episode = Episode(scenario)
    script = iter(answers)
    while episode.open:
        episode.take(Reply(next(script, NO_CALL_LEFT)))
    return episode.run


def gold_answers(scenario: Scenario) -> list[str]:
    """The right run of a scenario as raw answers."""
    return [said_as_text(said) for said in scenario.gold]
