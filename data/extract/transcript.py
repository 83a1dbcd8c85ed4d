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
from data.files import open_regular, shown
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
    TOO_LARGE = "larger than any window"
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
_TELLING = 200  # bytes of a progress record's data that say what it is about
_AT_ONCE = 1 << 22  # bytes of a file that is decoded as a whole
_LARGE = 1 << 24  # bytes of a line; windows hold a few ten thousand characters, pasted images make lines of some MB
_SHOWN = 400_000  # characters of a text in a large line
_LONGEST_REPAIR = 1 << 26  # bytes; real lines are a few MB, and repair needs many times the memory of a line


def read_records(path: Path, size: int | None = None) -> Iterator[Record | Drop]:
    """The records of a file in order, and a drop for each line that is none.

    Of a session that is being written only the first `size` bytes are read, as far as it was looked into.
    """
    try:
        with open_regular(path) as lines:
            start = lines.read(_AT_ONCE if size is None else min(size, _AT_ONCE))
            if len(start) < _AT_ONCE and (decoded := _decode_all(start)) is not None:
                yield from _plain_records(path, decoded)
                return
            lines.seek(0)
            yield from _records(path, lines if size is None else _first(lines, size))
    except OSError as error:
        yield _drop(Reason.UNREADABLE, path, 0, error.strerror or "")


def _decode_all(content: bytes) -> list[_Usual] | None:
    """All records of a file in one go, if every line is one; a line of its own costs half as much again."""
    if b"\n\n" in content or content.startswith(b"\n"):
        return None
    try:
        return _USUAL.decode_lines(content)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None


def _plain_records(path: Path, lines: Iterable[_Usual]) -> Iterator[Record | Drop]:
    before, file = None, shown(path)
    for number, line in enumerate(lines, start=1):
        if number == 1 and not line.type and (foreign := _foreign(path)):
            yield foreign
            return
        yield _with_message(Record(line, file, number, before))
        before = line.uuid or before


def _first(lines: Iterable[bytes], size: int) -> Iterator[bytes]:
    for line in lines:
        if len(line) >= size:
            if size:
                yield line[:size]
            return
        yield line
        size -= len(line)


def _records(path: Path, lines: Iterable[bytes]) -> Iterator[Record | Drop]:
    before, file, decode = None, shown(path), _USUAL.decode
    for number, raw in enumerate(lines, start=1):
        try:
            decoded: Sequence[Line | Broken] = (decode(raw),)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            decoded = repaired(raw)
        for line in decoded:
            if number == 1 and (isinstance(line, Broken) or not line.type) and (foreign := _foreign(path)):
                yield foreign
                return
            if isinstance(line, Broken):
                yield _drop(Reason.MALFORMED, path, number, line)
                continue
            record = _with_message(Record(line, file, number, before))
            if len(raw) > _LARGE and not _made_small(record):
                yield _drop(Reason.TOO_LARGE, path, number, f"a reply of {len(raw) / 1e6:.0f} MB")
                continue
            yield record
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
        if line.type == "progress":  # only its beginning is of use, and a part keeps the whole line in memory
            line.data = msgspec.Raw(bytes(memoryview(line.data)[:_TELLING]))
        return record
    content = message.content
    record.blocks = [Block("text", text=content)] if isinstance(content, str) else content or []
    # toolUseResult repeats whole files; the reader needs the text of persisted outputs and the ids of subagents.
    if b'"agentId"' not in bytes(line.tool_use_result) and not any(map(_is_persisted, record.blocks)):
        line.tool_use_result = msgspec.Raw()
    record.message_id = message.id or record.line.uuid or ""
    record.model = message.model or ""
    return record


def _made_small(record: Record) -> bool:
    """Cut what was said or printed to its ends, which are all that a window can show. A reply is never cut."""
    for block in record.blocks:
        block.text = block.text and _ends(block.text)
        if isinstance(block.content, str):
            block.content = _ends(block.content)
        elif isinstance(block.content, list):
            parts = [part for part in block.content if isinstance(part, dict)]
            block.content = [{"type": p.get("type"), "text": _ends(str(p.get("text") or ""))} for p in parts]
    return record.line.type != "assistant"


def _ends(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN // 2]}\n[...]\n{text[-_SHOWN // 2 :]}"


def _is_persisted(block: Block) -> bool:
    return isinstance(block.content, str) and block.content.lstrip().startswith(PERSISTED)


def _foreign(path: Path) -> Drop | None:
    """The drop of a file that is one JSON object with messages, as the Gemini CLI writes them."""
    try:
        whole = _FOREIGN.decode(path.read_bytes() if path.stat().st_size <= _LONGEST_REPAIR else b"")
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    return _drop(Reason.FOREIGN, path, 0, f"{len(whole.messages)} messages of another agent")


def _drop(reason: Reason, path: Path, number: int, detail: str) -> Drop:
    file = shown(path)
    return Drop(STAGE, reason, file, detail, file, number, records=1)
