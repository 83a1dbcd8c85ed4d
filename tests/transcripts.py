"""Writes invented transcripts, a record at a time, in the form of Claude Code's files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from data.extract.sessions import read, units
from data.record import Assistant, Conversation, Drop, Tool, User

SESSION = "5e551011-0000-4000-8000-000000000001"


class Script:
    """A transcript being written. Each call adds one record below the last one and returns its uuid."""

    def __init__(self, session: str = SESSION, cwd: str = "/home/ann/work", start: int = 0) -> None:
        self.session = session
        self.cwd = cwd
        self.clock = start
        self.last: str | None = None
        self.lines: list[dict[str, Any]] = []

    def add(self, kind: str, uuid: str | None = None, parent: Any = "last", **fields: Any) -> str:
        self.clock += 1
        uuid = uuid or f"{self.session[-4:]}-{self.clock}"
        above = self.last if parent == "last" else parent
        self.lines.append(
            {
                "parentUuid": above,
                "isSidechain": False,
                "cwd": self.cwd,
                "sessionId": self.session,
                "gitBranch": "main",
                "type": kind,
                "uuid": uuid,
                "timestamp": f"2026-01-05T10:{self.clock // 60:02d}:{self.clock % 60:02d}.000Z",
                **fields,
            }
        )
        self.last = uuid
        return uuid

    def human(self, text: str | list[dict[str, Any]], **fields: Any) -> str:
        return self.add("user", message={"role": "user", "content": text}, **fields)

    def block(self, message: str, block: dict[str, Any], model: str = "claude-x", **fields: Any) -> str:
        api = {"id": message, "model": model, "role": "assistant", "content": [block]}
        return self.add("assistant", message=api, **fields)

    def says(self, text: str, message: str, **fields: Any) -> str:
        return self.block(message, {"type": "text", "text": text}, **fields)

    def thinks(self, message: str, **fields: Any) -> str:
        return self.block(message, {"type": "thinking", "thinking": "hm", "signature": "x"}, **fields)

    def calls(self, call: str, message: str, name: str = "Bash", arguments: Any = None, **fields: Any) -> str:
        block = {"type": "tool_use", "id": call, "name": name, "input": arguments or {"command": f"run {call}"}}
        return self.block(message, block, **fields)

    def result(self, call: str, content: Any = "done", error: bool = False, **fields: Any) -> str:
        block = {"type": "tool_result", "tool_use_id": call, "content": content, "is_error": error}
        return self.human([block], **fields)

    def bare(self, kind: str, **fields: Any) -> None:
        """A record without a uuid, such as a queue operation."""
        self.clock += 1
        stamp = f"2026-01-05T10:{self.clock // 60:02d}:{self.clock % 60:02d}.000Z"
        self.lines.append({"type": kind, "sessionId": self.session, "timestamp": stamp, **fields})

    def text(self) -> str:
        return "".join(json.dumps(line) + "\n" for line in self.lines)

    def save(self, folder: Path, name: str | None = None) -> Path:
        project = folder / "-home-ann-work"
        project.mkdir(parents=True, exist_ok=True)
        path = project / f"{name or self.session}.jsonl"
        path.write_text(self.text())
        return path


def read_all(folder: Path) -> tuple[list[Conversation], list[Drop]]:
    """Every conversation and drop that the sessions source makes of a folder."""
    items = [item for unit in units(folder) for item in read(unit)]
    conversations = [item for item in items if isinstance(item, Conversation)]
    return conversations, [item for item in items if isinstance(item, Drop)]


def reasons(drops: list[Drop]) -> dict[str, int]:
    """Records set aside, by reason; replies by reason where a drop stands for one."""
    counts: dict[str, int] = {}
    for drop in drops:
        counts[str(drop.reason)] = counts.get(str(drop.reason), 0) + drop.records
    return counts


def shape(conversation: Conversation) -> list[str]:
    """A conversation as short words: what people said, what was replied, what tools gave."""
    words = []
    for message in conversation.messages:
        match message:
            case User():
                words.append(f"{message.kind}: {message.text}")
            case Assistant():
                calls = " ".join(f"[{call.id}]" for call in message.calls)
                words.append(f"reply{'' if message.train else ' (context)'}: {message.text} {calls}".rstrip())
            case Tool():
                words.append(f"{message.call_id} {message.status}: {message.text}")
    return words
