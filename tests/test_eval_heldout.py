"""Held-out rows as questions: both forms, the real context before each reply, and what a long context loses."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.answer import parse_answer
from eval.errors import BadInput
from eval.heldout import Question, fit, questions, read_rows, without_oldest
from eval.models import Prompt, Reply, Sampling
from tests.test_eval_next_action import as_native, bash, row, write_rows

RESULT = "<tool_result>\nNothing on hook\n</tool_result>"


class Narrow:
    """A model that has room for a few messages."""

    base = None
    facts: dict[str, Any] = {"backend": "scripted"}  # noqa: RUF012

    def __init__(self, messages: int) -> None:
        self._messages = messages

    def room(self, prompt: Prompt) -> int:
        return self._messages - len(prompt.messages)

    def reply(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[Reply]:
        return [Reply("ok") for _ in prompts]


def asked(folder: Path, *rows: dict[str, Any]) -> list[Question]:
    return list(questions(read_rows(write_rows(folder / "t.jsonl", *rows))[0]))


def test_each_trained_reply_is_a_question_with_all_that_was_said_before(tmp_path: Path) -> None:
    (question,) = asked(tmp_path, row("s", "a", "b", "c", "d", trained=[False, False, False, True]))
    assert [m["content"] for m in question.prompt.messages][1:] == ["a", "b", "c"]
    assert [m["role"] for m in question.prompt.messages] == ["system", "user", "assistant", "user"]
    assert (question.recorded, question.prompt.tools, question.session) == ("d", (), "s")


def test_native_rows_ask_the_same_in_their_own_form_and_offer_their_tools(tmp_path: Path) -> None:
    xml = row("s", "Look.", f"So.\n{bash('gt hook')}", RESULT, "Done.")
    ours, theirs = asked(tmp_path, xml), asked(tmp_path, as_native(xml))
    assert [parse_answer(q.recorded) for q in theirs] == [parse_answer(q.recorded) for q in ours]
    assert [q.recorded for q in theirs] == [q.recorded for q in ours]
    last = theirs[1].prompt
    assert [message["role"] for message in last.messages] == ["system", "user", "assistant", "tool"]
    assert last.messages[2]["tool_calls"][0]["function"] == {"name": "Bash", "arguments": {"command": "gt hook"}}
    assert last.messages[3]["content"] == "Nothing on hook"
    assert [tool["function"]["name"] for tool in last.tools] == ["Bash"]
    assert all("train" not in message for message in last.messages)


def test_native_rows_may_hold_values_in_place_of_json_text(tmp_path: Path) -> None:
    native = as_native(row("s", "Look.", bash("gt hook"), RESULT, "Done."))
    as_values = native | {"messages": json.loads(native["messages"]), "tools": json.loads(native["tools"])}
    assert asked(tmp_path, as_values) == asked(tmp_path, native)


def test_only_a_newline_ends_a_row(tmp_path: Path) -> None:
    rows = [row(str(number), "\u2028", f"{number}\u2028", "b", bash("x")) for number in range(3)]
    path = tmp_path / "t.jsonl"
    path.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in rows) + "\n", "utf-8")
    assert [question.recorded for question in questions(read_rows(path)[0])][::2] == ["0\u2028", "1\u2028", "2\u2028"]


FAULTS = [
    "{",
    "[]",
    '{"conversations": []}',
    '{"conversations": [{"from": "tool"}]}',
    '{"messages": "[]", "tools": "[]", "metadata": {"id": "a", "session_id": "b"}}',
    '{"messages": "{", "tools": "[]", "metadata": {"id": "a", "session_id": "b"}}',
    '{"messages": [{"role": "user", "content": "a", "train": true}], "metadata": {"id": "a", "session_id": "b"}}',
    '{"messages": [{"role": "assistant", "content": "", "tool_calls": [{}]}],'
    ' "metadata": {"id": "a", "session_id": "b"}}',
]


@pytest.mark.parametrize("line", FAULTS)
def test_a_faulty_row_is_named_with_its_line(tmp_path: Path, line: str) -> None:
    path = write_rows(tmp_path / "t.jsonl", row("s", "a", "b"))
    path.write_text(path.read_text() + line)
    with pytest.raises(BadInput, match=r"t\.jsonl:2: .*; make the datasets again"):
        read_rows(path)


def test_a_long_context_loses_its_oldest_exchanges_but_never_the_system_prompt(tmp_path: Path) -> None:
    question = asked(tmp_path, row("s", "0", "1", "2", "3", "4", "5"))[2]
    fitted = fit(question, Narrow(4))
    assert fitted is not None and fitted.dropped == 2
    assert [m["content"] for m in fitted.prompt.messages] == [
        "[GAS TOWN ROLE: mayor] You are the mayor.",
        "2",
        "3",
        "4",
    ]
    assert len(question.prompt.messages) == 6
    assert fit(question, Narrow(6)) == question
    assert fit(question, Narrow(1)) is None


def test_a_native_context_keeps_the_request_and_no_result_without_its_call(tmp_path: Path) -> None:
    steps = [part for number in range(3) for part in (bash(f"gt show {number}"), RESULT)]
    question = asked(tmp_path, as_native(row("s", "Look at all.", *steps, "Done.")))[3]
    assert len(question.prompt.messages) == 8
    fitted = fit(question, Narrow(6))
    assert fitted is not None and fitted.dropped == 2
    shown = [(m["role"], m["content"]) for m in fitted.prompt.messages[1:]]
    assert shown[0] == ("user", "Look at all.")
    assert [role for role, _ in shown] == ["user", "assistant", "tool", "assistant", "tool"]
    assert fit(question, Narrow(3)) is None


@given(st.lists(st.sampled_from(["user", "assistant", "tool"]), max_size=12), st.booleans())
def test_dropping_ends_keeps_system_and_end_and_never_a_result_alone(roles: list[str], system: bool) -> None:
    messages: Sequence[Any] | None = [{"role": role, "content": str(i)} for i, role in enumerate(roles)]
    head = [{"role": "system", "content": "s"}] if system else [{"role": "user", "content": "u"}]
    messages = [*head, *messages]
    last = messages[-1]
    for _ in range(len(roles) + 1):
        shorter = without_oldest(messages)
        if shorter is None:
            break
        assert len(shorter) < len(messages) and shorter[-1] is last
        assert not system or shorter[0] == head[0]
        assert shorter[int(system)]["role"] != "tool"
        messages = shorter
    else:
        pytest.fail("dropping goes on forever")


def test_a_server_that_does_not_count_gets_the_whole_context(tmp_path: Path) -> None:
    class Unknown(Narrow):
        def room(self, prompt: Prompt) -> None:  # type: ignore[override]
            return None

    question = asked(tmp_path, row("s", *map(str, range(20))))[-1]
    assert fit(question, Unknown(0)) == replace(question, dropped=0)
