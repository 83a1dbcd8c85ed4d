"""Held-out rows as questions: each trained reply of a dataset file with the real context before it.

Rows in the xml form only: in a native row calls and results are no text, and a model is asked with text here.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import msgspec

from eval.errors import BadInput, sha256
from eval.models import Conversation, Model

CHAT_ROLE = {"system": "system", "human": "user", "gpt": "assistant"}


class Message(msgspec.Struct, frozen=True):
    """One message of a row."""

    speaker: Literal["system", "human", "gpt"] = msgspec.field(name="from")
    value: str
    train: bool


class Metadata(msgspec.Struct, frozen=True):
    """What of a row's metadata is needed here."""

    id: str
    session_id: str


class Row(msgspec.Struct, frozen=True):
    """One line of a dataset file."""

    conversations: tuple[Message, ...]
    metadata: Metadata


@dataclass(frozen=True)
class Question:
    """One trained reply: its context as chat messages, and what was really answered."""

    id: str
    session: str
    context: Conversation
    recorded: str


def read_rows(path: Path) -> tuple[list[Row], str]:
    """The rows of a dataset file and the file's sha256; a faulty line ends in BadInput."""
    try:
        raw = path.read_bytes()
    except OSError:
        raise BadInput(f"{path} cannot be read; make the datasets with `make all`, or correct --data.") from None
    rows = []
    for number, line in enumerate(raw.splitlines(), start=1):
        try:
            rows.append(msgspec.json.decode(line, type=Row))
        except (msgspec.DecodeError, UnicodeDecodeError) as problem:
            if line.startswith(b'{"messages"'):
                raise BadInput(
                    f"{path} holds native rows and only xml rows can be asked; build them with `tool_format: xml`."
                ) from None
            raise BadInput(f"{path}:{number}: {problem}; make the datasets again with `make all`.") from None
    return rows, sha256(raw)


def questions(rows: Sequence[Row]) -> Iterator[Question]:
    """Every trained reply in file order."""
    for row in rows:
        for index, message in enumerate(row.conversations):
            if message.speaker == "gpt" and message.train:
                context = [{"role": CHAT_ROLE[m.speaker], "content": m.value} for m in row.conversations[:index]]
                key = f"{row.metadata.id}#{index}"
                yield Question(key, row.metadata.session_id, context, message.value)


def fit(question: Question, model: Model) -> tuple[Question | None, bool]:
    """The question with its oldest exchanges dropped until it fits, and whether any was; None where nothing fits.

    The system prompt and the last human message always stay.
    """
    context, shortened = list(question.context), False
    while (room := model.room(context)) is not None and room < 0:
        start = 1 if context[0]["role"] == "system" else 0
        if len(context) - start < 3:
            return None, shortened
        del context[start : start + 2]
        shortened = True
    return replace(question, context=context), shortened
