"""One session's transcript while it is being written: the clock, the parent chain and the envelope of every record.

`Transcript` knows the on-disk format and nothing of what is said; `data.sample.dialogue` says it.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

import msgspec

from data.sample.ids import draw_token, draw_uuid
from data.sample.people import Actor, project_folder

Row = dict[str, Any]
Block = Mapping[str, Any]
SLUG_WORDS = (
    "amber",
    "quiet",
    "brisk",
    "mossy",
    "humming",
    "sailing",
    "folding",
    "otter",
    "lantern",
    "willow",
)


@dataclass(frozen=True)
class Call:
    """A tool call on its way: its id, its tool, and the uuid of the record that holds it."""

    id: str
    tool: str
    row: str


@dataclass(frozen=True)
class Reply:
    """An API message of the assistant; its blocks become one record each."""

    id: str
    request: str
    context_tokens: int


class Transcript:
    """The records of one session in file order, and what is needed to add the next."""

    def __init__(self, rng: Random, actor: Actor, start: datetime, version: str, model: str) -> None:
        self.rng = rng
        self.actor = actor
        self.session = draw_uuid(rng)
        self.folder = actor.folder
        self.branch = actor.branch
        self.clock = start
        self.version = version
        self.model = model
        self.slug = "-".join(rng.sample(SLUG_WORDS, 3))
        self.parent: str | None = None
        self.agent: str | None = None
        """The id of the subagent that is speaking, or None."""
        self.rows: list[Row] = []
        self.marks: list[int] = []
        """Lengths of `rows` at the ends of finished exchanges: places where a file may be cut."""
        self.side_files: dict[str, bytes] = {}
        """Further files of the session, by path under the project's folder."""

    @property
    def project(self) -> str:
        """The project folder of the session, under the town's output folder."""
        return f"projects/{project_folder(self.actor.folder)}"

    @property
    def path(self) -> str:
        """The session's file, under the town's output folder."""
        return f"{self.project}/{self.session}.jsonl"

    def wait(self, least: float = 0.3, most: float = 4.0) -> None:
        """Let time pass, in seconds."""
        self.clock += timedelta(milliseconds=int(self.rng.uniform(least, most) * 1000))

    def stamp(self) -> str:
        """The present time as the records write it: ISO, milliseconds, Z."""
        return self.clock.strftime("%Y-%m-%dT%H:%M:%S.") + f"{self.clock.microsecond // 1000:03d}Z"

    def add(self, kind: str, **fields: Any) -> Row:
        """Append a record of the parent chain and make it the parent of the next."""
        self.wait()
        row: Row = {
            "parentUuid": self.parent,
            "isSidechain": self.agent is not None,
            "userType": "external",
            "cwd": self.folder,
            "sessionId": self.session,
            "version": self.version,
            "gitBranch": self.branch,
        }
        if self.agent:
            row["agentId"] = self.agent
        if len(self.rows) > 2:
            row["slug"] = self.slug
        row |= {"type": kind, **fields}
        row.setdefault("uuid", draw_uuid(self.rng))
        row.setdefault("timestamp", self.stamp())
        self.rows.append(row)
        self.parent = row["uuid"]
        return row

    def add_beside(self, parent: str | None, kind: str, **fields: Any) -> Row:
        """Append a record under another parent; the chain goes on where it was."""
        chain, self.parent = self.parent, parent
        row = self.add(kind, **fields)
        self.parent = chain
        return row

    def add_bare(self, kind: str, **fields: Any) -> Row:
        """Append a record that stands outside of the parent chain, such as a summary or a snapshot."""
        row: Row = {"type": kind, **fields}
        self.rows.append(row)
        return row

    def say(self, content: str | Sequence[Block], **fields: Any) -> Row:
        """A user record; `fields` are its flags, such as isMeta."""
        return self.add("user", message={"role": "user", "content": content}, **fields)

    def open_reply(self) -> Reply:
        """Begin an assistant message."""
        rng = self.rng
        tokens = 9000 + 180 * len(self.rows) + rng.randint(0, 99)
        return Reply(draw_token(rng, "msg_01"), draw_token(rng, "req_011C"), tokens)

    def write_blocks(self, reply: Reply, *blocks: Block, stop: str | None = None) -> Row:
        """One record of an assistant message; nearly always it has one block."""
        usage = {
            "input_tokens": 3,
            "cache_creation_input_tokens": self.rng.randint(40, 900),
            "cache_read_input_tokens": reply.context_tokens,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 9},
            "output_tokens": self.rng.randint(2, 160),
            "service_tier": "standard",
        }
        message = {
            "model": self.model,
            "id": reply.id,
            "type": "message",
            "role": "assistant",
            "content": list(blocks),
            "stop_reason": stop,
            "stop_sequence": None,
            "usage": usage,
        }
        return self.add("assistant", message=message, requestId=reply.request)

    def call(self, reply: Reply, tool: str, arguments: Mapping[str, Any]) -> Call:
        """A tool call as a record of the message."""
        call_id = draw_token(self.rng, "toolu_01")
        row = self.write_blocks(reply, {"type": "tool_use", "id": call_id, "name": tool, "input": arguments})
        return Call(call_id, tool, row["uuid"])

    def result(self, call: Call, content: Any, detail: Any = None, **flags: Any) -> Row:
        """The result of a call, under the record that holds the call. `detail` is the toolUseResult."""
        block = {"tool_use_id": call.id, "type": "tool_result", "content": content, **flags}
        return self.result_blocks(call, [block], detail)

    def result_blocks(self, call: Call, blocks: Sequence[Block], detail: Any = None) -> Row:
        """A result record with the given content blocks."""
        self.parent = call.row
        extra: Row = {} if detail is None else {"toolUseResult": detail}
        if not self.version.startswith("2.0."):
            extra["sourceToolAssistantUUID"] = call.row
        return self.say(blocks, **extra)

    def copy_under(self, session: str, rows: int) -> "Transcript":
        """A transcript of another session that begins with this one's first `rows` records, uuids unchanged."""
        twin = copy.copy(self)
        twin.session = session
        twin.rows = [{**row, "sessionId": session} if "sessionId" in row else row for row in self.rows[:rows]]
        twin.marks, twin.side_files = [], {}
        twin.parent = next((row["uuid"] for row in reversed(twin.rows) if "uuid" in row), None)
        return twin


def encode_rows(rows: Sequence[Row]) -> bytes:
    """The file of these records: one compact JSON object per line."""
    encode = msgspec.json.encode
    return b"".join(encode(row) + b"\n" for row in rows)
