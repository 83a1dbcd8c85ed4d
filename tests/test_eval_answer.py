"""Reading raw answers: what is a call, what is text, what is wrong with the form."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.answer import Call, Flag, parse_answer, unescape

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
ARGUMENTS = st.dictionaries(st.text(min_size=1), JSON, max_size=3)
PLAIN = st.text(alphabet=st.characters(exclude_characters="<`~{[\"'|"), max_size=40)


def as_row(name: str, arguments: dict[str, Any]) -> str:
    body = json.dumps({"name": name, "arguments": arguments}, ensure_ascii=False)
    return f"<tool_call>\n{body.replace('<', chr(92) + 'u003c')}\n</tool_call>"


@given(PLAIN, st.lists(st.tuples(st.text(min_size=1), ARGUMENTS), max_size=3))
def test_text_and_calls_of_a_row_come_back(text: str, calls: list[tuple[str, dict[str, Any]]]) -> None:
    raw = "\n".join([text, *(as_row(name, arguments) for name, arguments in calls)])
    answer = parse_answer(raw)
    assert answer.calls == tuple(Call(name, arguments) for name, arguments in calls)
    assert answer.text == text.strip()
    assert not answer.flags


PIECES = st.sampled_from(
    ["<tool_call>", "</tool_call>", "<tool_result>", "<think>", "</think>", "```\n", '{"name": "Bash", ', "\n", "x"]
)


@given(st.lists(PIECES | st.text(max_size=5), max_size=12).map("".join))
def test_any_text_can_be_read_and_a_flagged_answer_never_counts_as_silent(raw: str) -> None:
    answer = parse_answer(raw)
    assert answer.attempted or not answer.calls
    if Flag.UNCLOSED_TAG in answer.flags:
        assert answer.attempted


CALL = as_row("Bash", {"command": "gt hook"})
FLAGGED = {
    "not JSON": ("<tool_call>\nBash gt hook\n</tool_call>", Flag.MALFORMED_CALL),
    "single quotes": (CALL.replace('"', "'"), Flag.MALFORMED_CALL),
    "no arguments": ('<tool_call>\n{"name": "Bash"}\n</tool_call>', Flag.MALFORMED_CALL),
    "arguments as text": ('<tool_call>\n{"name": "Bash", "arguments": "{}"}\n</tool_call>', Flag.MALFORMED_CALL),
    "one key too many": ('<tool_call>\n{"name": "a", "arguments": {}, "id": 1}\n</tool_call>', Flag.MALFORMED_CALL),
    "doubled key": ('<tool_call>\n{"name": "a", "name": "b", "arguments": {}}\n</tool_call>', Flag.MALFORMED_CALL),
    "NaN": ('<tool_call>\n{"name": "a", "arguments": {"x": NaN}}\n</tool_call>', Flag.MALFORMED_CALL),
    "two objects": ("<tool_call>\n{} {}\n</tool_call>", Flag.MALFORMED_CALL),
    "unclosed": (CALL.removesuffix("</tool_call>"), Flag.UNCLOSED_TAG),
    "unopened": (CALL.removeprefix("<tool_call>"), Flag.UNCLOSED_TAG),
    "nested": (f"<tool_call>{CALL}</tool_call>", Flag.UNCLOSED_TAG),
    "bare JSON": ('{"name": "Bash", "arguments": {"command": "gt hook"}}', Flag.UNTAGGED_CALL),
    "bare JSON, other order": ('{"arguments": {"command": "x"}, "name": "Bash"}', Flag.UNTAGGED_CALL),
    "Mistral's form": ('[TOOL_CALLS][{"name":"Bash","arguments":{}}]', Flag.UNTAGGED_CALL),
    "Llama's form": ('{"name": "Bash", "parameters": {"command": "x"}}', Flag.UNTAGGED_CALL),
    "in a fence": (f"```\n{CALL}\n```", Flag.FENCED_CALL),
    "invented result": (f"{CALL}\n<tool_result>\nok\n</tool_result>", Flag.FABRICATED_RESULT),
    "next turn": (f"{CALL}<|im_end|>\n<|im_start|>user", Flag.CONTROL_TOKEN),
}


@pytest.mark.parametrize(("raw", "flag"), FLAGGED.values(), ids=FLAGGED)
def test_a_fault_of_form_is_flagged(raw: str, flag: Flag) -> None:
    assert flag in parse_answer(raw).flags


def test_calls_in_a_fence_are_not_calls_but_a_closed_fence_before_a_call_is_harmless() -> None:
    assert parse_answer(f"```\n{CALL}\n```").calls == ()
    assert parse_answer(f"```\nls\n```\n{CALL}").calls == (Call("Bash", {"command": "gt hook"}),)


def test_thoughts_are_no_part_of_the_answer() -> None:
    assert parse_answer(f"<think>{CALL}</think>No.").calls == ()
    assert parse_answer(f"The template opened it. {CALL}</think>\nNo.").text == "No."
    assert parse_answer(f"<think>never ends {CALL}").text == ""


def test_escaped_tags_are_text_and_lose_one_backslash() -> None:
    answer = parse_answer("The tag <\\tool_call> and <\\\\/tool_result> and <\\|im_end|> are words.")
    assert not answer.flags
    assert answer.text == "The tag <tool_call> and <\\/tool_result> and <|im_end|> are words."


@given(st.text(alphabet="<\\/tool_call>|x"))
def test_unescaping_is_the_inverse_of_the_escape_of_the_rows(text: str) -> None:
    from data.render import escape

    assert unescape(escape(text)) == text
