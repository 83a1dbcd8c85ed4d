"""The two JSON Schemas of a row again as types: a row that fits one needs no look at the schema, which takes 300 times
as long.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

Text = Annotated[str, msgspec.Meta(min_length=1)]
Count = Annotated[int, msgspec.Meta(ge=1)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Struct(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class _Parts(Struct, frozen=True):
    results: Share
    people: Share
    tests: Share
    landed: Share
    beads: Share


class _Metadata(Struct, frozen=True):
    id: Text
    role: Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9_-]*$")]
    session_id: Text
    source: Text
    quality_score: Share
    quality_parts: _Parts
    trained_ids: Annotated[tuple[Text, ...], msgspec.Meta(min_length=1)]
    tokens: Count
    trained_tokens: Count
    about: str


class _Turn(Struct, frozen=True):
    speaker: Literal["system", "human", "gpt"] = msgspec.field(name="from")
    value: Text
    train: bool


class _Xml(Struct, frozen=True):
    conversations: Annotated[tuple[_Turn, ...], msgspec.Meta(min_length=3)]
    metadata: _Metadata


class _Function(Struct, frozen=True):
    name: Text
    arguments: dict[str, Any]


class _Call(Struct, frozen=True):
    id: str
    type: Literal["function"]
    function: _Function


class _System(Struct, frozen=True, tag="system", tag_field="role"):
    content: Text
    train: bool


class _User(Struct, frozen=True, tag="user", tag_field="role"):
    content: Text
    train: bool


class _Assistant(Struct, frozen=True, tag="assistant", tag_field="role"):
    content: str
    train: bool
    tool_calls: Annotated[tuple[_Call, ...], msgspec.Meta(min_length=1)] | msgspec.UnsetType = msgspec.UNSET


class _Tool(Struct, frozen=True, tag="tool", tag_field="role"):
    tool_call_id: str
    name: str
    content: str
    train: bool


class _Declared(Struct, frozen=True):
    name: Text
    description: str
    parameters: dict[str, Any]


class _ToolEntry(Struct, frozen=True):
    type: Literal["function"]
    function: _Declared


class _Native(Struct, frozen=True):
    messages: Annotated[tuple[_System | _User | _Assistant | _Tool, ...], msgspec.Meta(min_length=3)]
    tools: tuple[_ToolEntry, ...]
    metadata: _Metadata


def fits(row: Any) -> bool:
    """Whether a row surely keeps its schema; what does not fit is for the schema to judge."""
    try:
        if isinstance(row, dict) and "messages" in row:
            native = msgspec.convert(row, _Native)
            opens, metadata = [isinstance(message, _System) for message in native.messages], native.metadata
        else:
            xml = msgspec.convert(row, _Xml)
            opens, metadata = [turn.speaker == "system" for turn in xml.conversations], xml.metadata
    except msgspec.ValidationError:
        return False
    return len(set(metadata.trained_ids)) == len(metadata.trained_ids) and opens[0] and not any(opens[1:])
