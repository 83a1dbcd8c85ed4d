"""Reads a line of a log of requests and answers: the gateway's captures, and what other OpenAI-style servers keep.

Three forms are known: the gateway's own (`messages` and `answer`), `{"request": {...}, "response": {...}}`, and
`{"messages": [...]}` whose last message is the answer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import blake2b
from typing import Any

import msgspec

from data import lenient_json
from data.chat_log import Answer, ChatMessage, Finish, NotChat, answer_of, messages_of, numbered, read_answer
from data.extract.jsonl import text_of
from data.record import ToolCall

OWN = "own-adapter"
_ROLE = re.compile(r"[a-z][a-z0-9_-]{0,63}", re.ASCII)
_OUR_MODEL = re.compile(r"[a-z][a-z0-9_-]*@v?\d+", re.ASCII)
_ID = re.compile(r"[\w.-]{8,80}", re.ASCII)


class Reason(StrEnum):
    """Why a line, or a reply in it, is not learned."""

    NOT_A_CHAT = "not a chat"
    NO_QUESTION = "no question"
    NO_ANSWER = "no answer"
    PREFILLED = "goes on with an answer that the client began"
    INTERRUPTED = "interrupted answer"
    CUT_OFF = "answer cut off at its limit"
    BROKEN_CALL = "call whose arguments are no object"
    REPEATED = "same request and answer as before"
    CONTINUED = "continued by a later request"
    OWN = "answered by our own adapter"
    OVER_LIMIT = "over the limit of our own answers"
    FORGOTTEN = "forgotten on request"


class Logged(msgspec.Struct, frozen=True):
    """One request and its answer, the last of `messages`. `own` says that an adapter of this project answered.

    `all_taught` marks a chat that was written to be learned: each reply in it that its author has not excepted.
    """

    id: str
    messages: tuple[ChatMessage, ...]
    model: str = ""
    role: str = ""
    at: str = ""
    own: bool = False
    all_taught: bool = False


def read_line(record: dict[str, Any]) -> Logged | tuple[Reason, str]:
    """What a line logs, or the reason why it teaches nothing, with a detail."""
    try:
        return _read(record)
    except NotChat as problem:
        return Reason.NOT_A_CHAT, str(problem)


def _read(record: dict[str, Any]) -> Logged | tuple[Reason, str]:
    if "answer" in record:
        asked, answer = messages_of(record.get("messages")), _captured_answer(record)
    elif "request" in record or "response" in record:
        asked, answer = messages_of(_object(record.get("request")).get("messages")), _response(record.get("response"))
    else:
        *before, last = messages_of(record.get("messages"))
        if last.role != "assistant":
            return Reason.NO_ANSWER, ""
        asked, answer = tuple(before), Answer(last.text, calls=last.calls)
    reason = why_not(asked, answer, captured=record.get("ending"))
    return (reason, "") if reason else _logged(record, asked, answer)


def why_not(asked: Sequence[ChatMessage], answer: Answer, captured: Any = None) -> Reason | None:
    """Why an answer teaches nothing, or None where it does. `captured` is how the gateway saw it end."""
    checks = (
        (Reason.NO_QUESTION, not any(m.role == "user" and m.text.strip() for m in asked)),
        (Reason.PREFILLED, bool(asked) and asked[-1].role == "assistant"),
        (Reason.INTERRUPTED, captured == "interrupted" or not answer.ended),
        (Reason.NO_ANSWER, answer.empty),
        (Reason.CUT_OFF, answer.finish in (Finish.LENGTH, Finish.CONTENT_FILTER)),
        (Reason.BROKEN_CALL, not all(map(is_object, answer.calls))),
    )
    return next((reason for reason, holds in checks if holds), None)


def is_object(call: ToolCall) -> bool:
    try:
        return isinstance(lenient_json.loads(call.arguments), dict)
    except ValueError:
        return False


def _captured_answer(record: dict[str, Any]) -> Answer:
    answer = answer_of(record["answer"])
    finish = record.get("finish")
    return msgspec.structs.replace(answer, finish=Finish(finish)) if finish in list(Finish) else answer


def _response(value: Any) -> Answer:
    """The answer in a response: an object, the text of one, or the text of a stream."""
    if isinstance(value, str):
        return read_answer(value.encode("utf-8", "replace"), streamed=value.lstrip().startswith("data:"))
    return answer_of(value)


def _object(value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        try:
            value = lenient_json.loads(value)
        except ValueError:
            raise NotChat("has a request that is no JSON") from None
    if not isinstance(value, dict):
        raise NotChat("has no request")
    return value


def _logged(record: dict[str, Any], asked: Sequence[ChatMessage], answer: Answer) -> Logged:
    last = ChatMessage("assistant", answer.text, answer.calls)
    messages = numbered([*asked, last])
    model = _model(record)
    role = text_of(record.get("role"))
    return Logged(
        id=_id(record, messages),
        messages=messages,
        model=model,
        role=role if _ROLE.fullmatch(role) else "",
        at=_time(record),
        own=record.get("made_by") == OWN or bool(_OUR_MODEL.fullmatch(model)),
        all_taught="answer" not in record and "request" not in record and "response" not in record,
    )


def _id(record: dict[str, Any], messages: tuple[ChatMessage, ...]) -> str:
    """The line's own id; without one a hash of what it says, so that it stays the same wherever the line stands."""
    given = text_of(record.get("id"))
    if _ID.fullmatch(given):
        return given
    digest = blake2b(msgspec.json.encode((_time(record), _model(record), messages)), digest_size=8)
    return f"pair-{digest.hexdigest()}"


def _model(record: dict[str, Any]) -> str:
    request, response = record.get("request"), record.get("response")
    for place in (record, response, request):
        if isinstance(place, dict) and (model := text_of(place.get("model"))):
            return model
    return ""


def _time(record: dict[str, Any]) -> str:
    """When it was answered, as ISO 8601; empty where nothing says so."""
    for name in ("at", "timestamp", "time"):
        if text := text_of(record.get(name)):
            return text
    response = record.get("response")
    created = response.get("created") if isinstance(response, dict) else None
    if isinstance(created, int) and 0 < created < 2**33:
        return datetime.fromtimestamp(created, UTC).isoformat().replace("+00:00", "Z")
    return ""
