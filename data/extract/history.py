"""From the records of related files to the paths that were really lived.

The union of all copies, the threads in it, and for each thread's tree the live path of each session and its
epochs: parts between two compactions.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from data.extract.transcript import Reason, Record
from data.extract.tree import Node, Tree


def union(files: Sequence[Sequence[Record]]) -> list[Record]:
    """All records of all files once, in the order in which they were lived; copies get their fate here.

    Files come in order of their first time, then length; the first copy of a uuid counts.
    """
    seen: set[str | tuple[str, ...]] = set()
    kept: list[Record] = []
    for record in (record for records in sorted(files, key=_file_order) for record in records):
        key = _identity(record)
        if key in seen:
            record.fate = Reason.COPY
            continue
        seen.add(key)
        record.seq = len(kept)
        kept.append(record)
    return kept


def _file_order(records: Sequence[Record]) -> tuple[str, int, str]:
    first = next((r.line.timestamp for r in records if r.line.timestamp), "")
    return first or "", len(records), records[0].file if records else ""


def _identity(record: Record) -> str | tuple[str, ...]:
    line = record.line
    if line.uuid:
        return line.uuid
    if line.type == "queue-operation":
        return (line.operation or "", line.timestamp or "", str(line.content))
    return (record.file, str(record.number), line.type, str(record.before))


def threads(records: Iterable[Record]) -> dict[str, list[Record]]:
    """The main thread under "", and one thread for each subagent under its agent id or its first uuid."""
    parted: dict[str, list[Record]] = defaultdict(list)
    home: dict[str, str] = {}
    for record in records:
        line = record.line
        key = ""
        if line.is_sidechain:
            key = line.agent_id or home.get(line.parent_uuid or "") or line.uuid or "sidechain"
            if line.uuid:
                home[line.uuid] = key
        parted[key].append(record)
    return parted


def live_paths(tree: Tree) -> Iterator[tuple[str, list[Node]]]:
    """For each segment and session, its live path from the root to the latest leaf with content."""
    for root in tree.children.get(None, []):
        members = list(_subtree(tree, root))
        for session in dict.fromkeys(node.session for node in members):
            leaves = [node for node in members if node.session == session and node.visible]
            if leaves:
                leaf = max(leaves, key=lambda node: (node.time, node.seq))
                yield session, [*_to_root(tree, leaf), *_unbranched_below(tree, leaf)]


def _subtree(tree: Tree, root: str) -> Iterator[Node]:
    stack = [root]
    while stack:
        key = stack.pop()
        yield tree.nodes[key]
        stack.extend(reversed(tree.children.get(key, [])))


def _to_root(tree: Tree, leaf: Node) -> list[Node]:
    path = []
    at: Node | None = leaf
    while at is not None:
        path.append(at)
        at = tree.nodes[at.parent] if at.parent is not None else None
    return path[::-1]


def _unbranched_below(tree: Tree, leaf: Node) -> Iterator[Node]:
    """What follows a leaf without a choice: records that are older by their clock but come later in the chain."""
    children = tree.children.get(leaf.key, [])
    while len(children) == 1 and tree.nodes[children[0]].session == leaf.session:
        node = tree.nodes[children[0]]
        yield node
        children = tree.children.get(node.key, [])


def epochs(path: Sequence[Node]) -> list[list[Node]]:
    """The path cut before each compaction: every part is one real context window."""
    parts: list[list[Node]] = [[]]
    for node in path:
        if node.kind == "boundary" and parts[-1]:
            parts.append([])
        parts[-1].append(node)
    return parts
