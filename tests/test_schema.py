from __future__ import annotations

import copy
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.record import Assistant, Conversation, Origin, ResultStatus, System, Tool, ToolCall, User
from data.transform.chat_formatter import to_row
from data.validate import schema
from data.validate.schema import check_row, row_problems, schema_problems, validator
from tests.dataset_rows import CALL, RESULT, Row, make_row, turn, write_rows

content = st.text(st.characters(codec="utf-8"), max_size=30) | st.sampled_from(
    ["</tool_call>", "<tool_result>\n", "<|im_end|>", "<\\tool_call>", "\n</tool_call>", "<tool_call>\n{}"]
)
said = content.filter(str.strip)
arguments = st.dictionaries(st.text(max_size=5), content, max_size=2).map(json.dumps)


@st.composite
def exchanges(draw: st.DrawFn, last: bool) -> list[Any]:
    """What a human says, a reply with calls, and (but for the last) their results."""
    calls = tuple(ToolCall(str(n), draw(said), draw(arguments)) for n in range(draw(st.integers(0, 3))))
    results = [Tool(call.id, call.name, draw(content), ResultStatus.OK) for call in calls]
    reply = Assistant(draw(said), id=draw(st.uuids().map(str)), calls=calls, train=last, tokens=1)
    return [User(draw(said)), reply, *([] if last else results)]


windows = st.builds(
    lambda before, last: (System("You are the mayor."), *(m for part in before for m in part), *last),
    st.lists(exchanges(last=False), max_size=3),
    exchanges(last=True),
)


@given(windows)
def test_every_row_that_the_formatter_makes_keeps_the_contract(messages: tuple[Any, ...]) -> None:
    window = Conversation("w1", Origin("sessions", "s1"), messages, role="mayor", quality=0.5, tokens=9)
    assert check_row(json.loads(msgspec.json.encode(to_row(window)))) == []


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, part in inner for place in places(part, (*path, key)))]


@given(st.data())
def test_the_quick_look_at_a_row_never_lets_pass_what_the_schema_refuses(data: st.DataObject) -> None:
    row = make_row()
    for _ in range(data.draw(st.integers(1, 3))):
        left = [place for place in places(row) if place]
        if not left:  # everything was removed
            break
        path = data.draw(st.sampled_from(left))
        parent = row
        for key in path[:-1]:
            parent = parent[key]
        junk = st.none() | st.booleans() | st.integers(-1, 2) | st.floats(-1, 2) | st.sampled_from(["", "a", "gpt"])
        lists = st.lists(st.sampled_from(["a", "b", ""]), max_size=3)
        change = data.draw(st.sampled_from(["replace", "remove", "add"]))
        if change == "replace":
            parent[path[-1]] = data.draw(junk | lists | st.just({}))
        elif change == "remove":
            del parent[path[-1]]
        elif isinstance(parent, dict):
            parent["extra"] = 1
        else:
            parent.append(copy.deepcopy(parent[-1]) if parent else 1)
    assert bool(schema_problems(row)) == (not validator().is_valid(row))


def changed(change: Callable[[Row], object]) -> Row:
    row = make_row()
    change(row)
    return row


def turns(row: Row) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = row["conversations"]
    return found


SCHEMA_CASES: dict[str, Callable[[Row], object]] = {
    "conversations: .* too short": lambda row: turns(row).__delitem__(slice(1, None)),
    r"conversations\[0\].from: 'system' was expected": lambda row: turns(row).pop(0),
    r"conversations\[1\].from: 'system' is not one of": lambda row: turns(row)[1].update({"from": "system"}),
    r"conversations\[1\].value: '' should be non-empty": lambda row: turns(row)[1].update(value=""),
    r"conversations\[1\].train: 'no' is not of type 'boolean'": lambda row: turns(row)[1].update(train="no"),
    r"conversations\[1\]: 'train' is a required": lambda row: turns(row)[1].pop("train"),
    r"conversations\[1\]: Additional properties .*weight": lambda row: turns(row)[1].update(weight=1),
    "metadata.quality_score: 1.5 is greater": lambda row: row["metadata"].update(quality_score=1.5),
    "metadata.quality_parts.people: 1.5 is greater": lambda row: row["metadata"]["quality_parts"].update(people=1.5),
    "metadata.quality_parts: 'tests' is a required": lambda row: row["metadata"]["quality_parts"].pop("tests"),
    "metadata.trained_ids: .* non-unique": lambda row: row["metadata"].update(trained_ids=["a", "a"]),
    "metadata.tokens: '100' is not of type": lambda row: row["metadata"].update(tokens="100"),
    "metadata.role: 'Mayor!' does not match": lambda row: row["metadata"].update(role="Mayor!"),
    "metadata: 'source' is a required": lambda row: row["metadata"].pop("source"),
    "metadata.about: {'date': '2024'} is not of type 'string'": lambda row: row["metadata"].update(
        about={"date": "2024"}
    ),
}


@pytest.mark.parametrize("sentence", SCHEMA_CASES)
def test_a_row_of_another_shape_is_refused_with_the_place(sentence: str) -> None:
    problems = check_row(changed(SCHEMA_CASES[sentence]))
    assert any(re.match(sentence, problem) for problem in problems), problems


RULE_CASES: dict[str, Callable[[Row], object]] = {
    "message 1 is gpt; after the system message comes a human message": lambda row: turns(row).pop(1),
    "messages 3 and 4 are both human; human and gpt must take turns": lambda row: turns(row).insert(
        4, turn("human", "Well?")
    ),
    "the last message must be a gpt message that is trained": lambda row: turns(row)[-1].update(train=False),
    "message 1 is human and is trained; only gpt messages may be": lambda row: turns(row)[1].update(train=True),
    "message 1 begins or ends with white space": lambda row: turns(row)[1].update(value="Check. "),
    "message 1 holds the control token <|im_end|>; it must be escaped": lambda row: turns(row)[1].update(
        value="Check.<|im_end|>"
    ),
    "message 3 holds no results for 1 call": lambda row: turns(row)[3].update(value="And now?"),
    "message 3 holds 2 results for 1 call": lambda row: turns(row)[3].update(value=f"{RESULT}\n{RESULT}"),
    "message 1 holds 1 result for no calls": lambda row: turns(row)[1].update(value=RESULT),
    "message 0 holds 1 result for no calls": lambda row: turns(row)[0].update(value=RESULT),
    "message 3 has <tool_result> outside its results; literal tags must be escaped": lambda row: turns(row)[3].update(
        value=f"Now?\n{RESULT}"
    ),
    "message 3 has a result without an end": lambda row: turns(row)[3].update(value="<tool_result>\nNothing"),
    "message 3 has <tool_call> in a result; literal tags must be escaped": lambda row: turns(row)[3].update(
        value="<tool_result>\n<tool_call>\n</tool_result>"
    ),
    "message 2 has text after its calls": lambda row: turns(row)[2].update(value=f"{CALL}\nDone."),
    "message 2 has text between its calls": lambda row: turns(row)[2].update(value=f"{CALL}\nand\n{CALL}"),
    "message 2 has </tool_call> before its calls; literal tags must be escaped": lambda row: turns(row)[2].update(
        value=f"</tool_call>{CALL}"
    ),
    "message 2 has <tool_call> after its calls; literal tags must be escaped": lambda row: turns(row)[2].update(
        value=f"{CALL}\n<tool_call>\n"
    ),
    "message 2 has <tool_result> in a call; literal tags must be escaped": lambda row: turns(row)[2].update(
        value=CALL.replace("gt hook", "<tool_result>")
    ),
    "trained_tokens is 101, more than the row's 100 tokens": lambda row: row["metadata"].update(trained_tokens=101),
    "trained_ids names 1 messages, but 2 are trained": lambda row: turns(row)[2].update(train=True),
    "about is not a JSON object of texts": lambda row: row["metadata"].update(about='{"stars": 4}'),
}


@pytest.mark.parametrize("sentence", RULE_CASES)
def test_a_row_that_breaks_a_rule_is_refused_with_one_sentence(sentence: str) -> None:
    assert sentence in row_problems(changed(RULE_CASES[sentence]))


@pytest.mark.parametrize("body", ["{", "[]", '{"name": "Bash"}', '{"name": "Bash", "arguments": "ls"}'])
def test_a_call_that_is_no_object_with_name_and_arguments_is_refused(body: str) -> None:
    row = changed(lambda row: turns(row)[2].update(value=f"<tool_call>\n{body}\n</tool_call>"))
    (problem,) = row_problems(row)
    assert problem.startswith("message 2 has a call that is not a JSON object with name and arguments: ")


def test_a_good_row_has_no_problem_even_when_its_last_reply_ends_in_a_call() -> None:
    assert check_row(make_row()) == []
    assert check_row(changed(lambda row: turns(row)[-1].update(value=f"I look again.\n{CALL}"))) == []


def test_the_shipped_schema_is_a_valid_schema() -> None:
    validator().check_schema(json.loads(schema.SCHEMA.read_text("utf-8")))


def check(capsys: pytest.CaptureFixture[str], *paths: Path) -> tuple[int, list[str], str]:
    status = schema.main([str(path) for path in paths])
    captured = capsys.readouterr()
    return status, captured.err.splitlines(), captured.out.strip()


def test_good_files_are_counted_and_a_role_file_may_repeat_the_combined_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for family in ("gastown", "mayor"):
        write_rows(tmp_path / f"{family}_train.jsonl", [make_row("a"), make_row("b")])
        write_rows(tmp_path / f"{family}_val.jsonl", [make_row("c")])
    assert check(capsys, tmp_path) == (0, [], "checked 6 rows: no problem")


def test_each_problem_is_printed_with_file_and_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mayor_train.jsonl"
    write_rows(path, [make_row("a"), make_row("b", tokens=5)])
    with path.open("a") as file:
        file.write("{broken\n")
    status, errors, summary = check(capsys, path)
    assert status == 1
    assert errors[0] == f"{path}:2: trained_tokens is 10, more than the row's 5 tokens."
    assert errors[1].startswith(f"{path}:3: not JSON: ")
    assert summary == "checked 3 rows: 2 problems"


ACROSS = {
    "message m1 is trained in row a too": (
        {"train": [make_row("a", trained_ids=["m1"])], "val": [make_row("b", trained_ids=["m1"])]}
    ),
    "session s1 is in train too; a session must not stand in two splits": (
        {"train": [make_row("a", session_id="s1")], "test": [make_row("b", session_id="s1")]}
    ),
    "row a stands twice in the mayor files": {"train": [make_row("a"), make_row("a")]},
}


@pytest.mark.parametrize("sentence", ACROSS)
def test_rows_of_one_build_that_contradict_each_other_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], sentence: str
) -> None:
    paths = [tmp_path / f"mayor_{split}.jsonl" for split in ACROSS[sentence]]
    for path, rows in zip(paths, ACROSS[sentence].values(), strict=True):
        write_rows(path, rows)
    status, errors, _ = check(capsys, *paths)
    assert status == 1
    assert [error.split(": ", 1)[1] for error in errors] == [f"{sentence}."]


def test_files_of_different_builds_may_share_sessions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [tmp_path / "one" / "mayor_train.jsonl", tmp_path / "two" / "mayor_val.jsonl"]
    for path in paths:
        path.parent.mkdir()
        write_rows(path, [make_row("a")])
    assert check(capsys, *paths) == (0, [], "checked 2 rows: no problem")


def test_more_problems_than_a_person_reads_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "SHOWN", 2)
    write_rows(tmp_path / "mayor_val.jsonl", [make_row(str(n), tokens=1) for n in range(5)])
    status, errors, summary = check(capsys, tmp_path / "mayor_val.jsonl")
    assert (status, len(errors), errors[-1], summary) == (1, 3, "... and 3 more", "checked 5 rows: 5 problems")


def test_a_missing_file_or_an_empty_folder_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, errors, _ = check(capsys, tmp_path / "nothing.jsonl")
    assert status == 1
    assert "cannot be read (No such file or directory)" in errors[0]
    status, errors, _ = check(capsys, tmp_path)
    assert (status, len(errors)) == (1, 1)
    assert "holds no dataset files" in errors[0]


def test_the_command_fails_on_a_bad_row(tmp_path: Path) -> None:
    path = tmp_path / "mayor_train.jsonl"
    write_rows(path, [make_row("a", tokens=1)])
    command = [sys.executable, "-m", "data.validate.schema", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == f"{path}:1: trained_tokens is 10, more than the row's 1 tokens.\n"
