"""Human words that were typed while the agent worked and stand nowhere but in queue records.

A `remove` without a matching user record was delivered in the middle of a turn: the text belongs after the
result that stands before it. `dequeue` is recorded as an ordinary prompt, `popAll` was never sent.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from data.extract.human import kind_of
from data.extract.transcript import Record
from data.extract.tree import Node
from data.plain import is_blank
from data.record import User, UserKind


def delivered(records: Iterable[Record]) -> list[tuple[Record, User]]:
    """The texts that left the queue in the middle of a turn, each with the record of its removal."""
    waiting: dict[str, deque[str]] = {}
    texts: list[tuple[Record, User]] = []
    for record in records:
        if record.line.type != "queue-operation":
            continue
        queue = waiting.setdefault(record.line.session_id or "", deque())
        match record.line.operation:
            case "enqueue":
                queue.append(record.line.content if isinstance(record.line.content, str) else "")
            case "dequeue" | "remove" if queue:
                text = queue.popleft().strip()
                if record.line.operation == "remove" and (user := _user(record, text)):
                    texts.append((record, user))
            case "popAll":
                queue.clear()
    return texts


def _user(record: Record, text: str) -> User | None:
    if is_blank(text) or text.startswith("/"):
        return None
    kind = kind_of(text)
    if kind is UserKind.PROMPT:
        kind = UserKind.QUEUED
    return User(text, kind, "", record.file, record.number) if isinstance(kind, UserKind) else None


def inject(path: Sequence[Node], session: str, texts: Iterable[tuple[Record, User]]) -> list[Node]:
    """The path with each text of its session after the node that stood last when it was delivered.

    A text that was also recorded as a message, by an attachment or a late prompt, is not given twice.
    """
    nodes = list(path)
    recorded = {user.text for node in nodes for user in node.users}
    for record, user in texts:
        if record.line.session_id != session or user.text in recorded or not nodes:
            continue
        if not nodes[0].seq <= record.seq <= _last_seq(nodes[-1]) + 1:
            continue
        at = max(i for i, node in enumerate(nodes) if node.seq <= record.seq)
        key = f"{record.file}:{record.number}"
        nodes.insert(at + 1, Node("said", key, session, record.seq, records=[record], users=(user,)))
    return nodes


def _last_seq(node: Node) -> int:
    return max((record.seq for record in node.records), default=node.seq)
