"""The base model's own tool form: messages with `tool_calls`, results with the role `tool`, a list of `tools`.

`messages_of` makes the messages that a chat template renders; `Native` measures conversations with the template
of the base model, each exchange by itself, and refuses a template whose turns depend on where they stand.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from data.chat_template import ChatTemplate, TemplateRefused
from data.record import Assistant, Message, System, Tool, ToolCall, User
from data.render import escape, read_arguments, render_system, said_in, without_blank_ends
from data.tokens import TokenCounter, TokenizerNotFound
from data.tools import tools_of

END_OF_TURN = 1  # of what closes a reply, Axolotl trains the end mark and nothing after it

_WORDS = "\x02words\x03"
_NAME = "Probe"
_TOOLS = json.dumps([{"type": "function", "function": {"name": _NAME, "description": "", "parameters": {}}}])
_SYSTEM = System("\x02system\x03")
_USER = User("\x02user\x03")
_SAID = Assistant(_WORDS)
_CALLS = Assistant("", calls=(ToolCall("1", _NAME, "{}"), ToolCall("2", _NAME, '{"a": [1, "\\u00e9"]}')))
_SAID_AND_CALLS = Assistant(_WORDS, calls=(ToolCall("3", _NAME, '{"b": null}'),))
_RESULTS = (Tool("1", _NAME, "one"), Tool("2", _NAME, "two"))
_EXCHANGES: tuple[tuple[tuple[Message, ...], Assistant], ...] = (
    ((_USER,), _SAID),
    ((_USER,), _CALLS),
    (_RESULTS, _SAID_AND_CALLS),
    ((Tool("3", _NAME, ""), _USER), _SAID),
    ((_USER,), _SAID_AND_CALLS),
)


def messages_of(messages: Sequence[Message]) -> Iterator[dict[str, Any]]:
    """The messages as a chat template takes them: results before what was said, replies of one turn together."""
    for _, group in groupby(messages, _side):
        part = list(group)
        match part[0]:
            case System():
                yield {"role": "system", "content": render_system(part[0]), "train": False}
            case Assistant():
                yield _reply([m for m in part if isinstance(m, Assistant)])
            case _:
                yield from (_result(m) for m in part if isinstance(m, Tool))
                if said := said_in(part):
                    yield {"role": "user", "content": said, "train": False}


def _side(message: Message) -> str:
    return "system" if isinstance(message, System) else "assistant" if isinstance(message, Assistant) else "human"


def _reply(replies: Sequence[Assistant]) -> dict[str, Any]:
    said = [text for text in (escape(reply.text.strip()) for reply in replies) if text]
    message: dict[str, Any] = {"role": "assistant", "content": "\n\n".join(said), "train": replies[0].train}
    if calls := [_call(call) for reply in replies for call in reply.calls]:
        message["tool_calls"] = calls
    return message


def _call(call: ToolCall) -> dict[str, Any]:
    function = {"name": escape(call.name), "arguments": read_arguments(call.arguments)}
    return {"id": escape(call.id), "type": "function", "function": function}


def _result(result: Tool) -> dict[str, Any]:
    return {
        "role": "tool",
        "tool_call_id": escape(result.call_id),
        "name": escape(result.name),
        "content": escape(without_blank_ends(result.text)),
        "train": False,
    }


class Native:
    """A `Form` of data/forms.py: sizes by the base model's template. Raises TokenizerNotFound where it does not fit.

    What is measured of an exchange is the text that the template adds for it. A control token begins each turn, so
    that the sizes of turns add up; both is checked here, on a conversation with every kind of turn.
    """

    opening = 0
    exchange = 0

    def __init__(self, counter: TokenCounter, template: ChatTemplate) -> None:
        self.counter = counter
        self._template = template
        try:
            shown = {kind: list(messages_of(before)) for kind, before in _BEFORE.items()}
            self._before = {kind: (before, template.render(before)) for kind, before in shown.items()}
            header, closing = self._check()
        except TemplateRefused as error:
            raise TokenizerNotFound(
                f"The chat template of {template.name} {error}. Set tool_format: xml in configs/data.yml."
            ) from None
        self.loss_offset = END_OF_TURN - sum(counter.counts([header, closing]))

    def tools(self, messages: Sequence[Message], budget: int) -> str:
        tools = tools_of(messages)
        # A token is at least one byte, so only longer texts need a look.
        if len(tools.encode()) > budget and self.counter.count(tools) > budget:
            return tools_of(messages, brief=True)
        return tools

    def system(self, system: System) -> str:
        return self._render([system], system.tools)

    def human(self, messages: Sequence[Message]) -> str:
        after = "calls" if any(isinstance(message, Tool) for message in messages) else "said"
        return self._added(after, messages)

    def reply(self, replies: Sequence[Assistant]) -> str:
        return self._added("asked", replies)

    def _added(self, after: str, messages: Sequence[Message]) -> str:
        """What the template writes for messages, after messages that they can follow."""
        before, shown = self._before[after]
        text = self._template.render([*before, *messages_of(messages)])
        if not text.startswith(shown):
            raise TemplateRefused("writes a turn in another way when others follow")
        return text.removeprefix(shown)

    def _render(self, messages: Sequence[Message], tools: str = "") -> str:
        return self._template.render(list(messages_of(messages)), json.loads(tools) if tools else None)

    def _check(self) -> tuple[str, str]:
        """What stands before and after the words of a reply, in every reply. Raises TemplateRefused."""
        header, _, closing = self.reply([_SAID]).partition(_WORDS)
        for reply in (_SAID, _CALLS, _SAID_AND_CALLS):
            text = self.reply([reply])
            if not (text.startswith(header) and text.endswith(closing) and reply.text in text):
                raise TemplateRefused("does not show a reply's words and calls in one turn")
            if text.count(_NAME) != len(reply.calls):
                raise TemplateRefused("does not show every call")
        for tools in ("", _TOOLS):
            self._check_sum(System(_SYSTEM.text, tools))
        return header, closing

    def _check_sum(self, system: System) -> None:
        parts = [self.system(system)]
        shown: list[Message] = [system]
        for human, reply in _EXCHANGES:
            parts += [self.human(human), self.reply([reply])]
            shown += [*human, reply]
            whole = self._render(shown, system.tools)
            if whole != "".join(parts):
                raise TemplateRefused("writes a turn in another way depending on where it stands")
            if self.counter.count(whole) != sum(self.counter.counts(parts)):
                raise TemplateRefused("joins the tokens of two turns")


_BEFORE: dict[str, tuple[Message, ...]] = {
    "asked": (_SYSTEM, _USER),
    "said": (_SYSTEM, _USER, _SAID),
    "calls": (_SYSTEM, _USER, _CALLS),
}
