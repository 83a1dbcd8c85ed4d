"""A model for tests of the evaluation: its answers come from a function, and its facts say what a test wants."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from eval.episode import Episode, gold_answers
from eval.models import Prompt, Reply, Sampling
from eval.scenario import ROLES, instance, load_scenarios, load_tools

SILENT = "Nothing to do here."


class Scripted:
    """`answer(prompt, sampling)` gives the text of each reply."""

    base = None

    def __init__(self, answer: Callable[[Prompt, Sampling], str], **facts: Any) -> None:
        self.facts: dict[str, Any] = {
            "backend": "scripted", "base_model": "b", "adapter": None, "template_sha256": "t", **facts,
        }  # fmt: skip
        self._answer = answer
        self.batches: list[int] = []

    def room(self, prompt: Prompt) -> int | None:
        return None

    def reply(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[Reply]:
        self.batches.append(len(prompts))
        return [Reply(self._answer(prompt, sampling), False, 100, 10, 0.5) for prompt in prompts]


def silent(prompt: Prompt, sampling: Sampling) -> str:
    """The null agent."""
    return SILENT


def golden(samples: int = 1, seed: int = 1234) -> Callable[[Prompt, Sampling], str]:
    """The gold run of every shipped scenario, looked up by what was said so far."""
    script = gold_script(samples, seed)
    return lambda prompt, sampling: script[key(prompt.messages)]


def key(messages: Sequence[Any]) -> str:
    """What was said so far, without the system prompt."""
    return repr([(message["role"], message["content"]) for message in messages[1:]])


@cache
def gold_script(samples: int, seed: int) -> dict[str, str]:
    """Gold answers by what was said before them."""
    script, tools = {}, load_tools()
    for scenario in (one for role in ROLES for one in load_scenarios(role).scenarios):
        for sample in range(samples):
            drawn, _ = instance(scenario, sample, seed)
            episode = Episode(drawn)
            for answer in gold_answers(drawn):
                script[key(episode.prompt("", tools, "xml").messages)] = answer
                episode.take(Reply(answer))
    return script
