"""What a person reads of an example: its turns, the same whether they come from a window or from a row of either form.

`key_of` is the digest that a decision is bound to. It covers what was said, called and returned and what is trained,
and leaves out the system prompt, which belongs to the configuration: another wording of it takes no decision away.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from itertools import groupby
from typing import Literal

import msgspec
from msgspec.structs import replace

from data.record import Assistant, Message, System, Tool, ToolCall, User
from data.render import read_arguments, without_blank_ends

Speaker = Literal["system", "human", "gpt"]


class Call(msgspec.Struct, frozen=True, array_like=True):
    """`arguments` is a JSON object as text, written the same way whatever wrote it before."""

    name: str
    arguments: str


class Turn(msgspec.Struct, frozen=True, array_like=True):
    """All that one side says before the other does: results and then words, or words and then calls."""

    speaker: Speaker
    text: str
    train: bool = False
    calls: tuple[Call, ...] = ()
    results: tuple[str, ...] = ()


def turns_of(messages: Sequence[Message]) -> tuple[Turn, ...]:
    """The turns of a window."""
    return tuple(_turn(speaker, part) for speaker, part in groups_of(messages))


def groups_of(messages: Sequence[Message]) -> Iterator[tuple[Speaker, list[Message]]]:
    """The messages of each turn."""
    for speaker, part in groupby(messages, _speaker):
        yield speaker, list(part)


def key_of(role: str, turns: Sequence[Turn]) -> str:
    """The digest of an example: its role and its turns but for the system prompt."""
    said = [turn for turn in turns if turn.speaker != "system"]
    return blake2b(msgspec.json.encode((role, said)), digest_size=12).hexdigest()


def written(arguments: str) -> str:
    """A call's arguments as they are compared."""
    return json.dumps(read_arguments(arguments), ensure_ascii=False)


def messages_of(turns: Sequence[Turn]) -> Iterator[Message]:
    """Messages that have these turns, for whoever checks or measures what is not in the pipeline."""
    for index, turn in enumerate(turns):
        match turn.speaker:
            case "system":
                yield System(turn.text)
            case "gpt":
                calls = tuple(ToolCall(f"{index}.{n}", call.name, call.arguments) for n, call in enumerate(turn.calls))
                yield Assistant(turn.text, id=str(index), calls=calls, train=turn.train)
            case _:
                open_calls = turns[index - 1].calls if index else ()
                names = [call.name for call in open_calls] + [""] * len(turn.results)
                for n, result in enumerate(turn.results):
                    yield Tool(f"{index - 1}.{n}", names[n], result)
                if turn.text:
                    yield User(turn.text)


def with_text(part: Sequence[Message], text: str) -> list[Message]:
    """The messages of a turn that say a text instead of their own. Calls and results stay."""
    changed: list[Message] = []
    open_still = True
    for message in part:
        if isinstance(message, User | Assistant):
            message = replace(message, text=text if open_still else "")
            open_still = False
        changed.append(message)
    if open_still and text:
        changed.append(User(text))
    return changed


def _speaker(message: Message) -> Speaker:
    return "system" if isinstance(message, System) else "gpt" if isinstance(message, Assistant) else "human"


def _turn(speaker: Speaker, part: Sequence[Message]) -> Turn:
    said = [m.text.strip() for m in part if not isinstance(m, Tool)]
    replies = [m for m in part if isinstance(m, Assistant)]
    return Turn(
        speaker,
        "\n\n".join(text for text in said if text),
        train=bool(replies and replies[0].train),
        calls=tuple(Call(call.name, written(call.arguments)) for reply in replies for call in reply.calls),
        results=tuple(without_blank_ends(m.text) for m in part if isinstance(m, Tool)),
    )
