"""The scenarios of role_bench as tasks of the plain lm-eval command line, beside gsm8k and ifeval.

`lm_eval --model hf --model_args pretrained=BASE,peft=ADAPTER --tasks role_bench --include_path eval/lm_tasks
--apply_chat_template --log_samples --output_path DIR`. lm-eval asks once per document, so a document is one step of a
scenario's right run: the steps before it are given with their results, the model answers, the right run goes on, and
the document passes when the whole run does. That is stricter than role_bench on detours and easier on memory; scenarios
of one step are the same in both. What lm-eval does in silence stays: `hf` strips special tokens and cuts long prompts.
"""

import functools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
from lm_eval.api.task import ConfigurableTask

from eval.config import load_config
from eval.episode import gold_answers, rehearse
from eval.render import render_prompt
from eval.scenario import Role, Scenario, ScenarioFile, instance, known_role, load_scenarios
from eval.score import score_run

CONFIG = Path(__file__).resolve().parents[2] / "configs" / "data.yml"
SEED = 1234  # of the variables, as in role_bench
METRICS = ("pass", "partial")  # lm-eval 0.4.11 loses a metric named score from its groups
LIMITS = {"until": [], "max_gen_toks": 512, "do_sample": False, "temperature": 0.0}

Doc = Mapping[str, str]
"""What lm-eval hands around: one column, `step`, with JSON text, because scenarios have no common Arrow schema."""


@dataclass(frozen=True)
class Step:
    """One answer of a scenario's right run, counted from 0; the scenario's variables are drawn."""

    scenario: Scenario
    number: int

    @property
    def gold(self) -> str:
        """What is right here."""
        return gold_answers(self.scenario)[self.number]

    def messages(self, system: str) -> list[dict[str, Any]]:
        """The conversation up to this answer, the system prompt first."""
        done = rehearse(self.scenario, gold_answers(self.scenario)).steps[: self.number]
        return [dict(message) for message in render_prompt(system, self.scenario.messages, done, {}, "xml").messages]

    def judge(self, answer: str, tools: Mapping[str, dict[str, Any]]) -> dict[str, float]:
        """The metrics of the right run with this answer in it."""
        answers = gold_answers(self.scenario)
        answers[self.number] = answer
        score = score_run(self.scenario, rehearse(self.scenario, answers), tools)
        return {"pass": float(score.passed), "partial": score.partial}


class RoleBench(ConfigurableTask):  # type: ignore[misc]
    """One role; `dataset_name` in its YAML file says which. It needs a chat template."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        metrics = [{"metric": name, "aggregation": "mean", "higher_is_better": True} for name in METRICS]
        fixed = {
            "test_split": "test",
            "output_type": "generate_until",
            "generation_kwargs": dict(LIMITS),
            "metric_list": metrics,
            "process_results": judge_answer,
            "num_fewshot": 0,
        }
        super().__init__(config={key: value for key, value in config.items() if key != "class"} | fixed)

    def download(self, *_: Any, **__: Any) -> None:
        """The steps of all scenarios of the role, from this repository."""
        role = known_role(self.config.dataset_name)
        steps = [json.dumps({"role": role, "id": key, "step": number}) for key, number in steps_of(role)]
        self.dataset = datasets.DatasetDict({"test": datasets.Dataset.from_dict({"step": steps})})

    def fewshot_context(self, doc: Doc, num_fewshot: int, **options: Any) -> str:
        """The prompt through the model's own chat template, the role's system prompt first."""
        template: Callable[..., str] | None = options.get("chat_template")
        if not options.get("apply_chat_template") or template is None:
            raise ValueError("role_bench asks chat models: add --apply_chat_template.")
        if options.get("system_instruction"):
            raise ValueError("scenarios bring their role's system prompt: leave out --system_instruction.")
        system = load_system(json.loads(doc["step"])["role"])
        prompt = template(find_step(doc).messages(system), add_generation_prompt=True)
        # lm-eval asks a second time without the system message where the template does not take one.
        if isinstance(prompt, str) and system.splitlines()[0] not in prompt:
            raise ValueError("the chat template drops the system prompt: give the model one that shows it.")
        return prompt

    def doc_to_text(self, doc: Doc, doc_to_text: object = None) -> str:
        """The last message before the answer, for the logs."""
        return str(find_step(doc).messages("")[-1]["content"])

    def doc_to_target(self, doc: Doc, doc_to_target: object = None) -> str:
        """The right answer, for the logs."""
        return find_step(doc).gold


def judge_answer(doc: Doc, results: Sequence[str]) -> dict[str, float]:
    """The metrics of one document: whether the right run passes with the model's answer in it."""
    return find_step(doc).judge(results[0], _file(json.loads(doc["step"])["role"]).tools)


def steps_of(role: Role) -> Iterator[tuple[str, int]]:
    """The scenarios' ids, each with the numbers of its answers."""
    for key, scenario in _drawn(role).items():
        yield from ((key, number) for number in range(len(scenario.gold)))


def find_step(doc: Doc) -> Step:
    """The step that a document names."""
    named = json.loads(doc["step"])
    return Step(_drawn(named["role"])[named["id"]], named["step"])


@functools.cache
def load_system(role: Role) -> str:
    """The role's system prompt. Raises ValueError where the rows hold calls in a form that lm-eval cannot show."""
    config = load_config(CONFIG)
    if config.tool_format != "xml":
        raise ValueError("lm-eval hands no tools to a chat template: with tool_format native use eval.role_bench.")
    return config.system(role)


@functools.cache
def _drawn(role: Role) -> dict[str, Scenario]:
    return {scenario.id: instance(scenario, 0, SEED)[0] for scenario in _file(role).scenarios}


@functools.cache
def _file(role: Role) -> ScenarioFile:
    return load_scenarios(role)
