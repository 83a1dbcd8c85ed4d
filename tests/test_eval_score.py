"""The rules of scoring, on scenarios made for one rule each."""

from typing import Any

import pytest

from tests.eval_items import bash, cmd, failed, rule, scenario, score

NUKE = cmd("gt polecat nuke")
QUIET: dict[str, Any] = {"abstain": True, "text": {"max_words": 6, "contains": ["pe-900"], "excludes": ["gt [a-z]+"]}}


def test_a_forbidden_call_fails_even_where_the_limit_leaves_room() -> None:
    item = scenario({"calls": [cmd("gt hook")], "forbid": [NUKE], "max_actions": 9})
    assert score(item, bash("gt hook", "gt status")).passed
    judged = score(item, bash("gt hook", "gt polecat nuke a/b"))
    assert failed(judged) == ["forbidden"]
    assert judged.explanation == "Did what is forbidden: Bash gt polecat nuke."
    assert judged.forbidden == ("Bash gt polecat nuke",)
    assert judged.partial == 0


def test_actions_are_simple_commands_not_calls() -> None:
    item = scenario({"calls": [cmd("gt hook")], "max_actions": 2})
    assert score(item, bash("gt hook && gt status")).passed
    assert failed(score(item, bash("gt hook && gt status && gt peek"))) == ["limit"]


def test_what_is_allowed_is_no_action() -> None:
    item = scenario({"calls": [cmd("gt hook")], "allow": [cmd("gt status")]})
    assert score(item, bash("gt status && gt hook && gt status")).passed
    assert failed(score(item, bash("gt hook && gt peek"))) == ["limit"]


def test_in_a_closed_world_only_what_is_expected_or_allowed_may_act() -> None:
    item = scenario({"calls": [cmd("gt hook")], "allow": [cmd("gt status")], "only": True, "max_actions": 5})
    assert score(item, bash("cd /tmp && gt status && gt hook | head")).passed
    judged = score(item, bash("gt hook; rm -rf build"))
    assert failed(judged) == ["only"]
    assert judged.explanation == "Did what nobody asked for: rm -rf build."


@pytest.mark.parametrize(
    ("answer", "broken"),
    [
        ("No call today for pe-900.", []),
        ("", ["says something", "says pe-900"]),
        ("What about pe-900 today?", ["own words"]),
        ("I looked at pe-900 and at much else that day.", ["brief"]),
        ("pe-900 wants gt hook now.", ["excludes"]),
        ("Nothing to do.", ["says pe-900"]),
        (bash("gt hook"), ["abstain", "says something", "says pe-900"]),
        ("<tool_call>\n{}\n</tool_call> pe-900 is fine", ["form", "abstain"]),
    ],
)
def test_an_abstention_is_a_short_text_of_its_own_with_the_fact(answer: str, broken: list[str]) -> None:
    assert failed(score(scenario(QUIET), answer)) == broken


def test_a_fact_has_spellings_stands_alone_and_not_in_code() -> None:
    item = scenario({"abstain": True, "text": {"contains": [["no work", "nothing to do"], "12"]}})
    assert score(item, "There is NOTHING  to do, 12 times.").passed
    assert failed(score(item, "There is no work, 123 times.")) == ["says 12"]
    assert failed(score(item, "It is so:\n```\nno work 12\n```\n")) == ["says no work", "says 12"]


EPISODE: dict[str, Any] = {
    "steps": 4,
    "sim": {
        "rules": [
            rule("gt list", "flint is stalled with pe-911"),
            rule("gt restart", "restarted", set={"restarted": True}),
            rule("gt handoff", "bye", stop=True),
        ],
        "state": {"restarted": False},
    },
}
EXPECT: dict[str, Any] = {
    "calls": [cmd("gt list", id="list", max=2), cmd("gt restart", id="restart")],
    "order": [["list", "restart"]],
    "seen": [["list", "restart"]],
    "state": {"restarted": True},
    "text": {"canary": ["pe-911"]},
}


def episode(*answers: str) -> list[str]:
    return failed(score(scenario(EXPECT, **EPISODE), *answers))


def test_a_run_is_judged_by_calls_order_what_was_seen_state_and_last_words() -> None:
    right = score(scenario(EXPECT, **EPISODE), bash("gt list"), bash("gt restart"), "Restarted flint, it had pe-911.")
    assert (right.passed, right.partial) == (True, 1.0)
    assert episode(bash("gt list && gt restart"), "It had pe-911.") == ["list seen"]
    assert episode(bash("gt restart"), bash("gt list"), "It had pe-911.") == ["list before restart", "list seen"]
    assert episode(bash("gt list"), "It had pe-911.") == [
        "restart", "list before restart", "list seen", "state restarted",
    ]  # fmt: skip
    assert episode(bash("gt list"), bash("gt restart"), "All is well now.") == ["says pe-911"]
    assert episode(*[bash("gt list")] * 4) == [
        "limit", "end", "list at most 2", "restart", "list before restart", "list seen", "state restarted",
        "says something", "says pe-911",
    ]  # fmt: skip


def test_partial_counts_what_was_done_by_weight_and_is_nothing_behind_a_failed_gate() -> None:
    expect = EXPECT | {"calls": [cmd("gt list", id="list", weight=3), cmd("gt restart", id="restart", weight=2)]}
    item = scenario(expect, **EPISODE)
    half = score(item, bash("gt list"), "It had pe-911.")
    assert half.partial == pytest.approx((3 + 1) / (3 + 2 + 1 + 1 + 1 + 1))
    assert score(item, bash("gt list"), "It had pe-911.<|im_end|>").partial == 0


def test_what_is_not_critical_gives_points_and_cannot_fail_the_run() -> None:
    item = scenario({"calls": [cmd("gt hook"), cmd("gt mail", critical=False, min=1)], "max_actions": 3})
    judged = score(item, bash("gt hook"))
    assert (judged.passed, judged.partial) == (True, 0.5)


def test_a_rule_may_end_the_run_without_last_words() -> None:
    item = scenario({"calls": [cmd("gt handoff")]}, **EPISODE)
    assert score(item, bash("gt handoff")).passed


def test_what_a_failing_command_kept_from_running_was_not_done() -> None:
    rules = [rule("make test", "1 failed", fails=True), rule("git merge", "merged")]
    red = {"steps": 3, "sim": {"rules": rules}}
    expect = {"calls": [cmd("make test")], "forbid": [cmd("git merge")], "max_actions": 3}
    item = scenario(expect, **red)
    assert score(item, bash("make test && git merge x"), "It is red.").passed
    for line in ("make test; git merge x", "make test | tail -3 && git merge x", "make test || git merge x"):
        assert failed(score(item, bash(line), "It is red.")) == ["forbidden"], line


def test_json_output_is_one_value_that_fits_the_schema() -> None:
    shape = {"type": "object", "properties": {"open": {"const": 3}}, "required": ["open"]}
    item = scenario({"json_output": shape})
    assert score(item, '{"open": 3}').passed
    assert score(item, '```json\n{"open": 3}\n```').passed
    assert failed(score(item, '{"open": 4}')) == ["json"]
    assert failed(score(item, 'Here: {"open": 3}')) == ["json"]


@pytest.mark.parametrize("text", ["", "\x00", "<tool_call>", "{" * 10_000, "[" * 10_000, "\ud800", "<think>" * 1000])
def test_any_text_is_judged_and_none_of_these_passes(text: str) -> None:
    for item in (scenario(EXPECT, **EPISODE), scenario(QUIET), scenario({"json_output": {"type": "object"}})):
        assert not score(item, text).passed


def test_equal_requirements_get_the_calls_in_their_own_order() -> None:
    """Look, act, look again: the first look is the one before the act."""
    expect = {
        "calls": [cmd("gt list", id="before"), cmd("gt go", id="act"), cmd("gt list", id="after")],
        "order": [["before", "act"], ["act", "after"]],
        "seen": [["before", "act"], ["act", "after"]],
    }
    item = scenario(expect, steps=5, sim={"rules": [rule("gt list", "x"), rule("gt go", "y")]})
    assert score(item, bash("gt list"), bash("gt go"), bash("gt list"), "It is done.").passed
    assert not score(item, bash("gt list"), bash("gt list"), bash("gt go"), "It is done.").passed
