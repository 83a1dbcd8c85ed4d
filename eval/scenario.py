"""Scenarios of role_bench: a JSON object per line of eval/prompts/<role>.jsonl, typed, checked at the door.

`python -m eval.scenario` prints the JSON Schema (shipped as eval/scenario.schema.json);
`load_scenarios(role)` reads a file and names the line, the fault and the fix when one is wrong.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import msgspec

from eval.answer import parse_answer
from eval.errors import BadInput, sha256
from eval.matchers import CallMatcher

Role = Literal["mayor", "deacon", "witness", "refinery", "polecat", "crew"]
ROLES: tuple[Role, ...] = get_args(Role)
PROMPTS = Path(__file__).parent / "prompts"
TOOLS = PROMPTS / "tools.json"


class Turn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One message; tool calls and results stand in the text, in the form of the training rows."""

    role: Literal["user", "assistant"]
    content: Annotated[str, msgspec.Meta(min_length=1)]


class TextRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a text-only answer must hold to: length, facts of a tool result, patterns it must not write.

    `contains` is for facts that stand only in a tool result of the scenario; `excludes` are regular
    expressions.
    """

    max_words: Annotated[int, msgspec.Meta(ge=1)] = 40
    contains: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()


class Expect(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The judgement: required calls in any order, forbidden calls, a limit of actions, or no call at all.

    `max_calls` counts simple commands, not Bash calls; without it the number of required calls is the limit.
    """

    calls: tuple[CallMatcher, ...] = ()
    forbid: tuple[CallMatcher, ...] = ()
    max_calls: Annotated[int, msgspec.Meta(ge=1)] | None = None
    abstain: bool = False
    text: TextRules | None = None

    def __post_init__(self) -> None:
        if self.abstain == bool(self.calls):
            raise ValueError("give either calls, or abstain: true")
        if self.abstain and self.text is None:
            raise ValueError("an abstention needs text rules, or an empty answer would be right")


class Scenario(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One item: what the model sees after its system prompt, which tools it has, what is right.

    And a right answer.
    """

    id: Annotated[str, msgspec.Meta(pattern=r"^[a-z]+-[a-z0-9-]+$")]
    role: Role
    family: Annotated[str, msgspec.Meta(min_length=1)]
    messages: Annotated[tuple[Turn, ...], msgspec.Meta(min_length=1)]
    tools: tuple[str, ...]
    expect: Expect
    gold: Annotated[str, msgspec.Meta(min_length=1)]

    def __post_init__(self) -> None:
        if not self.id.startswith(f"{self.role}-"):
            raise ValueError(f"id {self.id!r} must start with {self.role}-")
        speakers = [turn.role for turn in self.messages]
        if speakers != [("user", "assistant")[i % 2] for i in range(len(speakers))] or speakers[-1] != "user":
            raise ValueError("messages must alternate user and assistant, from user to user")
        if parse_answer(self.gold).flags:
            raise ValueError(f"gold is not well formed: {parse_answer(self.gold).flags[0]}")
        if unknown := {call.name for call in (*self.expect.calls, *self.expect.forbid)} - {*self.tools}:
            raise ValueError(f"expect names {', '.join(sorted(unknown))}, which is not in tools")


class ScenarioFile(msgspec.Struct, frozen=True):
    """The scenarios of one role in file order, and the hash that says which file they were."""

    role: Role
    scenarios: tuple[Scenario, ...]
    sha256: str


def known_role(name: str) -> Role:
    """`name` as a role, or a sentence with the roles there are."""
    for role in ROLES:
        if role == name:
            return role
    raise BadInput(f"role {name!r} has no scenarios; choose from {', '.join(ROLES)}.")


def load_scenarios(role: Role, folder: Path = PROMPTS) -> ScenarioFile:
    """Every scenario of `role`; a faulty line ends in `BadInput` with file and line."""
    path = folder / f"{role}.jsonl"
    try:
        raw = path.read_bytes()
    except OSError:
        raise BadInput(f"{path} cannot be read; a scenario file holds one JSON object per line.") from None
    scenarios = tuple(_decode_lines(raw, path, role))
    if not scenarios:
        raise BadInput(f"{path} holds no scenario; add one JSON object per line.")
    return ScenarioFile(role, scenarios, sha256(raw, TOOLS.read_bytes()))


def load_tools(path: Path = TOOLS) -> dict[str, dict[str, Any]]:
    """JSON Schema of the arguments by tool name; the tools are those of Claude Code."""
    tools: dict[str, dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return tools


def scenario_schema() -> dict[str, Any]:
    """JSON Schema of one line; what it cannot say (alternation, a gold that parses) the loader checks."""
    schema = msgspec.json.schema(Scenario)
    schema["$defs"]["Matcher"] |= {"minProperties": 1, "maxProperties": 1}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "role_bench scenario",
        **schema,
    }


def _decode_lines(raw: bytes, path: Path, role: Role) -> Iterator[Scenario]:
    seen: set[str] = set()
    tools = load_tools()
    for number, line in enumerate(raw.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            scenario = msgspec.json.decode(line, type=Scenario)
        except (msgspec.DecodeError, UnicodeDecodeError) as problem:
            raise BadInput(f"{path}:{number}: {problem}; correct the line (see eval/scenario.schema.json).") from None
        if scenario.role != role:
            raise BadInput(f"{path}:{number}: role is {scenario.role}; move the line to {scenario.role}.jsonl.")
        if scenario.id in seen:
            raise BadInput(f"{path}:{number}: id {scenario.id} is used twice; give this line another id.")
        if unknown := sorted({*scenario.tools} - tools.keys()):
            raise BadInput(f"{path}:{number}: unknown tool {unknown[0]}; choose from {', '.join(tools)}.")
        seen.add(scenario.id)
        yield scenario


if __name__ == "__main__":
    print(json.dumps(scenario_schema(), indent=1))
