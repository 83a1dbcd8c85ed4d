"""What the judge's page can ask about: the tasks of a domain, or the scenarios of a role, each put to a model.

A task is one question and one answer. A scenario is played to its end, with its simulator, and the run is the answer.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from eval.config import EvalConfig
from eval.domain_tasks import TaskFile
from eval.episode import play
from eval.errors import BadInput
from eval.judge_prompt import run_text, task_text
from eval.models import Prompt, Reply
from eval.people.answered import Answered, shown, total
from eval.people.endpoint import Answer, Messages
from eval.render import render_prompt
from eval.rubric_config import RubricConfig
from eval.scenario import PROMPTS, ScenarioFile, instance, known_role, load_scenarios

Ask = Callable[[Messages], Answer]
SEED = 1234


@dataclass(frozen=True)
class Question:
    """One task and how it is put. `asked` is all that the answer depends on, for the hash of a set of questions."""

    id: str
    asked: str
    put: Callable[[Ask], Answered]


def of_tasks(tasks: Sequence[tuple[TaskFile, RubricConfig]]) -> Iterator[Question]:
    """The tasks of the files, with the system prompts of a pack where it has one for the domain."""
    for file, config in tasks:
        system = config.systems.get(file.domain, "")
        for task in file.tasks:
            key = f"{file.domain}/{task.id}"
            yield Question(key, f"{system}\n{task.prompt}", _task(key, task.category, task.prompt, system))


def _task(key: str, kind: str, prompt: str, system: str) -> Callable[[Ask], Answered]:
    first = [{"role": "system", "content": system}] if system else []

    def put(ask: Ask) -> Answered:
        answer = ask([*first, {"role": "user", "content": prompt}])
        costs = (answer.seconds, answer.prompt_tokens, answer.new_tokens, answer.served)
        return Answered(key, kind, key, prompt, shown(answer.text), *costs)

    return put


def of_roles(roles: Sequence[str], config: EvalConfig, folder: Path = PROMPTS) -> Iterator[Question]:
    """The scenarios of the roles, with the values of their first sample."""
    if config.tool_format != "xml":
        raise BadInput(
            f"{config.path} has native calls, which are not played live here; make results with "
            "`python -m eval.role_bench --model URL#MODEL --out DIR` and give both with --results."
        )
    for file in (load_scenarios(known_role(role), folder) for role in dict.fromkeys(roles)):
        yield from _scenarios(file, config.system(file.role))


def _scenarios(file: ScenarioFile, system: str) -> Iterator[Question]:
    for scenario in file.scenarios:
        drawn, _ = instance(scenario, 0, SEED)
        asked = task_text(render_prompt("", drawn.messages, (), {}, "xml").messages[1:])

        def put(ask: Ask, drawn=drawn, asked=asked) -> Answered:  # type: ignore[no-untyped-def]
            answers: list[Answer] = []

            def reply(_: int, prompts: Sequence[Prompt]) -> list[Reply]:
                answers.append(ask([dict(message) for message in prompts[0].messages]))
                return [Reply(answers[-1].text, answers[-1].finish == "length")]

            (run,) = play([drawn], {drawn.role: system}, file.tools, "xml", reply)
            return Answered(
                id=drawn.id,
                kind=drawn.family,
                cluster=f"{drawn.role}/{drawn.family}",
                prompt=asked,
                text=run_text(run.steps),
                seconds=sum(answer.seconds for answer in answers),
                prompt_tokens=total([answer.prompt_tokens for answer in answers]),
                new_tokens=total([answer.new_tokens for answer in answers]),
                served=answers[0].served,
            )

        yield Question(scenario.id, f"{system}\n{file.sha256}\n{asked}", put)
