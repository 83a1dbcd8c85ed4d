"""The JSON Schema of a row of preferences again as types: a row that fits one needs no look at the schema."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

Text = Annotated[str, msgspec.Meta(min_length=1)]
Count = Annotated[int, msgspec.Meta(ge=1)]


class Struct(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class _System(Struct, frozen=True, tag="system", tag_field="role"):
    content: Text


class _User(Struct, frozen=True, tag="user", tag_field="role"):
    content: Text


class _Assistant(Struct, frozen=True, tag="assistant", tag_field="role"):
    content: Text


_OfPairs = Literal["rejected call", "corrected reply", "repaired attempt"]


class _OfJudged(Struct, frozen=True):
    id: Text
    role: Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9_-]*$")]
    session_id: Text
    source: Text
    kind: _OfPairs | Literal["accepted reply", "work that landed", "work that came back"]
    judged_id: str
    tokens: Count
    trained_tokens: Count


class _OfPair(Struct, frozen=True):
    id: Text
    role: Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9_-]*$")]
    session_id: Text
    source: Text
    kind: _OfPairs
    judged_id: str
    chosen_id: str
    chosen_by: Literal["model", "person"]
    chosen_saw: Literal["nothing", "words", "error"]
    tokens: Count
    trained_tokens: Count


_Message = _System | _User | _Assistant


class _Pair(Struct, frozen=True):
    messages: Annotated[tuple[_Message, ...], msgspec.Meta(min_length=2)]
    chosen: _Assistant
    rejected: _Assistant
    metadata: _OfPair


class _Judged(Struct, frozen=True):
    completion: Annotated[tuple[_Message, ...], msgspec.Meta(min_length=3)]
    label: bool
    metadata: _OfJudged


def fits(row: Any) -> bool:
    """Whether a row with its metadata decoded surely keeps its schema; what does not fit is for the schema to judge."""
    try:
        systems = [isinstance(message, _System) for message in _messages(row)]
    except msgspec.ValidationError:
        return False
    return systems[0] and not any(systems[1:])


def _messages(row: Any) -> tuple[_Message, ...]:
    if "chosen" in row:
        return msgspec.convert(row, _Pair).messages
    return msgspec.convert(row, _Judged).completion
