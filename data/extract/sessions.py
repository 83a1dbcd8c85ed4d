"""Claude Code sessions as conversations: one for each epoch of each live path, and one for each subagent.

`units(folder)` groups the transcripts that share records or a session; `read(unit)` reconstructs a group.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import filterfalse, zip_longest
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from data import lenient_json
from data.extract.forgetting import remembered
from data.extract.glance import Glance, Look, look_at_all, sharing
from data.extract.history import epochs, live_paths, threads, union
from data.extract.library import NOTHING, Archived
from data.extract.queue import delivered, inject
from data.extract.results import agent_calls
from data.extract.transcript import STAGE, Line, Reason, Record, read_records
from data.extract.tree import Node, Tree, contract, reply_text
from data.extract.unit import SourceError, Unit, sized
from data.files import shown
from data.record import (
    Assistant,
    Conversation,
    Drop,
    Message,
    Origin,
    ResultStatus,
    Tally,
    Tool,
    ToolCall,
    User,
    UserKind,
)
from data.stage import LedgerImbalance

OBSERVER_SUFFIX = "observer-sessions"
JOURNAL = "journal.jsonl"  # a workflow's own log, beside the transcripts of its subagents
DEEPEST = 100  # levels of arguments; the tools known today take five
NO_RESULT = "[No result of this call was recorded.]"


def units(folder: Path, role: str = "", look: Look = look_at_all, archived: Archived = NOTHING) -> Iterator[Unit]:
    """Groups of transcripts under a projects folder, each to be read together, in a stable order.

    A session can stand in two projects, when its folder was moved or it was resumed elsewhere, or in part in the
    archive alone: all are grouped at once.

    Raises SourceError where the folder is missing.
    """
    if not folder.is_dir() and not archived.files:
        raise SourceError(f"{folder} is not a folder. Give the folder with your transcripts: --sessions DIR.")
    files = sorted([*transcripts(folder), *archived.pick(transcripts)])
    stored = {project: sorted(project.glob("*/tool-results/*")) for project in {_project(path) for path in files}}
    glances = look(files)
    sizes = {path: glance.size for path, glance in zip(files, glances, strict=True)}
    for family in families(files, glances):
        projects = dict.fromkeys(map(_project, family))
        unit = sized(
            "sessions", Path(shown(family[0])).stem, family, role, [path for p in projects for path in stored[p]]
        )
        yield replace(unit, sizes=tuple(sizes[path] for path in family))


def transcripts(folder: Path) -> list[Path]:
    """Every transcript under a projects folder, of sessions and of their subagents.

    A folder that cannot be opened stands for what is in it, so that its reader names it.
    """
    if not folder.is_dir():
        return []
    projects = [folder, *(p for p in folder.iterdir() if p.is_dir() and not p.name.endswith(OBSERVER_SUFFIX))]
    found = (path for p in projects for pattern in ("*.jsonl", "*/subagents/**/*.jsonl") for path in p.glob(pattern))
    return sorted({*(path for path in found if path.name != JOURNAL), *filterfalse(_is_open, _folders(projects))})


def _folders(projects: Iterable[Path]) -> Iterator[Path]:
    """The folders in which transcripts stand."""
    for project in projects:
        yield from (project, *project.glob("*/"), *project.glob("*/subagents/"))


def _is_open(folder: Path) -> bool:
    return os.access(folder, os.R_OK | os.X_OK)


def _project(path: Path) -> Path:
    """The project folder of a transcript: subagents stand deeper."""
    deep = [at for at, part in enumerate(path.parts) if part == "subagents"]
    return path.parents[len(path.parts) - deep[-1]] if deep else path.parent


def families(files: Sequence[Path], glances: Sequence[Glance]) -> list[tuple[Path, ...]]:
    """Files that share a record, a session or a message id, directly or through others, together."""
    leader = list(range(len(files)))

    def find(index: int) -> int:
        while leader[index] != index:
            leader[index] = leader[leader[index]]
            index = leader[index]
        return index

    for one, other in sharing([glance.identities for glance in glances]):
        first, second = sorted((find(one), find(other)))
        leader[second] = first
    groups: dict[int, list[Path]] = {}
    for index, path in enumerate(files):
        groups.setdefault(find(index), []).append(path)
    return [tuple(group) for group in groups.values()]


def read(unit: Unit) -> Iterator[Conversation | Drop]:
    """The conversations of a group of transcripts, and a drop for whatever is not in one.

    Every record ends as `used` or under a named reason; raises LedgerImbalance if one does not.
    """
    files: list[list[Record]] = []
    for path, size in zip_longest(unit.files, unit.sizes):
        records: list[Record] = []
        for item in read_records(Path(path), size):
            if isinstance(item, Drop):
                yield item
            else:
                records.append(item)
        files.append(records)
    kept = union(files)
    group = next((r.line.session_id for r in kept if r.line.session_id), unit.name)
    kept = remembered(kept, files, unit.forgotten)
    started_by = agent_calls(kept)
    told: set[str] = set()  # replies that an earlier path or thread trains
    for name, records in threads(kept).items():
        yield from _Thread(name, group, started_by.get(name, ""), records, told).outcomes()
    yield from _fates([record for records in files for record in records])


def _fates(records: Iterable[Record]) -> Iterator[Drop]:
    """One drop for each file and fate with the number of records."""
    counts: Counter[tuple[str, str]] = Counter()
    first: dict[tuple[str, str], int] = {}
    for record in records:
        if not record.fate:
            raise LedgerImbalance(f"{record.file}:{record.number} is neither used nor set aside")
        key = (record.file, str(record.fate))
        counts[key] += 1
        first.setdefault(key, record.number)
    for (file, fate), count in counts.items():
        yield Drop(STAGE, fate, file, file=file, line=first[file, fate], records=count)


class _Thread:
    """One thread of a group: the main conversation of its sessions, or one subagent."""

    def __init__(self, name: str, group: str, parent_call: str, records: list[Record], told: set[str]) -> None:
        self.name = name
        self.group = group
        self.parent_call = parent_call
        self.records = records
        self.tree: Tree = contract(records)
        self.told = told
        self.facts = ("pull_request",) if any(r.line.type == "pr-link" for r in records) else ()

    def outcomes(self) -> Iterator[Conversation | Drop]:
        if self.name and self._is_warmup():
            yield from self._set_aside(self.tree.nodes.values(), Reason.WARMUP)
            return
        queued = delivered(self.records)
        lived: set[str] = set()
        for segment, (session, path) in enumerate(live_paths(self.tree)):
            lived.update(node.key for node in path)
            for epoch, nodes in enumerate(epochs(inject(path, session, queued))):
                yield from self._epoch(session, segment, epoch, nodes)
        dead = [node for node in self.tree.nodes.values() if node.key not in lived]
        yield from self._set_aside(dead, Reason.REWOUND)

    def _is_warmup(self) -> bool:
        first = next((node for node in self.tree.nodes.values() if node.users), None)
        return first is not None and first.users[0].text == "Warmup"

    def _set_aside(self, nodes: Iterable[Node], reason: Reason) -> Iterator[Drop]:
        for node in nodes:
            why = _unusable(node) or reason
            _finish(node, why)
            if node.kind == "reply" and node.key not in self.told:
                self.told.add(node.key)
                yield _reply_drop(node, why)

    def _epoch(self, session: str, segment: int, epoch: int, nodes: list[Node]) -> Iterator[Conversation | Drop]:
        messages: list[Message] = []
        if not any(node.kind == "reply" and not _unusable(node) for node in nodes):
            yield from self._set_aside(nodes, Reason.NO_REPLY)
            return
        for node in nodes:
            if node.kind == "reply" and (why := _unusable(node)):
                _finish(node, why)
                if node.key not in self.told:
                    self.told.add(node.key)
                    yield _reply_drop(node, why)
                messages.extend(_usable_users(node))
            else:
                messages.extend(self._messages(node))
                _finish(node, "used")
        if any(isinstance(m, Assistant) and m.train for m in messages):
            origin = self._origin(session, segment, epoch, nodes)
            yield Conversation(_identifier(origin), origin, tuple(messages), facts=self.facts)

    def _messages(self, node: Node) -> Iterator[Message]:
        if node.kind == "reply":
            calls = tuple(_call(node, call_id) for call_id in node.calls)
            text = reply_text(node)
            yield Assistant(
                text=text,
                id=node.key,
                reasoning="\n\n".join(b.thinking for b in node.blocks if b.type == "thinking" and b.thinking),
                calls=calls,
                train=node.key not in self.told,
                said=len(text),
                chars=len(text) + sum(len(call.arguments) for call in calls),
                file=node.records[0].file,
                line=node.records[0].number,
            )
            self.told.add(node.key)
            for call in calls:
                result = node.results.get(call.id)
                if result:
                    yield Tool(call.id, call.name, result.text, result.status)
                else:
                    yield Tool(call.id, call.name, NO_RESULT, ResultStatus.MISSING)
        yield from node.users

    def _origin(self, session: str, segment: int, epoch: int, nodes: Sequence[Node]) -> Origin:
        lines = [r for node in nodes for r in node.records]
        home = lines[0].file
        numbers = [r.number for r in lines if r.file == home]
        first: Line = next((r.line for r in lines if r.line.cwd), lines[0].line)
        model = next((r.model for r in lines if r.line.type == "assistant" and r.model), "")
        return Origin(
            source=STAGE,
            session=session or self.group,
            group=self.group,
            file=home,
            lines=(min(numbers), max(numbers)),
            segment=segment,
            epoch=epoch,
            cwd=first.cwd or "",
            branch=first.git_branch or "",
            model=model,
            started=first.timestamp or "",
            agent=self.name,
            parent_call=self.parent_call,
        )


def _identifier(origin: Origin) -> str:
    agent = f"/{origin.agent}" if origin.agent else ""
    return f"{origin.session}{agent}:{origin.segment}.{origin.epoch}"


def _unusable(node: Node) -> Reason | None:
    """Why a reply can never be a target, nor context: the model did not show it."""
    if node.kind != "reply":
        return None
    if node.synthetic:
        return Reason.SYNTHETIC
    if node.visible:
        return None
    return Reason.THINKING_ONLY if any(b.type == "thinking" for b in node.blocks) else Reason.EMPTY


def _usable_users(node: Node) -> tuple[User, ...]:
    return tuple(user for user in node.users if user.kind is not UserKind.INTERRUPT)


def _finish(node: Node, fate: str) -> None:
    for record in node.records:
        record.fate = record.fate or fate


def _reply_drop(node: Node, reason: Reason) -> Drop:
    said = len(reply_text(node))
    chars = said + sum(len(_call(node, call_id).arguments) for call_id in node.calls)
    first = node.records[0]
    tally = Tally(0, 1, len(node.calls), said, chars)
    return Drop(STAGE, reason, node.key, file=first.file, line=first.number, tally=tally)


def _call(node: Node, call_id: str) -> ToolCall:
    """The call with its arguments as normal JSON text: the model's own keys and order, spaces after `,` and `:`."""
    block = next(b for b in node.blocks if b.type == "tool_use" and b.id == call_id)
    arguments = _arguments(bytes(block.input) or b"{}")
    if not isinstance(arguments, dict):
        arguments = {"input": arguments}
    return ToolCall(call_id, block.name or "", lenient_json.dumps(arguments))


def _arguments(raw: bytes) -> Any:
    """The value of the arguments; their text where it is nested deeper than any stage should have to follow."""
    try:
        value = lenient_json.loads(raw)
    except ValueError:
        return raw.decode("utf-8", "replace")
    if raw.count(b"[") + raw.count(b"{") > DEEPEST and lenient_json.is_deep(value, DEEPEST):
        return raw.decode("utf-8", "replace")
    return value
