"""Reads Claude Code transcripts line by line into typed records, and repairs or names what is broken.

One line is one JSON object. Two objects glued on a line are both read; a file that is one object of another
agent is set aside as foreign. Field meanings were measured on real transcripts of versions 2.0 to 2.1.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec

from data.record import Drop

STAGE = "sessions"
PERSISTED = "<persisted-output>"


class Reason(StrEnum):
    """Why a record is not part of any conversation. Every record is `used` or has one of these."""

    UNREADABLE = "unreadable file"
    FOREIGN = "transcript of another agent"
    MALFORMED = "malformed line"
    COPY = "copy of a record read before"
    UNKNOWN_TYPE = "record type without conversation content"
    PROGRESS = "progress of a running tool"
    SUBAGENT_PROGRESS = "progress of a subagent"
    SYSTEM = "system record"
    SNAPSHOT = "file history"
    TITLE = "title of a session"
    QUEUE = "queue bookkeeping"
    LOCAL_COMMAND = "local command"
    HOOK_STOP = "stopped by a hook"
    EMPTY = "nothing visible"
    SYNTHETIC = "written by the client, not the model"
    THINKING_ONLY = "thinking without a visible reply"
    REWOUND = "abandoned branch"
    ORPHAN_RESULT = "result without its call"
    NO_REPLY = "epoch without a reply"
    WARMUP = "subagent warm-up"
    FORGOTTEN = "forgotten on request"


class Line(msgspec.Struct, rename="camel", gc=False):
    """One record, as far as the reader uses it. Unknown keys are ignored."""

    type: str = ""
    uuid: str | None = None
    parent_uuid: str | None = None
    logical_parent_uuid: str | None = None
    session_id: str | None = None
    timestamp: str | None = None
    cwd: str | None = None
    git_branch: str | None = None
    is_sidechain: bool | None = False
    agent_id: str | None = None
    is_meta: bool | None = False
    is_compact_summary: bool | None = False
    is_api_error_message: bool | None = False
    source_tool_use_id: str | None = msgspec.field(default=None, name="sourceToolUseID")
    plan_content: str | None = None
    subtype: str | None = None
    operation: str | None = None
    content: Any = None
    data: msgspec.Raw = msgspec.Raw()
    attachment: msgspec.Raw = msgspec.Raw()
    compact_metadata: Any = None
    tool_use_result: msgspec.Raw = msgspec.Raw()


class Block(msgspec.Struct, gc=False):
    """One content block of an API message, of any type."""

    type: str = ""
    text: str | None = None
    thinking: str | None = None
    id: str | None = None
    name: str | None = None
    input: msgspec.Raw = msgspec.Raw()
    tool_use_id: str | None = None
    content: Any = None
    is_error: bool | None = None


class ApiMessage(msgspec.Struct, gc=False):
    id: str | None = None
    model: str | None = None
    content: str | list[Block] | None = None


class _Usual(Line, rename="camel", gc=False):
    """A record whose message has the shape that nearly all have: one pass decodes both."""

    message: ApiMessage | None = None


class Record(msgspec.Struct, gc=False):
    """A line with its place. `before` is the uuid of the record before it in its file; `fate` is filled later."""

    line: Line
    file: str
    number: int
    before: str | None = None
    fate: str = ""
    seq: int = 0
    blocks: list[Block] = []
    message_id: str = ""
    model: str = ""


_USUAL = msgspec.json.Decoder(_Usual)
_LINES = msgspec.json.Decoder(Line)
_GLUE = json.JSONDecoder()


def read_records(path: Path) -> Iterator[Record | Drop]:
    """The records of a file in order, and a drop for each line that is none."""
    try:
        with path.open("rb") as lines:
            yield from _records(path, lines)
    except OSError as error:
        yield _drop(Reason.UNREADABLE, path, 0, error.strerror or "")


def _records(path: Path, lines: Iterable[bytes]) -> Iterator[Record | Drop]:
    before, file = None, str(path)
    for number, raw in enumerate(lines, start=1):
        try:
            decoded: Sequence[Line] = (_USUAL.decode(raw),)
        except (msgspec.MsgspecError, RecursionError):
            if raw.isspace():
                continue
            try:
                decoded = decode_line(raw)
            except ValueError as error:
                if number == 1 and (foreign := _foreign(path)):
                    yield foreign
                    return
                yield _drop(Reason.MALFORMED, path, number, str(error))
                continue
        for line in decoded:
            yield _with_message(Record(line, file, number, before))
            before = line.uuid or before


def decode_line(raw: bytes) -> list[Line]:
    """The objects on one line, usually one. Raises ValueError where any part of it is not a record."""
    try:
        return [_decode(raw)]
    except msgspec.ValidationError:
        raise
    except (msgspec.DecodeError, RecursionError):
        return [_decode(piece) for piece in _unglue(raw)]


def _decode(raw: bytes) -> Line:
    try:
        return _USUAL.decode(raw)
    except msgspec.ValidationError:
        return _LINES.decode(raw)  # a message of another shape is no message; the record counts all the same


def _unglue(raw: bytes) -> list[bytes]:
    """The JSON values on a line, one after the other; lone surrogates in them become question marks."""
    text = raw.decode("utf-8", "replace").strip()
    pieces, start = [], 0
    while start < len(text):
        try:
            value, start = _GLUE.raw_decode(text, start)
            pieces.append(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
        except RecursionError:
            raise ValueError("JSON nested too deeply") from None
        while start < len(text) and text[start].isspace():
            start += 1
    return pieces


def _with_message(record: Record) -> Record:
    """The record with the blocks of its API message, if it is a user's or an assistant's."""
    line = record.line
    message = line.message if isinstance(line, _Usual) else None
    if message is None or line.type not in ("user", "assistant"):
        return record
    content = message.content
    record.blocks = [Block("text", text=content)] if isinstance(content, str) else content or []
    # toolUseResult repeats whole files; the reader needs the text of persisted outputs and the ids of subagents.
    if b'"agentId"' not in bytes(line.tool_use_result) and not any(map(_is_persisted, record.blocks)):
        line.tool_use_result = msgspec.Raw()
    record.message_id = message.id or record.line.uuid or ""
    record.model = message.model or ""
    return record


def _is_persisted(block: Block) -> bool:
    return isinstance(block.content, str) and block.content.lstrip().startswith(PERSISTED)


def _foreign(path: Path) -> Drop | None:
    """The drop of a file that is one JSON object with messages, as the Gemini CLI writes them."""
    try:
        whole = msgspec.json.decode(path.read_bytes())
    except (msgspec.DecodeError, RecursionError):
        return None
    if isinstance(whole, dict) and isinstance(whole.get("messages"), list):
        return _drop(Reason.FOREIGN, path, 0, f"{len(whole['messages'])} messages of another agent")
    return None


def _drop(reason: Reason, path: Path, number: int, detail: str) -> Drop:
    return Drop(STAGE, reason, str(path), detail, str(path), number, records=1)
