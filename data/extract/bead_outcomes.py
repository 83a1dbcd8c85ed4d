"""How the work on beads ended, by id: what the sessions that did the work are judged by.

`bead_fates(paths)` reads the same files as the source of finished work items, and beside a database backup its event
log. A bead whose records do not say how it ended has no fate: closed without a reason is no success.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from data.extract.beads import NOISE, REJECTED, STAGE, is_wisp, issue_files, reopened_in
from data.extract.jsonl import Line, read_objects, text_of
from data.signals.facts import BeadFate

MAX_BEADS = 200_000  # a town that ran for months has six thousand; more are not looked at

MERGE_REQUEST = "merge-request"
# Beads that keep the town running and are nobody's work.
NOT_WORK = frozenset({"message", "molecule", "gate", "event", "agent", "role", "rig", "convoy", "slot", "queue"})

_LANDED = re.compile(r"\b(?:merged|fixed|implemented|landed|shipped|resolved)\b", re.IGNORECASE)
_NOT_BY_THIS = re.compile(
    r"\b(?:not|never|already|cannot be|can'?t be|won'?t be|without being) (?:yet |been |be |fully )?"
    r"(?:merged|fixed|implemented|landed|shipped|resolved)\b",
    re.IGNORECASE,
)
_FIELD = re.compile(r"^[ \t]*(source_issue|retry_count|close_reason|merge_commit):[ \t]*(\S[^\n]*)", re.MULTILINE)


class _Fates:
    """What was read so far. Of several copies of a bead the one updated last counts."""

    def __init__(self) -> None:
        self.own: dict[str, tuple[str, BeadFate | None]] = {}
        self.merges: dict[str, BeadFate] = {}
        self.reopened: set[str] = set()

    def take(self, issue: dict[str, Any]) -> None:
        kind = text_of(issue.get("issue_type"))
        if kind == MERGE_REQUEST:
            source, fate = judge_merge_request(issue)
            # One try that was merged at once outweighs others that were not.
            if source and fate and self._has_room() and self.merges.get(source) is not BeadFate.LANDED:
                self.merges[source] = fate
        elif (bead := text_of(issue.get("id"))) and not is_wisp(issue) and kind not in NOT_WORK:
            updated = text_of(issue.get("updated_at"))
            if bead not in self.own and not self._has_room():
                return
            if updated >= self.own.get(bead, ("", None))[0]:
                self.own[bead] = updated, judge_issue(issue)

    def _has_room(self) -> bool:
        return len(self.own) + len(self.merges) < MAX_BEADS

    def settle(self) -> dict[str, BeadFate]:
        """The fates by bead id: reopened before all, then the bead's own word, then that of its merge requests."""
        own = {bead: fate for bead, (_, fate) in self.own.items() if fate}
        fates = self.merges | own | dict.fromkeys(self.reopened - {""}, BeadFate.REOPENED)
        return dict(sorted(fates.items()))


def bead_fates(paths: Iterable[Path]) -> dict[str, BeadFate]:
    """The known fates of the beads in these files and folders. Bad lines and missing files are passed over.

    The source of beads names them; here they only mean that less is known.
    """
    fates = _Fates()
    for path in _files(paths):
        fates.reopened |= reopened_in(path.with_name("events.jsonl"))
        for item in read_objects(path, STAGE):
            if isinstance(item, Line):
                fates.take(item.record)
    return fates.settle()


def judge_issue(issue: dict[str, Any]) -> BeadFate | None:
    """What the closing reason of a work item says, or None."""
    reason = text_of(issue.get("close_reason"))
    if issue.get("status") != "closed" or not reason:
        return None
    if REJECTED.match(reason):
        return BeadFate.REJECTED
    if NOISE.match(reason) or _NOT_BY_THIS.search(reason):
        return None
    return BeadFate.LANDED if _LANDED.search(reason) else None


def judge_merge_request(issue: dict[str, Any]) -> tuple[str, BeadFate | None]:
    """The bead that a merge request is for, and how it ended. Merged after retries says neither well nor badly.

    Its fields are lines of the description, `source_issue: gt-a1`, or fields of the record.
    """
    fields = dict(_FIELD.findall(text_of(issue.get("description"))))
    fields |= {name: str(issue[name]) for name in ("source_issue", "retry_count") if issue.get(name)}
    reason = text_of(issue.get("close_reason")) or fields.get("close_reason", "")
    source = fields.get("source_issue", "").strip()
    if REJECTED.match(reason):
        return source, BeadFate.REJECTED
    merged = _LANDED.search(reason) and not _NOT_BY_THIS.search(reason)
    at_once = fields.get("retry_count", "0").strip() == "0"
    return source, BeadFate.LANDED if merged and at_once else None


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        yield from sorted(issue_files(path)) if path.is_dir() else (path,)
