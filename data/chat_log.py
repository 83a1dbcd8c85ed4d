"""Reads what OpenAI-style servers are asked and what they answer: messages, whole answers, and streams of pieces.

What does not have that form raises `NotChat`; nothing is guessed. Reading says nothing about what may be written down:
whoever writes redacts first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any

import msgspec

from data import lenient_json
from data.record import ToolCall

_ROLES = {"developer": "system"} | {role: role for role in ("system", "user", "assistant", "tool")}
_PARTS = {"image_url": "[image]", "input_image": "[image]", "input_audio": "[audio]", "file": "[file]"}
_DONE = b"[DONE]"


class NotChat(ValueError):
    """What has not the form of a chat; the message is a part of a sentence and quotes nothing of it."""


class Finish(StrEnum):
    """Why a model stopped, as far as it says."""

    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"
    CONTENT_FILTER = "content_filter"
    UNKNOWN = ""


class ChatMessage(msgspec.Struct, frozen=True):
    """One message: role is system, user, assistant or tool. `call_id` is that of the call whose result it is."""

    role: str
    text: str = ""
    calls: tuple[ToolCall, ...] = ()
    call_id: str = ""
    weight: float = 1.0
    """0 where its author says that it is not to be learned"""


class Answer(msgspec.Struct, frozen=True):
    """What a model said. `ended` says whether the server sent it to its end; `usage` counts tokens by the server."""

    text: str = ""
    reasoning: str = ""
    calls: tuple[ToolCall, ...] = ()
    finish: Finish = Finish.UNKNOWN
    usage: dict[str, int] = {}
    ended: bool = True

    @property
    def empty(self) -> bool:
        return not (self.text.strip() or self.calls)


def messages_of(value: Any) -> tuple[ChatMessage, ...]:
    """The messages of a request. Raises NotChat where there are none or one has another form."""
    if not isinstance(value, list) or not value:
        raise NotChat("has no messages")
    return tuple(map(_message, value))


def _message(value: Any) -> ChatMessage:
    role = _ROLES.get(value.get("role", "")) if isinstance(value, dict) else None
    if role is None:
        raise NotChat("has a message of no known role")
    weight = value.get("weight")
    return ChatMessage(
        role,
        text_of(value.get("content")),
        calls_of(value.get("tool_calls")) if role == "assistant" else (),
        str(value.get("tool_call_id") or "") if role == "tool" else "",
        weight if isinstance(weight, int | float) else 1.0,
    )


def text_of(content: Any) -> str:
    """The text of a message's content. Of pictures, sounds and files only their kind is kept."""
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, list):
        raise NotChat("has content that is no text")
    return "\n".join(filter(None, map(_part, content)))


def _part(part: Any) -> str:
    if isinstance(part, str):
        return part
    if not isinstance(part, dict):
        raise NotChat("has content that is no text")
    text = part.get("text", part.get("refusal"))
    return text if isinstance(text, str) else _PARTS.get(str(part.get("type")), "[attachment]")


def calls_of(value: Any) -> tuple[ToolCall, ...]:
    """The calls of a message; what is no JSON object in their arguments stays as it is."""
    if value is None:
        return ()
    if not isinstance(value, list):
        raise NotChat("has tool calls that are no list")
    return tuple(map(_call, value))


def _call(value: Any) -> ToolCall:
    function = value.get("function") if isinstance(value, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str) or not function["name"]:
        raise NotChat("has a tool call without a name")
    given = function.get("arguments")
    arguments = given if isinstance(given, str) else lenient_json.dumps({} if given is None else given)
    return ToolCall(str(value.get("id") or ""), function["name"], arguments or "{}")


def numbered(messages: Sequence[ChatMessage]) -> tuple[ChatMessage, ...]:
    """The messages with calls named by their place (call_1, call_2, ...): ids are random, and anybody's text."""
    names: dict[str, str] = {}
    count = 0
    result = []
    for message in messages:
        calls = []
        for call in message.calls:
            count += 1
            names[call.id] = f"call_{count}"
            calls.append(msgspec.structs.replace(call, id=names[call.id]))
        known = names.get(message.call_id, "") if message.call_id else ""
        result.append(msgspec.structs.replace(message, calls=tuple(calls), call_id=known))
    return tuple(result)


def read_answer(body: bytes, streamed: bool) -> Answer:
    """The answer in the body of a response. Raises NotChat where there is none."""
    if streamed:
        return joined(_events(body))
    try:
        return answer_of(lenient_json.loads(body))
    except NotChat:
        raise
    except ValueError:
        raise NotChat("has an answer that is no JSON") from None


def answer_of(value: Any) -> Answer:
    """The answer in a response of /v1/chat/completions, or in its message alone. Raises NotChat where there is none."""
    if not isinstance(value, dict):
        raise NotChat("has no answer")
    choice = _first(value.get("choices")) if "choices" in value else {"message": value}
    message = choice.get("message") if choice else None
    if not isinstance(message, dict):
        raise NotChat("has no answer")
    return Answer(
        text_of(message.get("content")),
        _text(message.get("reasoning_content")),
        calls_of(message.get("tool_calls")),
        finish_of(choice.get("finish_reason", value.get("finish"))),
        usage_of(value.get("usage")),
    )


def _first(choices: Any) -> dict[str, Any]:
    """The first choice: further ones are other answers to the same request."""
    first = choices[0] if isinstance(choices, list) and choices else None
    return first if isinstance(first, dict) else {}


def finish_of(value: Any) -> Finish:
    value = value if isinstance(value, str) else ""
    return Finish(value) if value in set(Finish) else Finish.UNKNOWN


def usage_of(value: Any) -> dict[str, int]:
    """The counts in a usage object."""
    names = ("prompt_tokens", "completion_tokens")
    found = value if isinstance(value, dict) else {}
    return {name: found[name] for name in names if isinstance(found.get(name), int)}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _events(body: bytes) -> Iterator[bytes]:
    """The data of each server-sent event that came whole."""
    whole = body.replace(b"\r\n", b"\n").rpartition(b"\n")[0]
    for line in whole.split(b"\n"):
        if line.startswith(b"data:"):
            yield line[5:].strip()


def joined(events: Iterator[bytes]) -> Answer:
    """The answer whose pieces a stream sent. One that stops before its end is what came until then."""
    pieces = _Pieces()
    for event in events:
        if event == _DONE:
            pieces.ended = True
            break
        try:
            pieces.add(lenient_json.loads(event))
        except ValueError:
            continue  # a piece that is no JSON holds nothing that could be read
    return pieces.answer()


class _Pieces:
    """What a stream has sent so far."""

    def __init__(self) -> None:
        self.ended = False
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._calls: dict[int, dict[str, str]] = {}
        self._finish = Finish.UNKNOWN
        self._usage: dict[str, int] = {}

    def add(self, event: Any) -> None:
        if not isinstance(event, dict):
            return
        self._usage = usage_of(event.get("usage")) or self._usage
        choice = _first(event.get("choices"))
        if choice.get("index", 0) != 0:
            return
        self._finish = finish_of(choice.get("finish_reason")) or self._finish
        delta = choice.get("delta")
        if isinstance(delta, dict):
            self._text.append(_text(delta.get("content")))
            self._reasoning.append(_text(delta.get("reasoning_content")))
            for call in delta.get("tool_calls") or ():
                self._add_call(call)

    def _add_call(self, piece: Any) -> None:
        function = piece.get("function") if isinstance(piece, dict) else None
        if not isinstance(function, Mapping):
            return
        index = piece.get("index", 0)
        call = self._calls.setdefault(index if isinstance(index, int) else 0, {"id": "", "name": "", "arguments": ""})
        call["id"] = call["id"] or _text(piece.get("id"))
        call["name"] += _text(function.get("name"))
        call["arguments"] += _text(function.get("arguments"))

    def answer(self) -> Answer:
        calls = (ToolCall(c["id"], c["name"], c["arguments"] or "{}") for _, c in sorted(self._calls.items()))
        named = tuple(call for call in calls if call.name)
        text, reasoning = "".join(self._text), "".join(self._reasoning)
        return Answer(text, reasoning, named, self._finish, self._usage, self.ended)
