"""What of training rows a model can have learned from: what people asked, and the replies that count in the loss.

`read_trained(paths)` reads both forms of rows (calls as text, or the base model's own) one at a time. Results of
tools are left out: they are nobody's words, and the same in every town.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from eval.errors import BadInput

COMBINED = "gastown_train.jsonl"  # holds the rows of all roles again
RESULT = re.compile(r"<tool_result>.*?</tool_result>", re.DOTALL)
CALL = re.compile(r"<tool_call>(.*?)</tool_call>", re.DOTALL)


@dataclass(frozen=True)
class Trained:
    """One row: where it stands (`file:line`), its session, what was asked in it and what was trained."""

    where: str
    session: str
    asked: tuple[str, ...]
    answered: tuple[str, ...]


class Metadata(msgspec.Struct, frozen=True):
    session_id: str


class Turn(msgspec.Struct, frozen=True):
    """A message of a row with calls as text."""

    speaker: str = msgspec.field(name="from")
    value: str
    train: bool = False


class Message(msgspec.Struct, frozen=True):
    """A message of a native row."""

    role: str
    content: str | None = None
    train: bool = False
    tool_calls: tuple[dict[str, Any], ...] = ()


class Row(msgspec.Struct, frozen=True):
    """A row of either form: `messages` is a JSON list as text."""

    metadata: Metadata
    conversations: tuple[Turn, ...] = ()
    messages: str = ""


def train_files(path: Path) -> list[Path]:
    """The file itself, or the files of a folder that are trained on, each row once."""
    if not path.is_dir():
        return [path]
    if (path / COMBINED).is_file():
        return [path / COMBINED]
    if files := sorted(path.glob("*_train.jsonl")):
        return files
    raise BadInput(f"{path} holds no *_train.jsonl; give a folder that `make all` wrote, or a file of rows.")


def read_trained(paths: Iterable[Path]) -> Iterator[Trained]:
    """Every row of the files in order. A line that is no row ends in BadInput with file and line."""
    rows, native = msgspec.json.Decoder(Row), msgspec.json.Decoder(tuple[Message, ...])
    for path in paths:
        for number, raw in _lines(path):
            try:
                row = rows.decode(raw)
                parts = _native(native.decode(row.messages)) if row.messages else _xml(row.conversations)
            except (msgspec.MsgspecError, UnicodeError, RecursionError) as problem:
                raise BadInput(f"{path}:{number}: no row ({problem}); make the rows again with `make all`.") from None
            if not any(parts):
                raise BadInput(f"{path}:{number}: a row without messages; make the rows again with `make all`.")
            yield Trained(f"{path.name}:{number}", row.metadata.session_id, *parts)


def strings(value: Any) -> Iterator[str]:
    """Every string in a JSON value, keys left out."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from strings(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from strings(inner)


def said_texts(reply: str) -> list[str]:
    """A reply with calls as text in the pieces that somebody wrote: its prose, and each string in its calls."""
    pieces = [CALL.sub(" ", reply)]
    return pieces + [text for body in CALL.findall(reply) for text in _argument_texts(body)]


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    try:
        with path.open("rb") as stream:
            yield from ((number, line) for number, line in enumerate(stream, start=1) if line.strip())
    except OSError:
        raise BadInput(f"{path} cannot be read; give the training rows with --rows.") from None


def _xml(turns: Iterable[Turn]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    asked, answered = [], []
    for turn in turns:
        if turn.speaker == "human":
            asked.append(RESULT.sub("", turn.value) if "<tool_result>" in turn.value else turn.value)
        elif turn.speaker == "gpt" and turn.train:
            answered.extend(said_texts(turn.value))
    return tuple(asked), tuple(answered)


def _native(messages: Iterable[Message]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    asked, answered = [], []
    for message in messages:
        if message.role == "user":
            asked.append(message.content or "")
        elif message.role == "assistant" and message.train:
            answered.append(message.content or "")
            for call in message.tool_calls:
                answered.extend(strings(call.get("function", {}).get("arguments")))
    return tuple(asked), tuple(answered)


def _argument_texts(body: str) -> list[str]:
    """The strings of a call's arguments, decoded: an end of line in JSON is no letter n before the next word."""
    try:
        call = msgspec.json.decode(body)
    except (msgspec.MsgspecError, RecursionError):
        return [body]
    return list(strings(call.get("arguments") if isinstance(call, dict) else call))
