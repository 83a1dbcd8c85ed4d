"""Source of knowledge that claude-mem observers wrote down while they watched other sessions.

Reads the project folders whose name ends in `observer-sessions`. A lasting observation becomes one question
and its answer; nothing here is ever a role conversation, because an observer plays no role.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum
from hashlib import blake2b
from pathlib import Path
from typing import Any

import msgspec

from data.extract.jsonl import Line, read_objects, set_aside, text_of, used
from data.extract.knowledge import located, pair
from data.extract.library import NOTHING, Archived
from data.extract.observation import (
    Example,
    Unfit,
    example_of,
    field,
    learned_of,
    parse_learned,
    parse_observations,
)
from data.extract.unit import SourceError, Unit, sized
from data.record import Conversation, Drop, Tally

STAGE = "observers"
FOLDER = "observer-sessions"


class Reason(StrEnum):
    """Why a record gave no conversation; what an observation was unfit for is named in `Unfit`."""

    NOT_A_MESSAGE = "not a message"
    COPIED_RECORD = "copy of a record read before"
    WATCHED_EVENT = "event that the observer was shown"
    SYNTHETIC = "written by the client, not the model"
    NO_OBSERVATION = "no observation"


class Reply(msgspec.Struct, frozen=True):
    """One message of the observer: its text, the lines it spans, and the project that it had in view."""

    id: str
    text: str
    lines: tuple[int, int]
    records: int
    project: str
    session: str
    time: str


def units(path: Path, role: str, archived: Archived = NOTHING) -> Iterator[Unit]:
    """One unit for each observer session, archived files included; a folder without observers gives none."""
    if not path.is_dir() and not archived.files:
        raise SourceError(f"{path} is not a folder. Give the projects folder of the agent, or remove the source.")
    sessions: dict[tuple[str, str], list[Path]] = {}
    for file in [*_transcripts(path), *archived.pick(_transcripts)]:
        sessions.setdefault((file.parent.name, file.name.partition(".")[0]), []).append(file)
    for (folder, name), files in sorted(sessions.items()):
        yield sized("observers", f"{folder}/{name}", tuple(files), role)


def _transcripts(path: Path) -> list[Path]:
    folders = [path] if path.name.endswith(FOLDER) else sorted(path.glob(f"*{FOLDER}"))
    return [file for folder in folders for file in sorted(folder.glob("*.jsonl"))]


def read(unit: Unit) -> Iterator[Conversation | Drop]:
    """The lasting observations of a session, with a drop for everything else that it holds."""
    records: set[str] = set()
    contents: set[bytes] = set()
    for name in unit.files:
        path, made = Path(name), 0
        for item in _replies(read_objects(path, STAGE), path, records):
            if isinstance(item, Drop):
                yield item
                continue
            outcomes = list(_outcomes(item, path, unit.role, contents))
            made += item.records if any(isinstance(o, Conversation) for o in outcomes) else 0
            yield from outcomes
        yield from used(STAGE, path, made)


def _replies(lines: Iterator[Line | Drop], path: Path, known: set[str]) -> Iterator[Reply | Drop]:
    """The observer's messages, one for each API message however many lines it has; all else as drops."""
    project, open_reply = "", None
    for line in lines:
        if isinstance(line, Drop):
            yield line
            continue
        if reason := _why_skip(line.record, known):
            yield set_aside(STAGE, reason, path, line.number)
            project = _project(line.record) or project
            continue
        reply = _reply(line, project, path)
        if open_reply and open_reply.id == reply.id:
            open_reply = _joined(open_reply, reply)
            continue
        if open_reply:
            yield open_reply
        open_reply = reply
    if open_reply:
        yield open_reply


def _why_skip(record: dict[str, Any], known: set[str]) -> Reason | None:
    """Why a record is no message of the observer. Remembers the record's id."""
    if record.get("type") not in ("user", "assistant") or not isinstance(record.get("message"), dict):
        return Reason.NOT_A_MESSAGE
    uuid = text_of(record.get("uuid"))
    if uuid and uuid in known:
        return Reason.COPIED_RECORD
    known.add(uuid)
    if record["type"] == "user":
        return Reason.WATCHED_EVENT
    made_up = record.get("isApiErrorMessage") or record["message"].get("model") == "<synthetic>"
    return Reason.SYNTHETIC if made_up else None


def _reply(line: Line, project: str, path: Path) -> Reply:
    record = line.record
    return Reply(
        id=text_of(record["message"].get("id")) or text_of(record.get("uuid")) or f"line-{line.number}",
        text=_text(record["message"]),
        lines=(line.number, line.number),
        records=1,
        project=project,
        session=text_of(record.get("sessionId")) or path.name.partition(".")[0],
        time=text_of(record.get("timestamp")),
    )


def _joined(one: Reply, other: Reply) -> Reply:
    text = "\n".join(filter(None, (one.text, other.text)))
    lines = (one.lines[0], other.lines[1])
    return msgspec.structs.replace(one, text=text, lines=lines, records=one.records + other.records)


def _text(message: dict[str, Any]) -> str:
    """The visible text of a message."""
    content = message.get("content")
    blocks = content if isinstance(content, list) else [{"type": "text", "text": content}]
    texts = [text_of(b.get("text")) for b in blocks if isinstance(b, dict) and b.get("type") == "text"]
    return "\n".join(filter(None, texts))


def _project(record: dict[str, Any]) -> str:
    """The name of the folder in which the watched session worked, where a record tells."""
    message = record.get("message")
    text = _text(message) if isinstance(message, dict) else ""
    folder = field(text, "working_directory") or field(text, "tool_cwd")
    return re.split(r"[\\/]", folder.rstrip("\\/"))[-1]


def _outcomes(reply: Reply, path: Path, role: str, contents: set[bytes]) -> Iterator[Conversation | Drop]:
    """What a reply gives. Its records count once: as used if any example is, else with the first drop."""
    examples = [*_examples(reply, contents)]
    unbooked = 0 if any(example.reason is None for example in examples) else reply.records
    if not examples:
        yield set_aside(STAGE, Reason.NO_OBSERVATION, path, reply.lines[0], records=unbooked)
    for example in examples:
        if example.reason is None:
            origin = located(STAGE, reply.session, path, *reply.lines, started=reply.time)
            key = f"{reply.id}:{example.key}"
            yield pair(example.question, example.answer, origin=origin, key=key, role=role, notes=example.notes)
            continue
        drop = set_aside(STAGE, example.reason, path, reply.lines[0], example.key, unbooked)
        weight = Tally(conversations=1, replies=1, said=len(example.answer), chars=len(example.answer))
        yield msgspec.structs.replace(drop, tally=weight if example.answer else Tally())
        unbooked = 0


def _examples(reply: Reply, contents: set[bytes]) -> Iterator[Example]:
    for index, seen in enumerate(parse_observations(reply.text)):
        example = example_of(seen, reply.project, f"observation-{index}")
        yield _once(example, f"{seen.title}\0{seen.narrative}", contents)
    for index, learned in enumerate(parse_learned(reply.text)):
        yield _once(learned_of(learned, reply.project, f"learned-{index}"), learned.text, contents)


def _once(example: Example, content: str, contents: set[bytes]) -> Example:
    """The example, marked as a duplicate where the session has said the same before."""
    digest = blake2b(content.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    if example.reason is None and digest in contents:
        return msgspec.structs.replace(example, reason=Unfit.DUPLICATE)
    if example.reason is None:
        contents.add(digest)
    return example
