"""The two forms that a row may have, as far as its size depends on them: `xml` and `native`.

`load_form(config.base_model, config.tool_format)` gives the one of a build. The chunker asks a form for texts and
constants and counts all texts of a conversation in one batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Protocol

from data.config import ToolFormat
from data.record import Assistant, Message, System
from data.render import render_human, render_system, reply_value
from data.tokens import TokenCounter, load_counter, load_template


class Form(Protocol):
    """What a row costs, in tokens: `opening`, its system text, and for each exchange `exchange`, the human side's
    text and the reply's. A reply adds its text's tokens plus `loss_offset` to the loss.
    """

    counter: TokenCounter
    opening: int
    exchange: int
    loss_offset: int

    def tools(self, messages: Sequence[Message], budget: int) -> str:
        """The tools that the system turn offers in a conversation, as JSON; empty where it offers none.

        Where that takes more than the budget (tokens), the tools stand there without their arguments.
        """

    def system(self, system: System) -> str: ...

    def human(self, messages: Sequence[Message]) -> str: ...

    def reply(self, replies: Sequence[Assistant]) -> str: ...


class Xml:
    """Calls and results as tagged text in ordinary turns."""

    def __init__(self, counter: TokenCounter) -> None:
        self.counter = counter
        self.opening = counter.frame.opening
        self.exchange = counter.frame.exchange
        self.loss_offset = counter.frame.end_of_turn

    def tools(self, messages: Sequence[Message], budget: int) -> str:
        return ""

    def system(self, system: System) -> str:
        return render_system(system)

    def human(self, messages: Sequence[Message]) -> str:
        return render_human(messages)

    def reply(self, replies: Sequence[Assistant]) -> str:
        return reply_value(replies)


@cache
def load_form(base_model: str, tool_format: ToolFormat) -> Form:
    """The form of a build, made once in a process. Raises TokenizerNotFound, one sentence with the fix."""
    counter = load_counter(base_model)
    if tool_format == "xml":
        return Xml(counter)
    from data.native import Native

    return Native(counter, load_template(base_model))
