"""Source of finished work items: the issues.jsonl that beads keeps beside the code.

A closed bug, feature, task or chore whose description and closing reason say enough becomes one knowledge
conversation: what was asked, and how it was solved. Both forms of the file are read, the tracked one and the
backup of the database; everything else is set aside by name.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any

from data.extract.jsonl import Line, read_objects, set_aside, text_of, used
from data.extract.knowledge import located, pair
from data.extract.unit import SourceError, Unit, sized
from data.record import Conversation, Drop

STAGE = "beads"

# Measured on the issues of gastown and beads: with these, 230 and 174 are left, and they are worth reading.
MIN_DESCRIPTION = 200  # characters, more than
MIN_REASON = 60  # characters, more than

ASKED = {
    "bug": "How was this bug fixed?",
    "feature": "How was this feature built?",
    "task": "How was this done?",
    "chore": "How was this done?",
}

_SKIPPED_FOLDERS = {".git", "node_modules", ".venv"}
_WISP_ID = re.compile(r"-(?:wisp|mol|cv)-")
_PATROL_TITLE = re.compile(r"\W*(?:digest|handoff|wisp|mol-[\w-]+|merge): ", re.IGNORECASE)
NOISE = re.compile(
    r"\W*(?:patrol|wisp|digest|squash|burn|cycle \d|heartbeat|hand(?:ed )?off|session (?:end|complet|cycl)"
    r"|auto-?clos|triage|event|telemetry|nothing to do|no action|stale hook|all (?:clear|healthy|green)"
    r"|clean(?:ed)? ?up:)",
    re.IGNORECASE,
)
REJECTED = re.compile(
    r"\W*(?:reject|won'?t ?fix|wontfix|not? (?:a bug|needed|planned|reproduc|longer)|dup(?:e|licate)?\b"
    r"|stale\b|obsolete|supersede|invalid|abandon|cancel|by design|moot\b|burned: polecat nuked)",
    re.IGNORECASE,
)


class Reason(StrEnum):
    """Why an issue gave no conversation."""

    NOT_AN_ISSUE = "without id or title"
    COPIED_RECORD = "copy of a record read before"
    DELETED = "deleted"
    WISP = "wisp"
    NOT_WORK = "not a work item"
    NOT_CLOSED = "not closed"
    REOPENED = "reopened"
    NO_CLOSE_REASON = "no close reason"
    NOISE = "closed by a patrol"
    REJECTED = "rejected"
    SHORT_CLOSE_REASON = "short close reason"
    SHORT_DESCRIPTION = "short description"


def units(path: Path, role: str) -> Iterator[Unit]:
    """One unit: clones of a rig hold the same issues, so all files of a source are read together."""
    if not path.exists():
        raise SourceError(f"{path} does not exist. Give an issues.jsonl or a folder with one, or remove the source.")
    files = tuple(sorted(issue_files(path))) if path.is_dir() else (path,)
    if not files:
        raise SourceError(f"{path} holds no issues.jsonl. Give a folder with .beads in it, or remove the source.")
    yield sized("beads", path.name, files, role)


def read(unit: Unit) -> Iterator[Conversation | Drop]:
    """The finished work items of a unit, with a drop for every line that is none."""
    seen: set[str] = set()
    for name in unit.files:
        path, made = Path(name), 0
        reopened = reopened_in(path.with_name("events.jsonl"))
        for item in read_objects(path, STAGE):
            outcome = item if isinstance(item, Drop) else _judge(item, path, unit.role, seen, reopened)
            made += isinstance(outcome, Conversation)
            yield outcome
        yield from used(STAGE, path, made)


def why_drop(issue: dict[str, Any]) -> Reason | None:
    """Why an issue is no knowledge, or None where it is."""
    reason = text_of(issue.get("close_reason"))
    checks = (
        (Reason.NOT_AN_ISSUE, not text_of(issue.get("id")) or not text_of(issue.get("title"))),
        (Reason.DELETED, issue.get("status") == "tombstone"),
        (Reason.WISP, is_wisp(issue)),
        (Reason.NOT_WORK, text_of(issue.get("issue_type")) not in ASKED),
        (Reason.NOT_CLOSED, issue.get("status") != "closed"),
        (Reason.NO_CLOSE_REASON, not reason),
        (Reason.REJECTED, bool(REJECTED.match(reason))),
        (Reason.NOISE, bool(NOISE.match(reason) or _PATROL_TITLE.match(text_of(issue.get("title"))))),
        (Reason.SHORT_CLOSE_REASON, len(reason) <= MIN_REASON),
        (Reason.SHORT_DESCRIPTION, len(text_of(issue.get("description"))) <= MIN_DESCRIPTION),
    )
    return next((why for why, holds in checks if holds), None)


def issue_files(folder: Path) -> Iterator[Path]:
    for where, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in _SKIPPED_FOLDERS]
        if "issues.jsonl" in files:
            yield Path(where) / "issues.jsonl"


def reopened_in(events: Path) -> frozenset[str]:
    """The issues that a backup's event log says were opened again after they had been closed."""
    if not events.is_file():
        return frozenset()
    records = (item.record for item in read_objects(events, STAGE) if isinstance(item, Line))
    return frozenset(text_of(r.get("issue_id")) for r in records if r.get("event_type") == "reopened")


def _judge(line: Line, path: Path, role: str, seen: set[str], reopened: frozenset[str]) -> Conversation | Drop:
    issue, reason = line.record, why_drop(line.record)
    bead = text_of(issue.get("id"))
    if reason is None and bead in seen:
        reason = Reason.COPIED_RECORD
    elif reason is None and bead in reopened:
        reason = Reason.REOPENED
    if reason is not None:
        return set_aside(STAGE, reason, path, line.number, detail=bead)
    seen.add(bead)
    origin = located(STAGE, bead, path, line.number, started=text_of(issue.get("created_at")))
    return pair(_question(issue), _answer(issue), origin=origin, key="", role=role)


def _question(issue: dict[str, Any]) -> str:
    asked = ASKED[issue["issue_type"]]
    return f"{text_of(issue['title'])}\n\n{text_of(issue['description'])}\n\n{asked}"


def _answer(issue: dict[str, Any]) -> str:
    """How it ended, then what was written down on the way."""
    parts = [text_of(issue["close_reason"])]
    for heading, field in (("Notes", "notes"), ("Design", "design")):
        if text := text_of(issue.get(field)):
            parts.append(f"{heading}:\n{text}")
    return "\n\n".join(parts)


def is_wisp(issue: dict[str, Any]) -> bool:
    """Wisps are beads that live for one patrol; the tracked file omits the fields, the backup has 0 or ""."""
    marked = any(issue.get(field) for field in ("ephemeral", "wisp_type", "mol_type"))
    return marked or bool(_WISP_ID.search(text_of(issue.get("id"))))
