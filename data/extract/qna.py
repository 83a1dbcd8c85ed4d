"""Source of question and answer pairs: JSON Lines of {"input": ..., "output": ..., "metadata": {...}}.

`prompt` and `response` are understood as well. A file is read line by line in constant memory; the source's
`role` in configs/data.yml says what the pairs are trained for.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from hashlib import blake2b
from pathlib import Path
from typing import Any

from data.extract.jsonl import Line, read_objects, set_aside, text_of, used
from data.extract.knowledge import located, pair
from data.extract.unit import SourceError, Unit, sized
from data.record import Conversation, Drop

STAGE = "qna"
FIELDS = (("input", "output"), ("prompt", "response"))


class Reason(StrEnum):
    """Why a line gave no pair."""

    NO_QUESTION = "no question"
    NO_ANSWER = "no answer"


def units(path: Path, role: str) -> Iterator[Unit]:
    """One unit for the file, or for each `*.jsonl` under the folder."""
    if not path.exists():
        raise SourceError(f"{path} does not exist. Give a .jsonl file or a folder of them, or remove the source.")
    files = sorted(path.rglob("*.jsonl")) if path.is_dir() else [path]
    if not files:
        raise SourceError(f"{path} holds no .jsonl file. Put question and answer files there, or remove the source.")
    for file in files:
        yield sized("qna", file.name, (file,), role)


def read(unit: Unit) -> Iterator[Conversation | Drop]:
    """The pairs of a unit, with a drop for every line that is none."""
    for name in unit.files:
        path, made = Path(name), 0
        for item in read_objects(path, STAGE):
            outcome = item if isinstance(item, Drop) else _pair(item, path, unit.role)
            made += isinstance(outcome, Conversation)
            yield outcome
        yield from used(STAGE, path, made)


def _pair(line: Line, path: Path, role: str) -> Conversation | Drop:
    question, answer = _fields(line.record)
    if not question:
        return set_aside(STAGE, Reason.NO_QUESTION, path, line.number)
    if not answer:
        return set_aside(STAGE, Reason.NO_ANSWER, path, line.number)
    # Named by content, not by line: a pair keeps its split when the file grows or is re-ordered, and the same
    # question never stands on both sides of a split.
    origin = located(STAGE, _session(line.record) or _digest(question), path, line.number)
    return pair(question, answer, origin=origin, key=_digest(role, question, answer), role=role)


def _fields(record: dict[str, Any]) -> tuple[str, str]:
    for asked, told in FIELDS:
        if asked in record or told in record:
            return text_of(record.get(asked)), text_of(record.get(told))
    return "", ""


def _session(record: dict[str, Any]) -> str:
    """The session that the file's author says a pair belongs to."""
    metadata = record.get("metadata")
    return text_of(metadata.get("session_id")) if isinstance(metadata, dict) else ""


def _digest(*parts: str) -> str:
    return blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
