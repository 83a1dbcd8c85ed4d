"""The scripted world: which rule answers a call, and what the state becomes."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.answer import Call
from eval.simulate import Simulator, World


def rule(prog: str, *sub: str, **fields: Any) -> dict[str, Any]:
    command = {"cmd": {"prog": prog, "sub": sub, "any_flags": True}}
    return {"when": {"name": "Bash", "arguments": {"command": command}}, **fields}


def world(*rules: dict[str, Any], **fields: Any) -> World:
    return World(msgspec.convert({"rules": rules, "otherwise": "unknown", **fields}, Simulator))


def bash(command: str) -> Call:
    return Call("Bash", {"command": command})


TOWN = (rule("gt", "list", reply="flint\nnitro"), rule("gt", "hook", reply="pe-812", set={"seen": True}))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("gt list", "flint\nnitro"),
        ("cd /town && gt list 2>&1 | grep flint | head -1", "flint\nnitro"),
        ("gt list; gt hook", "flint\nnitro\npe-812"),
        ("if gt hook; then gt list; fi", "pe-812"),
        ("gt list || echo failed", "flint\nnitro"),
        ("echo one two", "one two"),
        ("gt list > /dev/null; gt hook", "pe-812"),
        ("gt list > f", ""),
        ("bash -lc 'gt hook'", "pe-812"),
    ],
)
def test_each_command_that_runs_is_answered_in_order(line: str, said: str) -> None:
    here = world(*TOWN)
    assert here.answer(bash(line)).text == said
    assert here.unanswered == 0


@pytest.mark.parametrize(
    "line",
    ["# gt hook", "true || gt hook", "x=$(gt hook)", "gt hook |", "for x in 1; do gt hook; done", "gt hook --help"],
)
def test_what_does_not_run_changes_nothing(line: str) -> None:
    here = world(*TOWN, state={"seen": False})
    assert "pe-812" not in here.answer(bash(line)).text
    assert here.state == {"seen": False}


def test_what_no_rule_knows_is_answered_and_counted() -> None:
    here = world(*TOWN)
    assert here.answer(bash("rm x; gt hook")).text == "unknown\npe-812"
    assert here.answer(Call("Read", {"file_path": "x"})).text == "unknown"
    assert here.answer(Call("Bash", {"command": 5})).text == "unknown"
    assert here.unanswered == 3


def test_a_rule_of_another_tool_answers_its_call() -> None:
    read = {"when": {"name": "Read", "arguments": {"file_path": {"path": "src/a.py"}}}, "reply": "KEY = 1"}
    assert world(read).answer(Call("Read", {"file_path": "./src/a.py"})).text == "KEY = 1"


def test_a_rule_of_several_commands_answers_each_by_itself() -> None:
    either = {"any_of": [{"cmd": {"prog": "gt", "sub": ["hook"]}}, {"cmd": {"prog": "gt", "sub": ["prime"]}}]}
    here = world({"when": {"name": "Bash", "arguments": {"command": either}}, "reply": "ok"})
    assert here.answer(bash("gt hook && gt prime && gt other")).text == "ok\nok\nunknown"


def test_a_tool_that_fails_once_works_then() -> None:
    here = world(rule("gt", "sling", reply="locked", times=1), rule("gt", "sling", reply="slung", set={"slung": True}))
    assert [here.answer(bash("gt sling a b")).text for _ in range(3)] == ["locked", "slung", "slung"]
    assert here.state == {"slung": True}


def test_the_state_opens_and_closes_rules() -> None:
    here = world(
        rule("gt", "restart", reply="restarted", if_state={"dead": True}, set={"dead": False}),
        rule("gt", "restart", reply="is alive"),
        rule("gt", "handoff", stop=True, if_state={"dead": False}),
        state={"dead": True},
    )
    here.answer(bash("gt handoff"))
    assert not here.stopped
    assert [here.answer(bash("gt restart x")).text for _ in range(2)] == ["restarted", "is alive"]
    here.answer(bash("gt handoff"))
    assert here.stopped


def test_one_is_not_true_and_a_missing_key_is_nothing() -> None:
    here = world(rule("gt", "a", reply="yes", if_state={"n": True}), state={"n": 1})
    assert here.answer(bash("gt a")).text == "unknown"
    assert world(rule("gt", "a", reply="yes", if_state={"n": False})).answer(bash("gt a")).text == "unknown"


@given(st.text(max_size=60), st.sampled_from(["Bash", "Read", ""]))
def test_any_call_has_an_answer_and_never_touches_the_simulator(command: str, name: str) -> None:
    simulator = msgspec.convert({"rules": TOWN, "state": {"seen": False}}, Simulator)
    assert isinstance(World(simulator).answer(Call(name, {"command": command})).text, str)
    assert simulator.state == {"seen": False}


RED = (
    rule("make", "test", reply="1 failed", fails=True),
    rule("git", "merge", reply="merged", set={"merged": True}),
    rule("gt", "list", reply="flint"),
)


@pytest.mark.parametrize(
    ("line", "said", "ran"),
    [
        ("make test && git merge x", "1 failed", "make test"),
        ("make test && git merge x && gt list", "1 failed", "make test"),
        ("make test && git merge x; gt list 'a b'", "1 failed\nflint", "make test; gt list 'a b'"),
        ("cd /x && make test && git merge x | tail -1", "1 failed", "cd /x; make test"),
        ("gt list | head -1 && make test && git merge x", "flint\n1 failed", "gt list | head -1; make test"),
    ],
)
def test_behind_a_failing_command_nothing_runs(line: str, said: str, ran: str) -> None:
    here = world(*RED, state={"merged": False})
    result = here.answer(bash(line))
    assert (result.text, result.ran) == (said, ran)
    assert here.state == {"merged": False}


@pytest.mark.parametrize(
    "line",
    [
        "make test; git merge x",
        "make test\ngit merge x",
        "make test | tail -3 && git merge x",  # a pipe ends as its last command does
        "gt list && git merge x",
        "make test && gt list; git merge x",
    ],
)
def test_what_is_not_chained_to_the_failure_runs(line: str) -> None:
    here = world(*RED, state={"merged": False})
    assert "merged" in here.answer(bash(line)).text
    assert here.state == {"merged": True}


@pytest.mark.parametrize("line", ["make test && git merge x || gt nuke", "make test > log && git merge x"])
def test_a_script_that_may_do_more_is_judged_whole(line: str) -> None:
    assert world(*RED).answer(bash(line)).ran is None
