"""Other runs of the shipped scenarios: honest ones in other words and orders pass, plausible wrong ones fail.

`role_bench_runs/<role>.jsonl` holds {"id", "right": [run, ...], "wrong": [run, ...]} per line; a run is a list of
answers in the form of a scenario's `gold`, with its variables.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from eval import variables
from eval.episode import rehearse
from eval.render import said_as_text
from eval.scenario import Said, Scenario, instance, known_role, load_scenarios, load_tools
from eval.score import score_run
from eval.verdict import Score

RUNS = Path(__file__).parent / "role_bench_runs"
ROLES = sorted(path.stem for path in RUNS.glob("*.jsonl"))
SAMPLES, SEED = 2, 0
TOOLS = load_tools()
Answers = list[dict[str, Any]]


def shipped(role: str) -> dict[str, Scenario]:
    return {scenario.id: scenario for scenario in load_scenarios(known_role(role)).scenarios}


def lines(role: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (RUNS / f"{role}.jsonl").read_text(encoding="utf-8").splitlines()]


def runs(kind: str) -> Iterator[Any]:
    for role in ROLES:
        scenarios = shipped(role)
        for line in lines(role):
            for number, answers in enumerate(line[kind], start=1):
                yield pytest.param(scenarios[line["id"]], answers, id=f"{line['id']}-{kind}-{number}")


def scores(scenario: Scenario, answers: Answers) -> Iterator[Score]:
    """The judgement of the run in each sample, its variables filled as the sample draws them."""
    for sample in range(SAMPLES):
        drawn_scenario, drawn = instance(scenario, sample, SEED)
        said = [msgspec.convert(variables.fill(answer, drawn), Said) for answer in answers]
        yield score_run(drawn_scenario, rehearse(drawn_scenario, [said_as_text(one) for one in said]), TOOLS)


@pytest.mark.parametrize(("scenario", "answers"), list(runs("right")))
def test_an_honest_run_in_other_words_or_another_order_passes(scenario: Scenario, answers: Answers) -> None:
    assert [score.explanation for score in scores(scenario, answers) if not score.passed] == []


@pytest.mark.parametrize(("scenario", "answers"), list(runs("wrong")))
def test_a_plausible_wrong_run_fails_and_says_why(scenario: Scenario, answers: Answers) -> None:
    for score in scores(scenario, answers):
        assert not score.passed
        assert not score.explanation.startswith("All ")


@pytest.mark.parametrize("role", ROLES)
def test_every_scenario_of_several_steps_has_two_other_right_runs_and_a_wrong_one(role: str) -> None:
    played = {line["id"]: (len(line["right"]), len(line["wrong"])) for line in lines(role)}
    for scenario in shipped(role).values():
        right, wrong = played.get(scenario.id, (0, 0))
        assert scenario.steps == 1 or (right >= 2 and wrong >= 1), scenario.id
