"""The bead file of the town: issues of all rigs, some of which the sessions talk about, as in `.beads/issues.jsonl`."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import msgspec

from data.sample.transcript import Row, encode_rows
from data.sample.words import NAMES, RIGS, bead_id, bead_title

MERGED = (
    "Fixed and merged: the cause was a value that is read once at the start and never again. It is "
    "now read where it is used, with a test that changes it in between."
)
DESCRIPTION = (
    "Seen three times this week: {title}. It happens only when two workers start within the same "
    "second, and it is gone after a restart. Expected: the second worker waits for the first one. "
    "Found so far: both read the same file before either has written to it, so the later one wins. "
    "Affects src/{module}.py."
)
BARE = ("closed", "Closed")
REASONS: Sequence[tuple[str, str | None]] = (
    ("closed", MERGED),
    ("closed", "merged as 4f2a91c"),
    BARE,
    ("closed", "wontfix: nobody uses it any more"),
    ("closed", "duplicate of another bead"),
    ("open", None),
    ("in_progress", None),
    ("tombstone", None),
)
BEADS = 30


def write_beads(rng: Random, mentioned: Sequence[str]) -> bytes:
    """The file: a third of the beads are ids that the sessions mention, the others are drawn."""
    ids = list(dict.fromkeys(rng.sample(sorted(mentioned), min(BEADS // 3, len(mentioned)))))
    while len(ids) < BEADS - 2:
        fresh = bead_id(rng, rng.choice(tuple(RIGS)))
        ids += [fresh] if fresh not in ids else []
    work = [work_item(rng, bead, *REASONS[i % len(REASONS)]) for i, bead in enumerate(ids)]
    return encode_rows([*work, *records_of_the_town(rng, ids[REASONS.index(BARE)])])


def write_events(issues: bytes) -> bytes:
    """The event log beside the file: the second bead that was merged had to be opened again."""
    merged = [
        bead["id"] for bead in map(msgspec.json.decode, issues.splitlines()) if bead.get("close_reason") == MERGED
    ]
    when = datetime(2026, 2, 9, 8, tzinfo=UTC).isoformat()
    kinds = ((merged[0], "closed"), (merged[1], "closed"), (merged[1], "reopened"), (merged[1], "closed"))
    return encode_rows([{"issue_id": bead, "event_type": kind, "created_at": when} for bead, kind in kinds])


def work_item(rng: Random, bead: str, status: str, reason: str | None) -> Row:
    """A bug with its history; fields without a value are left out, as bd does."""
    title = bead_title(bead)
    made = datetime(2026, 1, 5, tzinfo=UTC) + timedelta(minutes=rng.randint(0, 50_000))
    ended = made + timedelta(hours=rng.randint(1, 60))
    item: Row = {
        "id": bead,
        "title": title,
        "description": DESCRIPTION.format(title=title, module=rng.choice(("queue", "ledger", "cache"))),
        "status": status,
        "priority": rng.randint(0, 4),
        "issue_type": rng.choice(("bug", "bug", "feature", "task")),
        "created_at": made.isoformat(),
        "created_by": "mayor",
        "updated_at": ended.isoformat(),
    }
    if status == "in_progress":
        item["assignee"] = f"{rig_of(bead)}/polecats/{rng.choice(NAMES)}"
    if status == "closed":
        item |= {"closed_at": ended.isoformat(), "close_reason": reason}
    return item


def rig_of(bead: str) -> str:
    """The rig that a bead id belongs to."""
    prefix = bead.split("-")[0]
    return next(rig for rig, own in RIGS.items() if own == prefix)


def records_of_the_town(rng: Random, source: str) -> Iterator[dict[str, Any]]:
    """A wisp of a patrol and a merge request: beads that are no work."""
    when = datetime(2026, 2, 1, 8, rng.randint(0, 59), tzinfo=UTC).isoformat()
    common = {"priority": 2, "created_at": when, "updated_at": when, "closed_at": when, "status": "closed"}
    wisp = {"id": "hq-wisp-a1b2", "title": "Patrol", "issue_type": "molecule", "ephemeral": True}
    yield {**wisp, **common, "close_reason": "patrol done"}
    link = {"issue_id": "pe-mr-1", "depends_on_id": source, "type": "relates-to", "created_at": when}
    merge = {
        "id": "pe-mr-1",
        "title": f"Merge {source}",
        "description": f"branch: polecat/{NAMES[0]}/{source}\ntarget: main\nsource_issue: {source}\nretry_count: 0",
        "issue_type": "merge-request",
        "owner": "overseer@example.com",
    }
    yield {**merge, **common, "close_reason": "merged", "dependencies": [link]}
