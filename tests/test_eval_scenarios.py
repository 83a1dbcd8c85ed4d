"""The shipped scenarios: enough of them, held to the schema, never said by the sample town; faulty lines are named."""

import json
import re
from collections.abc import Iterable
from pathlib import Path

import jsonschema
import msgspec
import pytest

from data.sample import tasks_rig, tasks_town, tasks_work, words
from data.sample.tasks import Task
from eval.acts import argument_fault
from eval.errors import BadInput
from eval.scenario import (
    PROMPTS,
    ROLES,
    TOOLS,
    Assistant,
    Role,
    Scenario,
    User,
    instance,
    load_scenarios,
    load_tools,
    scenario_schema,
)
from eval.statistics import MIN_CLUSTERS

SCHEMA = Path(__file__).parents[1] / "eval" / "scenario.schema.json"
EVERY = [scenario for role in ROLES for scenario in load_scenarios(role).scenarios]


@pytest.mark.parametrize("role", ROLES)
def test_a_role_has_scenarios_enough_for_a_claim_and_half_of_its_families_are_held_out(role: Role) -> None:
    scenarios = load_scenarios(role).scenarios
    families = {scenario.family: scenario.held_out for scenario in scenarios}
    assert len(scenarios) >= 15
    assert len(families) >= MIN_CLUSTERS
    assert len(families) // 2 <= sum(families.values()) <= (len(families) + 1) // 2
    assert all(families[scenario.family] == scenario.held_out for scenario in scenarios)
    assert sum(scenario.steps > 1 for scenario in scenarios) >= 5
    assert any(scenario.expect.abstain for scenario in scenarios)


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
    assert says_so("Bead pe-79 is ready. Give it to petals.", slots)
    assert [scenario.id for scenario in EVERY if says_so(asked(scenario), slots)] == []


def says_so(text: str, slots: dict[str, str]) -> bool:
    """Whether the town can say it; the long lists of what it draws are looked at only where the rest fits."""
    shapes = {phrasing: re.sub(r"\\\{\w+\\\}", ".+", re.escape(phrasing)) for phrasing in phrasings()}
    likely = [phrasing for phrasing, shape in shapes.items() if re.fullmatch(shape, text)]
    exact = [re.sub(r"\\\{(\w+)\\\}", lambda m: f"(?:{slots[m[1]]})", re.escape(phrasing)) for phrasing in likely]
    return any(re.fullmatch(pattern, text) for pattern in exact)


def asked(scenario: Scenario) -> str:
    drawn, _ = instance(scenario, 0, 0)
    return next(message.content for message in drawn.messages if isinstance(message, User))


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
    schemas = {name: tool["parameters"] for name, tool in load_tools().items()}
    for scenario in EVERY:
        said = [*scenario.gold, *(message for message in scenario.messages if isinstance(message, Assistant))]
        assert [fault for one in said for call in one.calls if (fault := argument_fault(call, schemas))] == []


GOOD = {
    "id": "mayor-dispatch-1",
    "role": "mayor",
    "family": "dispatch",
    "messages": [{"role": "user", "content": "Bead pe-812 is ready. Give it to petals."}],
    "tools": ["Bash", "Read", "Grep"],
    "expect": {"calls": [{"name": "Bash", "arguments": {"command": {"regex": "gt sling .*"}}}]},
    "gold": [{"calls": [{"name": "Bash", "arguments": {"command": "gt sling pe-812 petals"}}]}],
}
BASH = {"name": "Bash", "arguments": {"command": {"regex": "x"}}}


def faulty(**changes: object) -> str:
    return json.dumps(GOOD | {"id": "mayor-x"} | changes)


def expecting(**expect: object) -> str:
    return faulty(expect={"calls": [BASH], **expect})


CALLED = {"role": "assistant", "calls": [{"name": "Bash", "arguments": {"command": "ls"}}]}
HI = {"role": "user", "content": "Hi."}
FAULTS = {
    "truncated": ('{"id": "mayor-x"', "truncated"),
    "misspelt key": (faulty(famly="x"), "unknown field `famly`"),
    "two matcher keys": (
        expecting(forbid=[{"name": "Bash", "arguments": {"command": {"exact": 1, "regex": "x"}}}]),
        "a matcher has one key",
    ),
    "bad regex": (expecting(forbid=[{"name": "Bash", "arguments": {"command": {"regex": "("}}}]), "does not compile"),
    "nothing expected": (faulty(expect={}), "give calls, state or json_output, or abstain"),
    "abstain without text": (faulty(expect={"abstain": True}), "text rules"),
    "abstain with calls": (expecting(abstain=True, text={}), "leaves no room"),
    "order of an unknown call": (expecting(order=[["a", "b"]]), "name calls by their id; a is none"),
    "two calls of one id": (expecting(calls=[BASH | {"id": "a"}, BASH | {"id": "a"}]), "share an id"),
    "no JSON Schema": (expecting(json_output={"type": "thing"}), "json_output is no JSON Schema"),
    "assistant first": (faulty(messages=[{"role": "assistant", "content": "x"}]), "must begin with user"),
    "a call without a result": (faulty(messages=[HI, CALLED, HI]), "one tool message behind"),
    "a result without a call": (faulty(messages=[HI, {"role": "tool", "content": "x"}]), "answers no call"),
    "an empty answer": (faulty(gold=[{}]), "needs content or calls"),
    "more gold than steps": (faulty(gold=[{"content": "a"}, {"content": "b"}]), "steps allows 1"),
    "undrawn variable": (faulty(messages=[{"role": "user", "content": "{{rig}}?"}]), "{{rig}} is used but not in vars"),
    "unused variable": (faulty(vars={"zz": "pe-8??"}), "vars.zz is never used"),
    "variable of one value": (faulty(vars={"rig": ["a"]}), "one value only"),
    "other role": (json.dumps(GOOD | {"role": "crew", "id": "crew-x"}), "move the line to crew.jsonl"),
    "id of another role": (faulty(id="crew-x"), "must start with mayor-"),
    "unknown tool": (faulty(tools=["Bash", "Fly"]), "unknown tool Fly"),
    "call of a tool that is not offered": (faulty(tools=["Read"]), "not in tools"),
    "doubled id": (json.dumps(GOOD), "is used twice"),
}


@pytest.mark.parametrize(("line", "said"), FAULTS.values(), ids=FAULTS)
def test_a_faulty_line_is_named_with_file_line_and_fix(tmp_path: Path, line: str, said: str) -> None:
    path = with_tools(tmp_path) / "mayor.jsonl"
    path.write_text(f"{json.dumps(GOOD)}\n\n{line}\n")
    with pytest.raises(BadInput) as caught:
        load_scenarios("mayor", tmp_path)
    assert str(caught.value).startswith(f"{path}:3: ")
    assert said in str(caught.value)


def with_tools(folder: Path) -> Path:
    (folder / TOOLS).write_bytes((PROMPTS / TOOLS).read_bytes())
    return folder


def test_all_faulty_lines_are_named_at_once(tmp_path: Path) -> None:
    (with_tools(tmp_path) / "mayor.jsonl").write_text(f"{faulty(famly=1)}\n{json.dumps(GOOD)}\n{{\n")
    with pytest.raises(BadInput) as caught:
        load_scenarios("mayor", tmp_path)
    assert [line.split(":")[1] for line in str(caught.value).splitlines()] == ["1", "3"]


def test_a_folder_without_tools_has_the_shipped_ones(tmp_path: Path) -> None:
    (tmp_path / "mayor.jsonl").write_text(json.dumps(GOOD))
    assert load_scenarios("mayor", tmp_path).tools == load_tools()


@pytest.mark.parametrize("tools", ["", "[]", '{"Bash": {}}', '{"Bash": {"parameters": {"type": "thing"}}}'])
def test_tools_that_cannot_be_read_are_named(tmp_path: Path, tools: str) -> None:
    (tmp_path / "mayor.jsonl").write_text(json.dumps(GOOD))
    (tmp_path / TOOLS).write_text(tools)
    with pytest.raises(BadInput, match=r"tools\.json is no list of tools"):
        load_scenarios("mayor", tmp_path)


def test_an_empty_or_missing_scenario_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be read"):
        load_scenarios("mayor", tmp_path)
    (with_tools(tmp_path) / "mayor.jsonl").write_text("\n")
    with pytest.raises(BadInput, match="holds no scenario"):
        load_scenarios("mayor", tmp_path)


def test_the_scenario_in_the_readme_is_one() -> None:
    text = (SCHEMA.parent / "README.md").read_text().split("```json\n")[1].split("```")[0]
    assert msgspec.json.decode(text, type=Scenario).id == "witness-zombie-1"
