"""The shipped scenarios: they load, their golds pass, and no wrong answer does."""

import json
import re
from collections.abc import Iterable
from pathlib import Path

import jsonschema
import msgspec
import pytest

from data.sample import tasks_rig, tasks_town, tasks_work, words
from data.sample.tasks import Task
from eval.answer import parse_answer
from eval.config import load_config
from eval.errors import BadInput
from eval.scenario import ROLES, Role, Scenario, load_scenarios, load_tools, scenario_schema
from eval.score import argument_fault, score_answer
from tests.eval_attacks import attacks

SCHEMA = Path(__file__).parents[1] / "eval" / "scenario.schema.json"
EVERY = [scenario for role in ROLES for scenario in load_scenarios(role).scenarios]
CONFIG = load_config(Path(__file__).parents[1] / "configs" / "data.yml")


def by_id(scenario: Scenario) -> str:
    return scenario.id


@pytest.mark.parametrize("role", ROLES)
def test_a_role_has_ten_scenarios_one_or_two_of_them_abstentions_in_six_families(role: Role) -> None:
    scenarios = load_scenarios(role).scenarios
    assert len(scenarios) == 10
    assert sum(s.expect.abstain for s in scenarios) in {1, 2}
    assert len({s.family for s in scenarios}) == 6


@pytest.mark.parametrize("scenario", EVERY, ids=by_id)
def test_the_gold_answer_passes_and_every_wrong_answer_fails(scenario: Scenario) -> None:
    assert score_answer(scenario, scenario.gold).passed, score_answer(scenario, scenario.gold).explanation
    mates = load_scenarios(scenario.role).scenarios
    passed = [
        name
        for name, raw in attacks(scenario, CONFIG.system(scenario.role), mates)
        if score_answer(scenario, raw).passed
    ]
    assert not passed


@pytest.mark.parametrize("scenario", EVERY, ids=by_id)
def test_a_gold_with_a_friendly_sentence_or_a_thought_before_it_still_passes(scenario: Scenario) -> None:
    if scenario.expect.calls:
        assert score_answer(scenario, f"I take care of it.\n{scenario.gold}").passed
    assert score_answer(scenario, f"<think>What is right?</think>\n{scenario.gold}").passed


@pytest.mark.parametrize("scenario", EVERY, ids=by_id)
def test_a_failed_answer_is_explained_by_its_first_failed_check(scenario: Scenario) -> None:
    score = score_answer(scenario, "")
    assert not score.passed
    assert next(check.note for check in score.checks if not check.ok) in score.explanation


def test_the_sample_town_never_says_what_a_scenario_asks() -> None:
    """Every prompt is matched against the town's phrasings; none can come out of a draw of its values."""
    slots = {
        "id": "[a-z]{2}-[1-7]?[0-9]{2}",
        "fresh_id": "[a-z]{2}-[1-7]?[0-9]{2}",
        "cycle": "[1-7]?[0-9]{2}",
        "n": "[1-7]?[0-9]{2}",
        "problem": either(words.PROBLEMS),
        "path": either(words.PATHS),
        "symbol": either(words.SYMBOLS),
        "old": either(words.SYMBOLS),
        "new": either(words.SYMBOLS),
        "module": either(words.MODULES),
        "rig": either(words.RIGS),
        "name": either(words.NAMES),
        "plugin": either(words.PLUGINS),
        "sev": either(words.SEVERITIES),
        "p": "[0-4]",
        "sha": "[0-9a-f]{7}",
    }
    said = [re.sub(r"\\\{(\w+)\\\}", lambda m: f"(?:{slots[m[1]]})", re.escape(p)) for p in phrasings()]
    assert any(re.fullmatch(pattern, "Bead pe-79 is ready. Give it to petals.") for pattern in said)
    for scenario in EVERY:
        assert not [pattern for pattern in said if re.fullmatch(pattern, scenario.messages[0].content)], scenario.id


def either(values: Iterable[str]) -> str:
    return "|".join(map(re.escape, values))


def phrasings() -> list[str]:
    tables = (tasks_town, tasks_rig, tasks_work)
    found = [task for table in tables for value in vars(table).values() if isinstance(value, tuple) for task in value]
    return [phrasing for task in found if isinstance(task, Task) for phrasing in task.phrasings]


def test_the_shipped_schema_is_the_one_of_the_types() -> None:
    assert json.loads(SCHEMA.read_text()) == json.loads(json.dumps(scenario_schema()))


@pytest.mark.parametrize("role", ROLES)
def test_every_line_holds_to_the_shipped_schema(role: Role) -> None:
    path = SCHEMA.parent / "prompts" / f"{role}.jsonl"
    validator = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text()))
    for line in path.read_text().splitlines():
        validator.validate(json.loads(line))


def test_the_calls_in_golds_and_histories_fit_their_tools() -> None:
    for scenario in EVERY:
        texts = [scenario.gold, *(turn.content for turn in scenario.messages if turn.role == "assistant")]
        calls = [call for text in texts for call in parse_answer(text).calls]
        assert all(argument_fault(call, load_tools()) is None for call in calls)


GOOD = json.loads((SCHEMA.parent / "prompts" / "mayor.jsonl").read_text().splitlines()[0])
FAULTS = {
    "truncated": ('{"id": "mayor-x"', "truncated"),
    "misspelt key": (json.dumps(GOOD | {"famly": "x"}), "unknown field `famly`"),
    "two matcher keys": (
        json.dumps(
            GOOD | {"expect": {"calls": [{"name": "Bash", "arguments": {"command": {"exact": 1, "regex": "x"}}}]}}
        ),
        "a matcher has one key",
    ),
    "bad regex": (
        json.dumps(GOOD | {"expect": {"calls": [{"name": "Bash", "arguments": {"command": {"regex": "("}}}]}}),
        "does not compile",
    ),
    "neither calls nor abstain": (json.dumps(GOOD | {"expect": {}}), "either calls, or abstain"),
    "abstain without text": (json.dumps(GOOD | {"expect": {"abstain": True}}), "text rules"),
    "assistant first": (
        json.dumps(GOOD | {"messages": [{"role": "assistant", "content": "x"}]}),
        "must alternate user and assistant",
    ),
    "broken gold": (json.dumps(GOOD | {"gold": "<tool_call>\n{}"}), "gold is not well formed"),
    "other role": (json.dumps(GOOD | {"role": "crew", "id": "crew-x"}), "move the line to crew.jsonl"),
    "id of another role": (json.dumps(GOOD | {"id": "crew-x"}), "must start with mayor-"),
    "unknown tool": (json.dumps(GOOD | {"id": "mayor-x", "tools": ["Bash", "Fly"]}), "unknown tool Fly"),
    "call of a tool that is not offered": (json.dumps(GOOD | {"tools": ["Read"]}), "not in tools"),
    "doubled id": (json.dumps(GOOD), "is used twice"),
}


@pytest.mark.parametrize(("line", "said"), FAULTS.values(), ids=FAULTS)
def test_a_faulty_line_is_named_with_file_line_and_fix(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "mayor.jsonl"
    path.write_text(f"{json.dumps(GOOD)}\n\n{line}\n")
    with pytest.raises(BadInput) as caught:
        load_scenarios("mayor", tmp_path)
    assert str(caught.value).startswith(f"{path}:3: ")
    assert said in str(caught.value)


def test_an_empty_or_missing_scenario_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be read"):
        load_scenarios("mayor", tmp_path)
    (tmp_path / "mayor.jsonl").write_text("\n")
    with pytest.raises(BadInput, match="holds no scenario"):
        load_scenarios("mayor", tmp_path)


def test_the_scenario_in_the_readme_is_one() -> None:
    text = (SCHEMA.parent / "README.md").read_text().split("```json\n")[1].split("```")[0]
    assert msgspec.json.decode(text, type=Scenario).id == "mayor-dispatch-1"
