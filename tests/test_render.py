"""Calls and results as text, and back."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from data.record import Assistant, Tool, ToolCall, User
from data.render import escape, parse_calls, parse_results, render_human, render_reply, unescape, without_blank_ends

TRICKY = st.lists(
    st.one_of(
        st.sampled_from(
            ["<tool_call>", "</tool_call>", "<tool_result>", "</tool_result>", "<|im_end|>", "<", "\\", "|", "\n"]
        ),
        st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=4),
    )
).map("".join)
JSON = st.dictionaries(TRICKY, st.one_of(TRICKY, st.integers(), st.lists(TRICKY, max_size=2), st.none()), max_size=4)


@given(TRICKY)
def test_escaping_is_reversible_and_leaves_no_structure(text: str) -> None:
    escaped = escape(text)
    assert unescape(escaped) == text
    assert not any(tag in escaped for tag in ("<tool_call>", "</tool_call>", "<tool_result>", "</tool_result>", "<|"))


@given(st.lists(st.tuples(st.text(min_size=1, max_size=8), JSON), max_size=3), TRICKY)
def test_calls_read_back_as_they_were_made(calls: list[tuple[str, dict[str, object]]], text: str) -> None:
    made = tuple(ToolCall(str(i), name, json.dumps(a, ensure_ascii=False)) for i, (name, a) in enumerate(calls))
    value = render_reply(Assistant(text, calls=made))
    assert [(c.name, json.loads(c.arguments)) for c in parse_calls(value)] == calls
    assert value.count("<tool_call>") == len(calls)
    assert "<|" not in value


@given(st.lists(TRICKY, max_size=3), TRICKY)
def test_results_read_back_in_call_order(results: list[str], said: str) -> None:
    tools = [Tool(str(i), "Bash", text) for i, text in enumerate(results)]
    value = render_human([*tools, User(said)])
    assert parse_results(value) == [without_blank_ends(text) for text in results]


def test_results_stand_before_words() -> None:
    assert render_human([User("go on"), Tool("1", "Bash", "done")]) == "<tool_result>\ndone\n</tool_result>\ngo on"


def test_a_reply_shows_its_words_and_then_its_calls() -> None:
    reply = Assistant("I look.", calls=(ToolCall("1", "Bash", '{"command": "ls"}'),))
    assert render_reply(reply) == 'I look.\n<tool_call>\n{"name": "Bash", "arguments": {"command": "ls"}}\n</tool_call>'


def test_the_indentation_of_a_listing_stays() -> None:
    assert render_human([Tool("1", "Read", "\n \n     1→a\n     2→b\n\n")]) == (
        "<tool_result>\n     1→a\n     2→b\n</tool_result>"
    )
