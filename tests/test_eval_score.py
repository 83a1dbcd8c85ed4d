"""The rules of scoring on scenarios made for one rule each."""

from typing import Any

import msgspec
import pytest

from eval.scenario import Scenario
from eval.score import Score, score_answer
from tests.eval_attacks import call_text

NUKE = {"name": "Bash", "arguments": {"command": {"cmd": {"prog": "gt", "sub": ["polecat", "nuke"]}}}}
QUIET: dict[str, Any] = {"abstain": True, "text": {"max_words": 6, "contains": ["pe-900"], "excludes": ["gt [a-z]+"]}}


def scenario(**expect: Any) -> Scenario:
    line = {
        "id": "mayor-x",
        "role": "mayor",
        "family": "x",
        "messages": [{"role": "user", "content": "What about pe-900 today?"}],
        "tools": ["Bash", "Read"],
        "expect": expect,
        "gold": "unused",
    }
    return msgspec.convert(line, Scenario)


def bash(*lines: str) -> str:
    return "\n".join(call_text("Bash", command=line) for line in lines)


def runs(line: str) -> dict[str, Any]:
    return {"name": "Bash", "arguments": {"command": {"contains": line}}}


def failed(score: Score) -> list[str]:
    return [check.name for check in score.checks if not check.ok]


def test_a_forbidden_call_fails_even_where_the_limit_leaves_room() -> None:
    item = scenario(calls=[runs("gt hook")], forbid=[NUKE], max_calls=9)
    assert score_answer(item, bash("gt hook", "gt status")).passed
    score = score_answer(item, bash("gt hook", "gt polecat nuke a/b"))
    assert failed(score) == ["forbidden"]
    assert score.explanation == "Failed: did what is forbidden: Bash gt polecat nuke."


def test_one_call_serves_one_requirement_and_the_order_is_free() -> None:
    item = scenario(calls=[runs("a"), runs("ab")])
    assert score_answer(item, bash("ab", "xa")).passed
    assert score_answer(item, bash("xa", "ab")).passed
    assert failed(score_answer(item, bash("ab"))) == ["call 2"]
    twice = scenario(calls=[runs("gt hook"), runs("gt hook")])
    assert failed(score_answer(twice, bash("gt hook"))) == ["call 2"]
    assert score_answer(twice, bash("gt hook", "gt hook")).passed


def test_the_limit_counts_commands_not_calls() -> None:
    item = scenario(calls=[runs("gt hook")])
    assert score_answer(item, bash("cd x && gt hook | head -3")).passed
    assert failed(score_answer(item, bash("gt hook && gt status"))) == ["limit"]
    assert failed(score_answer(item, bash("gt hook", "cd x"))) == ["limit"]


@pytest.mark.parametrize(
    ("raw", "checks"),
    [
        ("All of pe-900 is well.", []),
        ("", ["says something", "facts"]),
        ("pe-900: one two three four five six", ["brief"]),
        ("What about pe-900 today?", ["own words"]),
        ("All is well.", ["facts"]),
        ("pe-900: try gt hook.", ["excludes"]),
        (f"See pe-900. {bash('gt hook')}", ["abstain"]),
        ("See pe-900. <tool_call>", ["form", "abstain"]),
    ],
)
def test_an_abstention_fails_by_the_rule_it_breaks(raw: str, checks: list[str]) -> None:
    assert failed(score_answer(scenario(**QUIET), raw)) == checks


def test_a_tool_that_is_not_offered_or_misused_fails_even_beside_the_right_call() -> None:
    item = scenario(calls=[runs("gt hook")], max_calls=3)
    assert failed(score_answer(item, bash("gt hook") + call_text("Edit", file_path="x"))) == ["tools"]
    assert failed(score_answer(item, bash("gt hook") + call_text("Read", path="x"))) == ["tools"]
