"""The contracted tree of a thread: one node for each API message with its results, one for each thing said.

Raw parents make a fork of nearly every tool call, because progress, system records and parallel results hang in
the same chain. Here they do not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from data.extract.human import classify, is_skill_body
from data.extract.results import Result, decoded, plain_text, read_result
from data.extract.transcript import Block, Reason, Record
from data.plain import is_blank
from data.record import ToolCall, User, UserKind

# What is no message. Children of those with a uuid belong to the node above them.
_NO_MESSAGE = {
    "progress": Reason.PROGRESS,
    "system": Reason.SYSTEM,
    "file-history-snapshot": Reason.SNAPSHOT,
    "summary": Reason.TITLE,
    "ai-title": Reason.TITLE,
    "custom-title": Reason.TITLE,
    "queue-operation": Reason.QUEUE,
}
_HUMAN = (UserKind.PROMPT, UserKind.COMMAND, UserKind.PLAN, UserKind.QUEUED)


class Node(msgspec.Struct):
    """A node of the contracted tree: a reply with the results of its calls, something said, or a compaction."""

    kind: Literal["reply", "said", "boundary"]
    key: str
    session: str
    seq: int
    parent: str | None = None
    records: list[Record] = []
    blocks: list[Block] = []
    calls: dict[str, ToolCall] = {}
    results: dict[str, Result] = {}
    users: tuple[User, ...] = ()
    time: str = ""
    synthetic: bool = False

    @property
    def visible(self) -> bool:
        """Whether it holds something that a person could see: the leaf of a live path must."""
        if self.kind == "reply":
            return not self.synthetic and (bool(self.calls) or bool(reply_text(self)))
        return any(user.kind in _HUMAN for user in self.users)


class Tree(msgspec.Struct):
    """Nodes in order of appearance, and the children of each; those of None open segments."""

    nodes: dict[str, Node]
    children: dict[str | None, list[str]]


def reply_text(node: Node) -> str:
    """The visible text of a reply: its text blocks without the blank ones, repeated rows once."""
    texts = dict.fromkeys(b.text.strip() for b in node.blocks if b.type == "text" and isinstance(b.text, str))
    return "\n\n".join(text for text in texts if not is_blank(text))


def contract(records: Sequence[Record]) -> Tree:
    """The tree of one thread. Progress, system records and tool results are no nodes and so no forks."""
    builder = _Builder(records)
    for record in records:
        builder.place(record)
    return builder.link()


class _Builder:
    """Collects nodes first and parents second, since a child may stand before its parent."""

    def __init__(self, records: Sequence[Record]) -> None:
        self.nodes: dict[str, Node] = {}
        self.owner: dict[str, str] = {}  # record uuid -> node key
        self.caller: dict[str, str] = {}  # tool_use id -> node key
        self.known = {r.line.uuid: r for r in records if r.line.uuid}
        self.preserved: dict[str, tuple[int, str]] = {}  # kept tail -> its compaction's place and summary
        for record in records:
            if record.line.type == "assistant":
                self._reply(record)

    def _reply(self, record: Record) -> None:
        key = record.message_id or record.line.uuid or f"{record.file}:{record.number}"
        node = self.nodes.get(key)
        if node is None:
            node = self.nodes[key] = Node("reply", key, record.line.session_id or "", record.seq)
        node.synthetic |= record.model == "<synthetic>" or bool(record.line.is_api_error_message)
        self._own(node, record)
        node.blocks.extend(record.blocks)
        for block in record.blocks:
            if block.type == "tool_use" and block.id:
                self.caller[block.id] = key
                node.calls.setdefault(block.id, ToolCall(block.id, block.name or "", ""))

    def _own(self, node: Node, record: Record) -> None:
        node.records.append(record)
        stamp = record.line.timestamp or ""
        if stamp > node.time and stamp.startswith("2"):  # another beginning is no date of these years
            node.time = stamp
        if record.line.uuid:
            self.owner[record.line.uuid] = node.key

    def place(self, record: Record) -> None:
        """Give a record that is no assistant line to a node, or its fate."""
        line = record.line
        if line.type == "assistant":
            return
        if line.type == "user":
            self._user(record)
        elif line.type == "system" and line.subtype == "compact_boundary" and line.uuid:
            self._add("boundary", record, ())
            self._preserve(record)
        elif line.type == "attachment" and (user := queued_command(record)):
            self._add("said", record, (user,))
        elif line.type == "pr-link":
            record.fate = "used"
        else:
            record.fate = _fate_of_other(record)

    def _preserve(self, record: Record) -> None:
        """A compaction can keep the last messages; what follows them then hangs below the summary."""
        metadata = record.line.compact_metadata
        segment = metadata.get("preservedSegment") if isinstance(metadata, dict) else None
        if isinstance(segment, dict):
            tail, anchor = segment.get("tailUuid"), segment.get("anchorUuid")
            if isinstance(tail, str) and isinstance(anchor, str) and anchor in self.known:
                self.preserved[tail] = record.seq, anchor

    def _user(self, record: Record) -> None:
        result = next((b for b in record.blocks if b.type == "tool_result"), None)
        if result is not None:
            self._result(record, result)
        elif is_skill_body(record) and (node := self._calling(record.line.source_tool_use_id)):
            self._append_to_result(node, record)
        else:
            users = classify(record)
            if isinstance(users, Reason):
                record.fate = users
            else:
                self._add("said", record, users)

    def _calling(self, call_id: str | None) -> Node | None:
        key = self.caller.get(call_id or "")
        return self.nodes[key] if key is not None else None

    def _result(self, record: Record, block: Block) -> None:
        node = self._calling(block.tool_use_id)
        users = classify(record)
        if node is None:
            record.fate = Reason.ORPHAN_RESULT
            if not isinstance(users, Reason):
                self._add("said", record, users)
            return
        self._own(node, record)
        call_id = block.tool_use_id or ""
        if call_id in node.results:
            return
        result = node.results[call_id] = read_result(block, record, node.calls[call_id].name)
        if not is_blank(result.said):
            node.users += (_user_at(record, result.said, UserKind.REJECTION),)
        if not isinstance(users, Reason):
            node.users += tuple(_user_at(record, user.text, _beside(user.kind)) for user in users)

    def _append_to_result(self, node: Node, record: Record) -> None:
        call_id = record.line.source_tool_use_id or ""
        body = plain_text([{"text": b.text} for b in record.blocks if b.type == "text"])
        if result := node.results.get(call_id):
            node.results[call_id] = msgspec.structs.replace(result, text=f"{result.text}\n{body}")
        self._own(node, record)

    def _add(self, kind: Literal["said", "boundary"], record: Record, users: tuple[User, ...]) -> None:
        key = record.line.uuid or f"{record.file}:{record.number}"
        node = Node(kind, key, record.line.session_id or "", record.seq, users=users)
        self.nodes[key] = node
        self._own(node, record)
        record.fate = ""

    def link(self) -> Tree:
        ordered = sorted(self.nodes.values(), key=lambda node: node.seq)
        children: dict[str | None, list[str]] = defaultdict(list)
        latest: dict[str, str] = {}  # session -> node key, for slices whose head is lost
        for node in ordered:
            node.parent = self._parent(node, latest.get(node.session))
            children[node.parent].append(node.key)
            latest[node.session] = node.key
        _cut_loops(self.nodes, children)
        return Tree({node.key: node for node in ordered}, dict(children))

    def _parent(self, node: Node, previous: str | None) -> str | None:
        """The node above, through transparent records; a lost parent is bridged by the record before it."""
        record: Record | None = node.records[0]
        visited: set[int] = set()
        while record is not None and id(record) not in visited:
            visited.add(id(record))
            above = _above(record, self.known)
            if above is None:
                return previous if record.line.parent_uuid and not record.before else None
            place, summary = self.preserved.get(above, (node.seq, ""))
            if place < node.seq:
                above = summary
            owner = self.owner.get(above)
            if owner is not None and owner != node.key:
                return owner
            record = self.known.get(above)
        return None


def _above(record: Record, known: Mapping[str, Record]) -> str | None:
    """The uuid of the record above: the parent if it exists, else the record before it in the file."""
    line = record.line
    if line.type == "system" and line.subtype == "compact_boundary":
        above = line.logical_parent_uuid
        return above if above and above in known else record.before
    if line.parent_uuid is None or line.parent_uuid in known:
        return line.parent_uuid
    return record.before


def _cut_loops(nodes: dict[str, Node], children: dict[str | None, list[str]]) -> None:
    """Broken input can name a descendant as parent; such a node opens a segment of its own."""
    reached: set[str] = set()
    for key in nodes:
        path: dict[str, None] = {}
        at: str | None = key
        while at is not None and at not in reached and at not in path:
            path[at] = None
            at = nodes[at].parent
        if at is not None and at in path:
            children[nodes[at].parent].remove(at)
            nodes[at].parent = None
            children[None].append(at)
        reached.update(path)


def queued_command(record: Record) -> User | None:
    """The human text of an attachment that delivered a queued command (versions after 2.1.42)."""
    if not bytes(record.line.attachment):
        return None
    value = decoded(record.line.attachment)
    if not isinstance(value, dict) or value.get("type") != "queued_command":
        return None
    prompt = plain_text(value.get("prompt")).strip()
    return None if is_blank(prompt) else _user_at(record, prompt, UserKind.QUEUED)


def _fate_of_other(record: Record) -> str:
    line = record.line
    if line.type == "progress" and b'"agent_progress"' in bytes(line.data):
        return Reason.SUBAGENT_PROGRESS
    return _NO_MESSAGE.get(line.type, Reason.UNKNOWN_TYPE)


def _user_at(record: Record, text: str, kind: UserKind) -> User:
    return User(text, kind, record.line.uuid or "", record.file, record.number)


def _beside(kind: UserKind) -> UserKind:
    return UserKind.BESIDE_RESULT if kind is UserKind.PROMPT else kind
