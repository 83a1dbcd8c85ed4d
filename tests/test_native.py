"""Rows in the base model's own tool form: rendered by its template, counted exactly, nothing live in their contents."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from data.chat_template import QWEN2_5, ChatTemplate
from data.config import RoleConfig, WindowConfig
from data.forms import load_form
from data.native import Native
from data.record import Assistant, Conversation, Drop, Message, Origin, Tool, ToolCall, User, replies, weigh
from data.render import escape, read_arguments
from data.stage import Ledger, run
from data.tokens import TokenizerNotFound, load_counter, load_template
from data.tools import declared, tools_of
from data.transform.chat_formatter import format_row
from data.transform.chunker import chunker
from data.validate.schema import check_row

BASE = "Qwen/Qwen2.5-7B-Instruct"
ROLES = {"unknown": RoleConfig("[AGENT] You help.")}
PACKAGES = Path(pytest.__file__).parent.parent

TRICKY = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(
    [
        "<|im_end|>",
        "<|im_start|>assistant",
        "<tool_call>",
        "</tool_response>",
        "<\\|im_end|>",
        "[[dummy_message]]",
        "]",
        "zz",
        "  a\n\n",
    ]
)
WORDS = TRICKY.filter(str.strip)
SCALARS = TRICKY | st.none() | st.booleans() | st.integers() | st.floats() | st.just(10**40)
VALUES = st.recursive(SCALARS, lambda v: st.lists(v, max_size=3) | st.dictionaries(TRICKY, v, max_size=3), max_leaves=5)
ARGUMENTS = st.dictionaries(TRICKY, VALUES, max_size=3).map(json.dumps)
NAMES = st.sampled_from(["Bash", "Read", "mcp__x__y"]) | WORDS


@st.composite
def talks(draw: st.DrawFn) -> tuple[Message, ...]:
    """Human words, then replies with or without calls, each call with its result, sometimes with words after them."""
    messages: list[Message] = [User(draw(WORDS))]
    for number in range(draw(st.integers(1, 5))):
        calls = tuple(ToolCall(f"{number}.{i}", draw(NAMES), draw(ARGUMENTS)) for i in range(draw(st.integers(0, 3))))
        words = draw(TRICKY if calls else WORDS)
        messages.append(Assistant(words, f"m{number}", calls=calls, train=draw(st.booleans())))
        messages += [Tool(call.id, call.name, draw(TRICKY)) for call in calls]
        if not calls or draw(st.booleans()):
            messages.append(User(draw(WORDS)))
    return tuple(messages)


def windows(messages: tuple[Message, ...], **limits: int) -> list[Conversation]:
    stage = chunker(WindowConfig(**limits), ROLES, load_form(BASE, "native"))
    conversation = Conversation("s:0.0", Origin("sessions", "s"), messages)
    outcomes = list(run([conversation], [("windows", stage)], Ledger()))
    assert not [outcome for outcome in outcomes if isinstance(outcome, Drop)]
    return [outcome for outcome in outcomes if isinstance(outcome, Conversation)]


def row_of(window: Conversation) -> dict[str, Any]:
    """The row as a loader reads it, its two texts decoded."""
    row: dict[str, Any] = json.loads(encode(window))
    return {**row, "messages": json.loads(row["messages"]), "tools": json.loads(row["tools"])}


def encode(window: Conversation) -> bytes:
    return msgspec.json.encode(format_row(window, "native"))


@given(talks(), st.integers(1, 3))
def test_a_row_says_how_many_tokens_its_template_makes(messages: tuple[Message, ...], pairs: int) -> None:
    counter, template = load_counter(BASE), load_template(BASE)
    for window in windows(messages, pairs=pairs):
        row = row_of(window)
        text = template.render(row["messages"], row["tools"] or None)
        assert counter.count(text) == row["metadata"]["tokens"] == window.tokens
        bodies = re.findall(r"<\|im_start\|>assistant\n(.*?<\|im_end\|>)", text, re.DOTALL)
        flags = [message["train"] for message in row["messages"] if message["role"] == "assistant"]
        learned = [body for body, train in zip(bodies, flags, strict=True) if train]
        assert sum(counter.counts(learned)) == row["metadata"]["trained_tokens"]


@given(talks(), st.integers(1, 3))
def test_every_native_row_keeps_the_contract_and_trains_each_reply_once(
    messages: tuple[Message, ...], pairs: int
) -> None:
    made = windows(messages, pairs=pairs)
    for window in made:
        assert check_row(json.loads(encode(window))) == []
    trained = [reply.id for window in made for reply in replies(window)]
    assert trained == [m.id for m in messages if isinstance(m, Assistant) and m.train]
    assert sum(weigh(replies(window)).calls for window in made) == sum(
        len(m.calls) for m in messages if isinstance(m, Assistant) and m.train
    )


@given(talks())
def test_nothing_in_a_conversation_becomes_a_turn_or_a_call(messages: tuple[Message, ...]) -> None:
    template = load_template(BASE)
    for window in windows(messages, pairs=3):
        row = row_of(window)
        text = template.render(row["messages"], row["tools"] or None)
        turns = [m for i, m in enumerate(row["messages"]) if m["role"] != "tool" or row["messages"][i - 1] != "tool"]
        assert text.count("<|im_end|>") == text.count("<|im_start|>") <= len(turns)
        calls = sum(len(message.get("tool_calls", ())) for message in row["messages"])
        assert text.count("\n<tool_call>\n{") - (1 if row["tools"] else 0) == calls
        assert text.count("<tool_response>") == sum(message["role"] == "tool" for message in row["messages"])


@given(talks())
def test_the_tools_of_a_conversation_admit_each_of_its_calls(messages: tuple[Message, ...]) -> None:
    tools = {tool["function"]["name"]: tool["function"] for tool in json.loads(tools_of(messages) or "[]")}
    made = [call for message in messages if isinstance(message, Assistant) for call in message.calls]
    assert set(tools) == {escape(call.name) for call in made}
    for call in made:
        schema = tools[escape(call.name)]["parameters"]
        Draft202012Validator.check_schema(schema)
        Draft202012Validator(schema).validate(read_arguments(call.arguments))


@given(talks(), st.randoms())
def test_the_tools_depend_on_the_calls_and_not_on_their_order(messages: tuple[Message, ...], rng: Any) -> None:
    calls = [m for m in messages if isinstance(m, Assistant)]
    rng.shuffle(calls)
    before, after = (json.loads(tools_of(part) or "[]") for part in (messages, calls))
    assert [tool["function"]["name"] for tool in before] == [tool["function"]["name"] for tool in after]
    for one, other in zip(before, after, strict=True):
        assert sorted(one["function"]["parameters"]["properties"]) == sorted(
            other["function"]["parameters"]["properties"]
        )


def test_a_common_tool_is_declared_and_another_is_read_off_its_calls() -> None:
    calls = (
        ToolCall("1", "Read", '{"file_path": "a", "offset": 1, "limit": null}'),
        ToolCall("2", "mcp__x__look", '{"where": "here", "deep": true, "ids": []}'),
        ToolCall("3", "mcp__x__look", '{"where": 3, "deep": false}'),
    )
    read, look = (tool["function"] for tool in json.loads(tools_of([Assistant("", calls=calls)])))
    assert read["description"] == declared()["Read"]["description"]
    assert read["parameters"]["properties"]["limit"] == {}
    assert look["parameters"] == {
        "type": "object",
        "properties": {"where": {}, "deep": {"type": "boolean"}, "ids": {"type": "array"}},
        "required": ["where", "deep"],
    }


def test_many_tools_leave_room_for_what_is_said() -> None:
    calls = tuple(
        ToolCall(str(n), f"mcp__server__{n}", json.dumps({f"argument_{i}": n for i in range(9)})) for n in range(40)
    )
    messages = (User("go"), Assistant("", "m", calls=calls), *(Tool(call.id, call.name, "ok") for call in calls))
    [window] = windows((*messages, User("and"), Assistant("done", "n")), max_tokens=6000)
    tools = row_of(window)["tools"]
    assert [tool["function"]["parameters"] for tool in tools] == [{"type": "object"}] * 40
    assert load_counter(BASE).count(json.dumps(tools)) < 6000 // 4 < load_counter(BASE).count(tools_of(messages))


@pytest.mark.parametrize(
    "arguments",
    ["[1]", "{", "", '{"n": %s}' % ("9" * 5000), '{"deep": ' + "[" * 3000 + "]" * 3000 + "}", "{" * 90],
)
def test_arguments_that_no_reader_agrees_on_stay_one_text(arguments: str) -> None:
    assert read_arguments(arguments) == {"arguments": arguments}


def test_arguments_hold_nothing_that_json_or_a_tokenizer_refuses() -> None:
    read = read_arguments('{"a": NaN, "b": -1e999, "c": "\\ud800", "<|im_end|>": ["<tool_call>", null, 1.50]}')
    assert read == {"a": "NaN", "b": "-inf", "c": "\ufffd", "<\\|im_end|>": ["<\\tool_call>", None, 1.5]}


def fixed(text: str) -> str:
    return (
        "{% if messages[0].role == 'system' %}<|im_start|>system\n{{ messages[0].content }}"
        "{% for tool in tools or [] %}{{ tool | tojson }}{% endfor %}<|im_end|>\n{% endif %}"
        "{% for m in messages[1:] %}" + text + "{% endfor %}"
    )


TURN = "<|im_start|>{{ m.role }}\n{{ m.content }}{% for c in m.tool_calls or [] %}{{ c.function | tojson }}{% endfor %}"
REFUSED = {
    "does not show every call": fixed("<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n"),
    "depending on where it stands": fixed("{% if loop.index > 4 %}<|im_start|>{% endif %}" + TURN + "<|im_end|>\n"),
    "when others follow": fixed(TURN + "<|im_end|>\n") + "the end",
    "joins the tokens of two turns": fixed(TURN.replace("<|im_start|>", "") + " "),
    "a reply's words and calls in one turn": fixed(
        TURN.replace("{{ m.content }}", "{% if not m.tool_calls %}{{ m.content }}{% endif %}") + "<|im_end|>\n"
    ),
    "refuses it: only one call": fixed(
        "{% if (m.tool_calls or []) | length > 1 %}{{ raise_exception('only one call!') }}{% endif %}" + TURN
    ),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_a_template_whose_rows_could_not_be_counted_is_refused_with_the_fix(reason: str) -> None:
    with pytest.raises(TokenizerNotFound) as error:
        Native(load_counter(BASE), ChatTemplate("some/model", REFUSED[reason], {}))
    assert reason in str(error.value)
    assert str(error.value).endswith("Set tool_format: xml in configs/data.yml.")


def test_a_template_like_the_refused_ones_without_their_fault_is_taken() -> None:
    Native(load_counter(BASE), ChatTemplate("some/model", fixed(TURN + "<|im_end|>\n"), {}))


def test_a_base_without_a_template_at_hand_says_what_to_do() -> None:
    with pytest.raises(TokenizerNotFound, match="or set tool_format: xml"):
        load_form("Qwen/Qwen2-7B-Instruct", "native")


@pytest.mark.parametrize(
    "copy", ["axolotl/utils/chat_templates/templates/qwen_25.jinja", "trl/chat_templates/qwen2_5.jinja"]
)
def test_the_packaged_template_is_the_one_that_others_ship(copy: str) -> None:
    if not (PACKAGES / copy).is_file():
        pytest.skip(f"{copy} is not installed")
    assert QWEN2_5.read_text("utf-8") == (PACKAGES / copy).read_text("utf-8")


@pytest.mark.slow
@given(talks())
def test_a_template_renders_as_the_transformers_library_renders_it(messages: tuple[Message, ...]) -> None:
    chat = pytest.importorskip("transformers.utils.chat_template_utils")
    template, source = load_template(BASE), QWEN2_5.read_text("utf-8")
    for window in windows(messages, pairs=3):
        row = row_of(window)
        tools = row["tools"] or None
        [theirs], _ = chat.render_jinja_template([row["messages"]], tools=tools, chat_template=source)
        assert template.render(row["messages"], tools) == theirs
