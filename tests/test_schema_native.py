"""The contract of native rows: their schema, its typed twin, and each rule by a row that breaks it."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.validate import schema
from data.validate.schema import check_row, schema_problems, validator
from tests.dataset_rows import Row, as_line, make_native_row, make_row, write_rows


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, part in inner for place in places(part, (*path, key)))]


@given(st.data())
def test_the_quick_look_at_a_native_row_never_lets_pass_what_the_schema_refuses(data: st.DataObject) -> None:
    row = make_native_row()
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from([place for place in places(row) if place]))
        parent: Any = row
        for key in path[:-1]:
            parent = parent[key]
        junk = st.none() | st.booleans() | st.integers(-1, 2) | st.sampled_from(["", "a", "tool", "assistant", "user"])
        change = data.draw(st.sampled_from(["replace", "remove", "add"]))
        if change == "replace":
            parent[path[-1]] = data.draw(junk | st.lists(st.sampled_from(["a", ""]), max_size=2) | st.just({}))
        elif change == "remove" and path != ("messages",):
            del parent[path[-1]]
        elif isinstance(parent, dict):
            parent["extra"] = 1
        else:
            parent.append(copy.deepcopy(parent[-1]) if parent else 1)
    assert bool(schema_problems(row)) == (not validator(native=True).is_valid(row))


def changed(change: Callable[[Row], object]) -> list[str]:
    row = make_native_row()
    change(row)
    return check_row(as_line(row))


def message(row: Row, index: int) -> dict[str, Any]:
    found: dict[str, Any] = row["messages"][index]
    return found


def function(row: Row) -> dict[str, Any]:
    found: dict[str, Any] = row["messages"][2]["tool_calls"][0]["function"]
    return found


SHAPES: dict[str, Callable[[Row], object]] = {
    r"messages\[0\].role: 'system' was expected": lambda row: row["messages"].pop(0),
    r"messages\[1\].content: '' should be non-empty": lambda row: message(row, 1).update(content=""),
    r"messages\[1\].role: 'human' is not one of": lambda row: message(row, 1).update(role="human"),
    r"messages\[2\].tool_calls: \[\] should be non-empty": lambda row: message(row, 2).update(tool_calls=[]),
    r"messages\[2\].tool_calls\[0\].function.arguments: '{}' is not": lambda row: function(row).update(arguments="{}"),
    r"messages\[3\]: 'tool_call_id' is a required": lambda row: message(row, 3).pop("tool_call_id"),
    r"messages\[5\].train: 1 is not of type 'boolean'": lambda row: message(row, 5).update(train=1),
    r"tools\[0\].function: 'parameters' is a required": lambda row: row["tools"][0]["function"].pop("parameters"),
    r"metadata: 'quality_parts' is a required": lambda row: row["metadata"].pop("quality_parts"),
}


@pytest.mark.parametrize("sentence", SHAPES)
def test_a_native_row_of_another_shape_is_refused_with_the_place(sentence: str) -> None:
    problems = changed(SHAPES[sentence])
    assert any(re.match(sentence, problem) for problem in problems), problems


def doubled(index: int, **changes: Any) -> Callable[[Row], object]:
    """A change that puts a message twice in a row, the first time with changes."""
    return lambda row: row["messages"].insert(index, {**row["messages"][index], **changes})


RULES: dict[str, Callable[[Row], object]] = {
    "message 1 is assistant; after the system message comes a user message": lambda row: row["messages"].pop(1),
    "messages 4 and 5 are both user": doubled(4),
    "messages 5 and 6 are both assistant": doubled(5, train=False),
    "the last message must be an assistant message that is trained": lambda row: message(row, 5).update(train=False),
    "message 3 is tool and is trained; only assistant messages may be": lambda row: message(row, 3).update(train=True),
    "message 3 comes before the results of t1": lambda row: row["messages"].pop(3),
    "message 3 is a result of t2, which is not the next open call": doubled(3, tool_call_id="t2"),
    "message 4 is a result of t1, which is not the next open call": doubled(3),
    "message 2 calls Read, which is not among the tools": lambda row: function(row).update(name="Read"),
    "tools must be in the order of their names, each once": lambda row: row["tools"].append(row["tools"][0]),
    "message 1 begins or ends with white space": lambda row: message(row, 1).update(content=" Check."),
    "message 3 begins or ends with white space": lambda row: message(row, 3).update(content="Nothing\n"),
    "message 2 says nothing and calls nothing": lambda row: message(row, 2).pop("tool_calls"),
    "message 3 holds <|im_end|>; it must be escaped": lambda row: message(row, 3).update(content="<|im_end|>"),
    "message 2 holds </tool_call>; it must be escaped": lambda row: function(row).update(
        arguments={"a": [{"</tool_call>": 1}]}
    ),
    "tools holds <|im_start|>; it must be escaped": lambda row: row["tools"][0]["function"].update(
        description="<|im_start|>"
    ),
    "trained_tokens is 101, more than the row's 100 tokens": lambda row: row["metadata"].update(trained_tokens=101),
    "trained_ids names 1 messages, but 2 are trained": lambda row: message(row, 2).update(train=True),
}


@pytest.mark.parametrize("sentence", RULES)
def test_a_native_row_that_breaks_a_rule_is_refused_with_one_sentence(sentence: str) -> None:
    assert sentence in changed(RULES[sentence])


@pytest.mark.parametrize("text", ["{", "[1", None, 3, "[" * 5000])
def test_a_column_that_is_no_json_text_is_named(text: object) -> None:
    [problem] = check_row({**as_line(make_native_row()), "messages": text})
    assert problem.startswith("messages is not JSON text: ")


def test_a_good_native_row_has_no_problem_even_when_its_last_reply_calls() -> None:
    assert check_row(as_line(make_native_row())) == []
    assert changed(lambda row: message(row, -1).update(tool_calls=message(row, 2)["tool_calls"])) == []


def test_the_shipped_schema_of_native_rows_is_a_valid_schema() -> None:
    validator(native=True).check_schema(json.loads(schema.NATIVE_SCHEMA.read_text("utf-8")))


def test_files_of_native_rows_are_checked_and_held_against_each_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_rows(tmp_path / "mayor_train.jsonl", [as_line(make_native_row("a")), make_row("b")])
    assert schema.main([str(tmp_path)]) == 0
    write_rows(tmp_path / "mayor_val.jsonl", [as_line(make_native_row("a"))])
    assert schema.main([str(tmp_path)]) == 1
    assert "row a stands twice" in capsys.readouterr().err
