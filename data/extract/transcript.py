"""Reads Claude Code transcripts line by line into typed records, and repairs or names what is broken.

One line is one JSON object. Two objects glued on a line are both read; a file that is one object of another
agent is set aside as foreign. Field meanings were measured on real transcripts of versions 2.0 to 2.1.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec

from data.extract.repair import Broken, fitted, values
from data.files import open_regular
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


class _Foreign(msgspec.Struct, gc=False):
    """A whole file of the Gemini CLI."""

    messages: list[msgspec.Raw]


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
_FOREIGN = msgspec.json.Decoder(_Foreign)
_LONGEST_REPAIR = 1 << 26  # bytes; real lines are a few MB, and repair needs many times the memory of a line


def read_records(path: Path, size: int | None = None) -> Iterator[Record | Drop]:
    """The records of a file in order, and a drop for each line that is none.

    Of a session that is being written only the first `size` bytes are read, as far as it was looked into.
    """
    try:
        with open_regular(path) as lines:
            yield from _records(path, lines if size is None else _first(lines, size))
    except OSError as error:
        yield _drop(Reason.UNREADABLE, path, 0, error.strerror or "")


def _first(lines: Iterable[bytes], size: int) -> Iterator[bytes]:
    for line in lines:
        if len(line) >= size:
            yield line[:size]
            return
        yield line
        size -= len(line)


def _records(path: Path, lines: Iterable[bytes]) -> Iterator[Record | Drop]:
    before, file = None, str(path)
    for number, raw in enumerate(lines, start=1):
        try:
            decoded: Sequence[Line | Broken] = (_USUAL.decode(raw),)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            if raw.isspace():
                continue
            decoded = repaired(raw)
        if number == 1 and (not decoded or isinstance(decoded[0], Broken) or not decoded[0].type):
            if foreign := _foreign(path):
                yield foreign
                return
        for line in decoded:
            if isinstance(line, Broken):
                yield _drop(Reason.MALFORMED, path, number, line)
                continue
            yield _with_message(Record(line, file, number, before))
            before = line.uuid or before


def repaired(raw: bytes) -> list[Line | Broken]:
    """What a line that is no plain record holds: its records, and why other parts of it are none."""
    if len(raw) > _LONGEST_REPAIR:
        return [Broken(f"no JSON, and over {_LONGEST_REPAIR >> 20} MiB")]
    return [_line(value) for value in values(raw)]


def _line(value: Any) -> Line | Broken:
    if not isinstance(value, dict):
        return value if isinstance(value, Broken) else Broken(f"Expected an object, got {type(value).__name__}")
    try:
        line = fitted(value, _Usual)
        line.message = _message(value.get("message"))
    except RecursionError:
        return Broken("JSON nested too deeply")
    return line


def _message(value: Any) -> ApiMessage | None:
    """A message of another shape, as far as it is known; None where it is no object."""
    if not isinstance(value, dict):
        return None
    message, content = fitted(value, ApiMessage), value.get("content")
    if isinstance(content, list):
        message.content = [fitted(block, Block) for block in content if isinstance(block, dict)]
    return message


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
        whole = _FOREIGN.decode(path.read_bytes())
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    return _drop(Reason.FOREIGN, path, 0, f"{len(whole.messages)} messages of another agent")


def _drop(reason: Reason, path: Path, number: int, detail: str) -> Drop:
    return Drop(STAGE, reason, str(path), detail, str(path), number, records=1)
