"""Held-out rows as questions: each trained reply of a dataset file with the real context before it.

`read_rows(path)` reads both forms of rows, calls as text (`xml`) and the base model's own (`native`); `questions(rows)`
asks each in its own form, and `fit` drops the oldest exchanges of a context that is too long.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import msgspec

from eval.answer import Call
from eval.errors import BadInput, sha256
from eval.models import Model, Prompt
from eval.render import Form, call_text

CHAT_ROLE = {"system": "system", "human": "user", "gpt": "assistant"}
AGAIN = "make the datasets again with `make all`"
Message = Mapping[str, Any]


class Metadata(msgspec.Struct, frozen=True):
    """What of a row's metadata is needed here."""

    id: str
    session_id: str


class XmlTurn(msgspec.Struct, frozen=True):
    """One message of a row with calls as text."""

    speaker: Literal["system", "human", "gpt"] = msgspec.field(name="from")
    value: str
    train: bool


class NativeCall(msgspec.Struct, frozen=True):
    """One call of a native reply."""

    function: Call
    id: str = ""
    type: str = "function"


class NativeTurn(msgspec.Struct, frozen=True, omit_defaults=True):
    """One message of a native row, as chat templates take it."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str
    train: bool = False
    tool_calls: tuple[NativeCall, ...] = ()
    tool_call_id: str = ""
    name: str = ""


class Line(msgspec.Struct, frozen=True):
    """One line of a dataset file of either form; native messages and tools may be JSON as text."""

    metadata: Metadata
    conversations: tuple[XmlTurn, ...] = ()
    messages: str | tuple[NativeTurn, ...] = ()
    tools: str | tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class Row:
    """One row as chat messages; `trained` are the places of the replies that count in the loss."""

    id: str
    session: str
    form: Form
    messages: tuple[Message, ...]
    trained: tuple[int, ...]
    tools: tuple[Message, ...] = ()

    def key(self, place: int) -> str:
        """The name of the reply at this place."""
        return f"{self.id}#{place}"


@dataclass(frozen=True)
class Question:
    """One trained reply: what stands before it, and what was really answered, calls as `<tool_call>` text.

    `dropped` is how many of the oldest messages the prompt had to lose.
    """

    id: str
    session: str
    prompt: Prompt
    recorded: str
    dropped: int = 0


def read_rows(path: Path) -> tuple[list[Row], str]:
    """The rows of a dataset file and the file's sha256; a faulty line ends in BadInput."""
    try:
        raw = path.read_bytes()
    except OSError:
        raise BadInput(f"{path} cannot be read; make the datasets with `make all`, or correct the path.") from None
    rows = []
    for number, line in enumerate(raw.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            rows.append(_row(msgspec.json.decode(line, type=Line)))
        except (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError) as problem:
            raise BadInput(f"{path}:{number}: {problem}; {AGAIN}.") from None
    return rows, sha256(raw)


def questions(rows: Sequence[Row]) -> Iterator[Question]:
    """Every trained reply in file order."""
    for row in rows:
        for place in row.trained:
            prompt = Prompt(row.messages[:place], row.tools)
            yield Question(row.key(place), row.session, prompt, as_text(row.messages[place]))


def fit(question: Question, model: Model) -> Question | None:
    """The question with its oldest exchanges dropped until prompt and answer fit; None where nothing fits."""
    messages: tuple[Message, ...] | None = question.prompt.messages
    prompt = question.prompt
    while (room := model.room(prompt)) is not None and room < 0:
        messages = without_oldest(prompt.messages)
        if messages is None:
            return None
        prompt = replace(prompt, messages=messages)
    return replace(question, prompt=prompt, dropped=len(question.prompt.messages) - len(prompt.messages))


def without_oldest(messages: Sequence[Message]) -> tuple[Message, ...] | None:
    """The messages without their oldest exchange, or None where only the newest is left.

    System prompt and newest exchange always stay, and no result stays without its call. Where nobody spoke since (a
    native row may hold one request and many calls), the last request before the cut stays as well.
    """
    start = 1 if messages[0]["role"] == "system" else 0
    replies = [place for place in range(start, len(messages)) if messages[place]["role"] == "assistant"]
    if not replies:
        return None
    rest = replies[0] + 1
    while rest < len(messages) and messages[rest]["role"] == "tool":
        rest += 1
    if rest >= len(messages):
        return None
    orphan = messages[rest]["role"] == "assistant"
    request = [message for message in messages[start : replies[0]] if message["role"] == "user"][-1:] if orphan else []
    return (*messages[:start], *request, *messages[rest:])


def as_text(message: Message) -> str:
    """What a message says, native calls as the `<tool_call>` text that all answers are compared in."""
    calls = [call_text(Call(**call["function"])) for call in message.get("tool_calls", ())]
    return "\n".join([*([message["content"]] if message["content"] else []), *calls])


def _row(line: Line) -> Row:
    if line.conversations:
        spoken = tuple({"role": CHAT_ROLE[turn.speaker], "content": turn.value} for turn in line.conversations)
        trained = [place for place, turn in enumerate(line.conversations) if turn.train]
        row = Row(line.metadata.id, line.metadata.session_id, "xml", spoken, tuple(trained))
    else:
        row = _native_row(line)
    if any(row.messages[place]["role"] != "assistant" for place in row.trained):
        raise ValueError("a trained message is nobody's reply")
    return row


def _native_row(line: Line) -> Row:
    turns, tools = line.messages, line.tools
    if isinstance(turns, str):
        turns = msgspec.json.decode(turns, type=tuple[NativeTurn, ...])
    if isinstance(tools, str):
        tools = msgspec.json.decode(tools or "[]", type=tuple[dict[str, Any], ...])
    if not turns:
        raise ValueError("a row without messages")
    messages = tuple({k: v for k, v in msgspec.to_builtins(turn).items() if k != "train"} for turn in turns)
    trained = tuple(place for place, turn in enumerate(turns) if turn.train)
    return Row(line.metadata.id, line.metadata.session_id, "native", messages, trained, tools)
