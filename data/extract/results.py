"""Tool results: their text, their status, and the human words that hide in a rejection.

A result that Claude Code stored beside the transcript is read from the session's own folder, and from nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from data import lenient_json
from data.extract.transcript import PERSISTED, Block, Record
from data.files import open_regular
from data.record import ResultStatus

REJECTED = "The user doesn't want to proceed with this tool use."
SAID = "To tell you how to proceed, the user said:\n"
SIDE_FILE_CHARS = 400_000  # the largest persisted output seen was 408,772 characters; more is cut in the middle
_SAFE_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
_ACCEPTED = ("User has approved your plan", "User has approved exiting plan mode")


class Result(msgspec.Struct, frozen=True):
    """One result. `said` is what the user wrote when rejecting the call, if anything."""

    text: str
    status: ResultStatus
    said: str = ""


def read_result(block: Block, record: Record, tool: str) -> Result:
    """The result in a tool_result block of a record, for a call of the named tool."""
    text = plain_text(block.content)
    start = text.lstrip()
    if start.startswith(REJECTED):
        return _rejection(start, tool)
    if start.startswith(PERSISTED):
        text = _persisted(block.tool_use_id or "", record) or text
    if tool == "ExitPlanMode" and start.startswith(_ACCEPTED):
        return Result(text, ResultStatus.ACCEPTED_PLAN)
    return Result(text, ResultStatus.ERROR if block.is_error else ResultStatus.OK)


def _rejection(text: str, tool: str) -> Result:
    """A rejected call. Most rejected plans were accepted with a cleared context, so none of them counts as a no."""
    head, _, said = text.partition(SAID)
    status = ResultStatus.REJECTED if tool != "ExitPlanMode" or said else ResultStatus.ACCEPTED_PLAN
    return Result(head.strip(), status, said.strip())


def plain_text(content: Any) -> str:
    """The text of a result's content: a string, or a list of text and image blocks."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    return "\n".join(part for part in map(_part, content) if part)


def _part(block: Any) -> str:
    if not isinstance(block, dict):
        return ""
    if block.get("type") == "image":
        return "[image]"
    text = block.get("text")
    return text if isinstance(text, str) else ""


def _persisted(call_id: str, record: Record) -> str:
    """The full text of an output that was too large for the transcript, where it survives."""
    return _from_side_file(call_id, record) or _from_tool_use_result(record)


def _from_side_file(call_id: str, record: Record) -> str:
    session = record.line.session_id or ""
    if not (_SAFE_ID.fullmatch(call_id) and _SAFE_ID.fullmatch(session)):
        return ""
    folder = Path(record.file).parent / session / "tool-results"
    path = folder / f"{call_id}.txt"
    try:
        if not path.resolve(strict=True).is_relative_to(folder.resolve(strict=True)):
            return ""
        return _read_bounded(path)
    except OSError:
        return ""


def _read_bounded(path: Path) -> str:
    with open_regular(path) as file:
        size = path.stat().st_size
        if size <= SIDE_FILE_CHARS:
            return file.read().decode("utf-8", "replace")
        head = file.read(SIDE_FILE_CHARS // 2)
        file.seek(size - SIDE_FILE_CHARS // 2)
        tail = file.read()
    return f"{head.decode('utf-8', 'ignore')}\n[...]\n{tail.decode('utf-8', 'ignore')}"


def _from_tool_use_result(record: Record) -> str:
    detail = tool_use_detail(record)
    texts = (detail.get(key) for key in ("stdout", "content"))
    return next((text for text in texts if isinstance(text, str) and text.strip()), "")


def tool_use_detail(record: Record) -> dict[str, Any]:
    """What the client kept beside a result, if it is an object."""
    value = decoded(record.line.tool_use_result)
    return value if isinstance(value, dict) else {}


def decoded(raw: msgspec.Raw) -> Any:
    """The value of a field that was left undecoded; None where it is absent or no JSON."""
    try:
        return lenient_json.loads(bytes(raw)) if bytes(raw) else None
    except ValueError:
        return None


def agent_calls(records: Iterable[Record]) -> dict[str, str]:
    """The id of the call that started each subagent, by agent id."""
    calls = {}
    for record in records:
        if b'"agentId"' in bytes(record.line.tool_use_result):
            call = next((block.tool_use_id for block in record.blocks if block.type == "tool_result"), None)
            agent = tool_use_detail(record).get("agentId")
            if call and isinstance(agent, str):
                calls[agent] = call
    return calls
