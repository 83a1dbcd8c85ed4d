"""Makes the conversation of a logged pair: its messages in our own types, and only those replies to learn that the plan
names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path

import msgspec

from data import lenient_json
from data.chat_log import ChatMessage
from data.extract.jsonl import set_aside
from data.extract.pairs_line import Logged, Reason, is_object
from data.extract.pairs_plan import Plan, Reply
from data.extract.sessions import NO_RESULT
from data.extract.unit import Unit
from data.record import (
    Assistant,
    Conversation,
    Drop,
    Message,
    Origin,
    ResultStatus,
    Tally,
    Tool,
    ToolCall,
    User,
    UserKind,
    noted,
    weigh,
)

STAGE = "pairs"


def outcomes(
    logged: Logged, file: str, line: int, place: int, unit: Unit, chosen: Plan
) -> Iterator[Conversation | Drop]:
    """The conversation of a pair and what of it is not learned, or the drop of the pair. `line` is 1-based."""
    path = Path(file)
    if place in chosen.aside:
        yield set_aside(STAGE, chosen.aside[place], path, line, detail=logged.id)
        return
    replies = chosen.replies[place]
    messages = tuple(_messages(logged, replies, unit.prompts))
    unlearned = _unlearned(messages, replies)
    if any(isinstance(message, Assistant) and message.train for message in messages):
        yield from (Drop(STAGE, why, logged.id, "", file, line, tally=tally) for why, tally in unlearned.items())
        own = sum(reply.owner.own and reply.reason is None for reply in replies.values())
        made = _conversation(logged, file, line, messages, unit.role, chosen.first[place])
        yield noted(made, STAGE, Reason.OWN.value, own)
        return
    why, tally = next(iter(unlearned.items()), (Reason.NO_ANSWER, Tally()))
    drop = set_aside(STAGE, why, path, line, detail=logged.id)
    yield msgspec.structs.replace(drop, tally=tally)


def words(prompt: str) -> str:
    """What two forms of one prompt have in common, as a hash."""
    return blake2b(" ".join(prompt.split()).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _conversation(
    logged: Logged, file: str, line: int, messages: tuple[Message, ...], role: str, first: str
) -> Conversation:
    """A chat is a session, named for its first pair. Chats with the same question stay in one split."""
    question = next(message.text for message in logged.messages if message.role == "user" and message.text.strip())
    origin = Origin(
        STAGE, first, f"question-{words(question)}", file, (line, line), model=logged.model, started=logged.at
    )
    return Conversation(f"{STAGE}:{first}:{logged.id}", origin, messages, role=role or logged.role or "unknown")


def _unlearned(messages: Sequence[Message], replies: Mapping[int, Reply]) -> dict[Reason, Tally]:
    """What the replies weigh that could have been learned and are not, by reason."""
    found: dict[Reason, Tally] = {}
    said = [message for message in messages if isinstance(message, Assistant)]
    for place, reply in replies.items():
        if reply.reason is not None:
            found[reply.reason] = found.get(reply.reason, Tally()) + weigh([said[place]])
    return found


def _messages(logged: Logged, replies: Mapping[int, Reply], prompts: frozenset[str]) -> Iterator[Message]:
    """The messages in our types, each step with its results in the order of its calls, as they are in a transcript."""
    place = 0
    chat = logged.messages
    for at, message in enumerate(chat):
        if message.role == "assistant":
            yield _reply(message, logged, place, replies.get(place))
            yield from _results(message, chat[at + 1 :])
            place += 1
        elif message.role == "user" and message.text.strip():
            yield User(message.text)
        elif message.role == "system" and message.text.strip() and words(message.text) not in prompts:
            yield User(message.text, UserKind.REMINDER)


def _reply(message: ChatMessage, logged: Logged, place: int, known: Reply | None) -> Assistant:
    learned = known is not None and known.reason is None and message.weight > 0
    last = known is not None and (known.owner.id != logged.id or message is logged.messages[-1])
    owner = known.owner if known else None
    return Assistant(
        message.text,
        id=owner.id if owner and last else f"{logged.id}:{place}",
        calls=tuple(map(_call, message.calls)),
        train=learned,
        said=len(message.text),
        chars=len(message.text) + sum(len(call.arguments) for call in message.calls),
        file=owner.file if owner else "",
        line=owner.line if owner else 0,
    )


def _call(call: ToolCall) -> ToolCall:
    """A call whose arguments are an object; what a client sent that is none is shown as one."""
    if is_object(call):
        return call
    return msgspec.structs.replace(call, arguments=lenient_json.dumps({"arguments": call.arguments}))


def _results(reply: ChatMessage, after: Sequence[ChatMessage]) -> Iterator[Tool]:
    """The results of a reply's calls, until the next reply; none behind the last one."""
    found: dict[str, str] = {}
    for message in after:
        if message.role == "assistant":
            break
        if message.role == "tool":
            found.setdefault(message.call_id, message.text)
    if after:
        for call in reply.calls:
            status = ResultStatus.OK if call.id in found else ResultStatus.MISSING
            yield Tool(call.id, call.name, found.get(call.id, NO_RESULT), status)
