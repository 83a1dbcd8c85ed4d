"""Scenarios of role_bench: a JSON object per line of eval/prompts/<role>.jsonl, typed, checked at the door.

`python -m eval.scenario` prints the JSON Schema (shipped as eval/scenario.schema.json); `load_scenarios(role)` reads a
file and names the line, the fault and the fix; `instance(scenario, sample, seed)` draws its variables.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import jsonschema
import msgspec

from eval import variables
from eval.answer import Call
from eval.errors import BadInput, sha256
from eval.expect import Expect
from eval.matchers import CallMatcher
from eval.simulate import Simulator

Role = Literal["mayor", "deacon", "witness", "refinery", "polecat", "crew"]
ROLES: tuple[Role, ...] = get_args(Role)
PROMPTS = Path(__file__).parent / "prompts"
TOOLS = "tools.json"

Text = Annotated[str, msgspec.Meta(min_length=1)]


class Said(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an agent says in one answer: text, calls, or both."""

    content: str = ""
    calls: tuple[Call, ...] = ()

    def __post_init__(self) -> None:
        if not self.content.strip() and not self.calls:
            raise ValueError("an answer needs content or calls")


class User(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="role", tag="user"):
    """What a person or the town says."""

    content: Text


class Assistant(Said, frozen=True, forbid_unknown_fields=True, tag_field="role", tag="assistant"):
    """What the agent answered before."""


class Tool(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="role", tag="tool"):
    """The result of one call; results stand behind the answer in the order of its calls."""

    content: str


Message = User | Assistant | Tool


class Scenario(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One item: what the model sees after its system prompt, who answers its calls, what is right, and a right run.

    `steps` is how many answers the model may give; `waive` names attacks of eval.lint that may pass, and why.
    """

    id: Annotated[str, msgspec.Meta(pattern=r"^[a-z]+-[a-z0-9-]+$")]
    role: Role
    family: Text
    messages: Annotated[tuple[Message, ...], msgspec.Meta(min_length=1)]
    tools: tuple[str, ...]
    expect: Expect
    gold: Annotated[tuple[Said, ...], msgspec.Meta(min_length=1)]
    held_out: bool = False
    steps: Annotated[int, msgspec.Meta(ge=1, le=20)] = 1
    vars: dict[str, variables.Choices] = {}
    sim: Simulator = Simulator()
    waive: dict[str, Text] = {}

    def __post_init__(self) -> None:
        for problem in (self._id_fault(), self._order_fault(), self._tool_fault(), self._vars_fault()):
            if problem:
                raise ValueError(problem)

    def matchers(self) -> Iterator[CallMatcher]:
        """Every matcher of a call in expectations and simulator."""
        yield from (*self.expect.calls, *self.expect.forbid, *self.expect.allow)
        yield from (rule.when for rule in self.sim.rules)

    def _id_fault(self) -> str | None:
        return None if self.id.startswith(f"{self.role}-") else f"id {self.id!r} must start with {self.role}-"

    def _order_fault(self) -> str | None:
        if not isinstance(self.messages[0], User) or isinstance(self.messages[-1], Assistant):
            return "messages must begin with user and end with user or tool"
        waiting = 0
        for message in self.messages:
            if isinstance(message, Tool):
                waiting -= 1
            elif waiting:
                return "every call needs one tool message behind its answer"
            if isinstance(message, Assistant):
                waiting = len(message.calls)
            if waiting < 0:
                return "a tool message answers no call"
        return "the last call has no tool message" if waiting else None

    def _tool_fault(self) -> str | None:
        called = {call.name for said in self.gold for call in said.calls}
        unknown = sorted((called | {matcher.name for matcher in self.matchers()}) - {*self.tools})
        if unknown:
            return f"{unknown[0]} is expected, forbidden, simulated or called, but not in tools"
        return f"gold has {len(self.gold)} answers, steps allows {self.steps}" if len(self.gold) > self.steps else None

    def _vars_fault(self) -> str | None:
        if fault := variables.fault(self.vars):
            return fault
        used = set(variables.placeholders(msgspec.to_builtins(self)))
        if undrawn := sorted(used - self.vars.keys()):
            return f"{{{{{undrawn[0]}}}}} is used but not in vars"
        return f"vars.{min(self.vars.keys() - used)} is never used" if self.vars.keys() - used else None


class ScenarioFile(msgspec.Struct, frozen=True):
    """The scenarios of one role in file order, the tools they name, and the hash that says which files they were."""

    role: Role
    scenarios: tuple[Scenario, ...]
    tools: dict[str, dict[str, Any]]
    sha256: str


def instance(scenario: Scenario, sample: int, seed: int) -> tuple[Scenario, dict[str, str]]:
    """The scenario with its variables drawn for one sample, and the drawn values."""
    drawn = variables.draw(scenario.vars, scenario.id, sample, seed)
    if not drawn:
        return scenario, {}
    filled = variables.fill(msgspec.to_builtins(scenario) | {"vars": {}}, drawn)
    return msgspec.convert(filled, Scenario), drawn


def known_role(name: str) -> Role:
    """`name` as a role, or a sentence with the roles there are."""
    for role in ROLES:
        if role == name:
            return role
    raise BadInput(f"role {name!r} has no scenarios; choose from {', '.join(ROLES)}.")


def load_scenarios(role: Role, folder: Path = PROMPTS) -> ScenarioFile:
    """Every scenario of `role`; all faulty lines at once end in `BadInput` with file and line.

    A folder without a tools.json of its own has the shipped tools.
    """
    path = folder / f"{role}.jsonl"
    try:
        raw = path.read_bytes()
    except OSError:
        raise BadInput(f"{path} cannot be read; a scenario file holds one JSON object per line.") from None
    declared = folder / TOOLS if (folder / TOOLS).exists() else PROMPTS / TOOLS
    tools = load_tools(declared)
    scenarios, problems = _decode_lines(raw, path, role, tools)
    if problems:
        raise BadInput("\n".join(problems))
    if not scenarios:
        raise BadInput(f"{path} holds no scenario; add one JSON object per line.")
    return ScenarioFile(role, scenarios, tools, sha256(raw, declared.read_bytes()))


def load_tools(path: Path = PROMPTS / TOOLS) -> dict[str, dict[str, Any]]:
    """The tools by name, each as {"description", "parameters": JSON Schema}; those of Claude Code are shipped."""
    try:
        tools: dict[str, dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
        for tool in tools.values():
            jsonschema.Draft202012Validator.check_schema(tool["parameters"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, jsonschema.SchemaError) as problem:
        reason = str(problem).splitlines()[0]
        raise BadInput(f"{path} is no list of tools ({reason}); see {PROMPTS / TOOLS}.") from None
    return tools


def scenario_schema() -> dict[str, Any]:
    """JSON Schema of one line; what it cannot say (the order of messages, unused variables) the loader checks."""
    schema = msgspec.json.schema(Scenario)
    schema["$defs"]["Matcher"] |= {"minProperties": 1, "maxProperties": 1}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "role_bench scenario", **schema}


def _decode_lines(
    raw: bytes, path: Path, role: Role, tools: Mapping[str, Any]
) -> tuple[tuple[Scenario, ...], list[str]]:
    found: dict[str, Scenario] = {}
    problems = []
    for number, line in enumerate(raw.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            scenario = msgspec.json.decode(line, type=Scenario)
        except (msgspec.DecodeError, UnicodeDecodeError) as problem:
            problems.append(f"{path}:{number}: {problem}; correct the line (see eval/scenario.schema.json).")
            continue
        if fault := _misplaced(scenario, role, found.keys() | set(), tools):
            problems.append(f"{path}:{number}: {fault}")
        found[scenario.id] = scenario
    return tuple(found.values()), problems


def _misplaced(scenario: Scenario, role: Role, seen: set[str], tools: Mapping[str, Any]) -> str | None:
    if scenario.role != role:
        return f"role is {scenario.role}; move the line to {scenario.role}.jsonl."
    if scenario.id in seen:
        return f"id {scenario.id} is used twice; give this line another id."
    if unknown := sorted({*scenario.tools} - tools.keys()):
        return f"unknown tool {unknown[0]}; choose from {', '.join(tools)}."
    return None


if __name__ == "__main__":
    print(json.dumps(scenario_schema(), indent=1))
