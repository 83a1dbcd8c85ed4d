"""role_bench as tasks of lm-eval: the same scenarios, step by step, through lm-eval's own evaluator."""

from __future__ import annotations

import importlib.util
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import yaml

from eval.config import load_config
from eval.episode import gold_answers, rehearse
from eval.scenario import ROLES, instance, load_scenarios
from eval.score import score_run
from tests.conftest import ROOT

HAS_LM_EVAL = importlib.util.find_spec("lm_eval") is not None
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not HAS_LM_EVAL, reason="needs requirements-gpu.txt")]

FOLDER = ROOT / "eval" / "lm_tasks"
WAITS = "I wait."


def evaluate(answer: Callable[[Any], str], *tasks: str, template: bool = True, **options: Any) -> dict[str, Any]:
    """What lm-eval's evaluator makes of a model that answers each document like this."""
    from lm_eval import simple_evaluate
    from lm_eval.api.model import LM
    from lm_eval.tasks import TaskManager

    class Scripted(LM):  # type: ignore[misc]
        tokenizer_name = "scripted"

        def apply_chat_template(self, history: Any, add_generation_prompt: bool = True) -> str:
            return json.dumps(shown(history), ensure_ascii=False)

        def generate_until(self, requests: Any, disable_tqdm: bool = False) -> list[str]:
            return [answer(request) for request in requests]

        def loglikelihood(self, requests: Any) -> Any:
            raise AssertionError("nothing here asks for likelihoods")

        loglikelihood_rolling = loglikelihood

    shown = options.pop("shown", lambda history: history)
    results: dict[str, Any] = simple_evaluate(
        model=Scripted(),
        tasks=list(tasks),
        task_manager=TaskManager(include_path=str(FOLDER), include_defaults=False),
        apply_chat_template=template,
        bootstrap_iters=0,
        **options,
    )
    return results


def gold(request: Any) -> str:
    from eval.lm_tasks.task import find_step

    return find_step(request.doc).gold


def passed(results: dict[str, Any], task: str) -> dict[tuple[str, int], bool]:
    found = {}
    for sample in results["samples"][task]:
        step = json.loads(sample["doc"]["step"])
        found[step["id"], step["step"]] = bool(sample["pass"])
    return found


def test_each_role_is_a_task_of_the_group() -> None:
    group = yaml.safe_load((FOLDER / "role_bench.yaml").read_text("utf-8"))
    assert group["task"] == [f"role_bench_{role}" for role in ROLES]
    for role in ROLES:
        lines = (FOLDER / f"role_bench_{role}.yaml").read_text("utf-8").splitlines()
        assert lines[:3] == [f"task: role_bench_{role}", "class: !function task.RoleBench", f"dataset_name: {role}"]


def test_right_answers_pass_every_step_of_every_role() -> None:
    results = evaluate(gold, "role_bench")
    failed = [key for role in ROLES for key, ok in passed(results, f"role_bench_{role}").items() if not ok]
    assert failed == []
    assert results["results"]["role_bench"]["pass,none"] == results["results"]["role_bench"]["partial,none"] == 1
    steps = {role: sum(len(s.gold) for s in load_scenarios(role).scenarios) for role in ROLES}
    assert {role: len(results["samples"][f"role_bench_{role}"]) for role in ROLES} == steps


def test_the_group_weighs_roles_by_their_steps() -> None:
    results = evaluate(lambda request: gold(request) if "mayor" in request.doc["step"] else WAITS, "role_bench")
    rates = {role: results["results"][f"role_bench_{role}"]["pass,none"] for role in ROLES}
    sizes = {role: len(results["samples"][f"role_bench_{role}"]) for role in ROLES}
    assert rates["mayor"] == 1 > rates["crew"]
    mean = sum(rates[role] * sizes[role] for role in ROLES) / sum(sizes.values())
    assert results["results"]["role_bench"]["pass,none"] == pytest.approx(mean)


def test_scenarios_of_one_step_are_judged_as_by_role_bench() -> None:
    from eval.lm_tasks.task import SEED

    file = load_scenarios("witness")
    drawn = {s.id: instance(s, 0, SEED)[0] for s in file.scenarios if s.steps == 1}
    assert drawn
    for answer in (WAITS, gold_answers(next(iter(drawn.values())))[0]):
        results = passed(evaluate(lambda _, said=answer: said, "role_bench_witness"), "role_bench_witness")  # type: ignore[misc]
        expected = {(key, 0): score_run(s, rehearse(s, [answer]), file.tools).passed for key, s in drawn.items()}
        assert {step: ok for step, ok in results.items() if step[0] in drawn} == expected


def test_a_step_is_asked_with_the_right_steps_before_it_and_their_results() -> None:
    asked: dict[str, list[list[dict[str, str]]]] = {}

    def listen(request: Any) -> str:
        asked.setdefault(json.loads(request.doc["step"])["id"], []).append(json.loads(request.args[0]))
        return WAITS

    evaluate(listen, "role_bench_deacon")
    system = load_config(ROOT / "configs/data.yml").system("deacon")
    longest = max(asked.values(), key=len)
    assert len(longest) > 1
    for number, messages in enumerate(longest):
        assert messages[0] == {"role": "system", "content": system}
        roles = Counter(message["role"] for message in messages)
        assert roles["assistant"] - Counter(m["role"] for m in longest[0])["assistant"] == number
        assert messages[-1]["role"] == "user"
    assert "<tool_result>" in longest[-1][-1]["content"]


def test_the_answer_is_limited_and_greedy_and_its_stops_are_the_models_own() -> None:
    limits = []
    evaluate(lambda request: limits.append(request.args[1]) or WAITS, "role_bench_crew", limit=2)  # type: ignore[func-returns-value]
    assert limits[0] == {"until": [], "max_gen_toks": 512, "do_sample": False, "temperature": 0.0}


def test_without_a_chat_template_nothing_is_asked() -> None:
    with pytest.raises(ValueError, match="add --apply_chat_template"):
        evaluate(gold, "role_bench_mayor", template=False)


def test_another_system_prompt_is_refused() -> None:
    with pytest.raises(ValueError, match="leave out --system_instruction"):
        evaluate(gold, "role_bench_mayor", system_instruction="Be nice.")


def test_a_template_that_drops_the_system_prompt_is_an_error() -> None:
    with pytest.raises(ValueError, match="drops the system prompt"):
        evaluate(gold, "role_bench_mayor", shown=lambda history: history[1:])


def test_rows_in_the_native_form_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from eval.lm_tasks import task

    native = replace(load_config(ROOT / "configs/data.yml"), tool_format="native")
    monkeypatch.setattr(task, "load_config", lambda path: native)
    task.load_system.cache_clear()
    with pytest.raises(ValueError, match=r"use eval\.role_bench"):
        task.load_system("mayor")
    task.load_system.cache_clear()
