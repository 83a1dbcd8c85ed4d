from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.extract import beads
from data.extract.bead_outcomes import bead_fates
from data.extract.beads import MIN_DESCRIPTION, MIN_REASON, Reason, why_drop
from data.extract.jsonl import LineReason
from data.extract.unit import SourceError
from data.record import Assistant, Conversation, Drop, User
from data.signals.facts import BeadFate

DESCRIPTION = "The merge queue stops when two branches touch the same file within one minute. " * 4
SOLVED = "Merged: the queue now rebases the second branch before it runs the tests again, see queue.py."

# The form of the database backup: every column is there, empty where it does not apply.
BACKUP_COLUMNS = {"ephemeral": 0, "wisp_type": "", "mol_type": "", "design": "", "notes": "", "metadata": "{}"}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


def issue(**fields: Any) -> dict[str, Any]:
    usual = {
        "id": "gt-a1",
        "title": "Queue stops on conflicts",
        "description": DESCRIPTION,
        "status": "closed",
        "issue_type": "bug",
        "close_reason": SOLVED,
        "created_at": "2026-01-02T03:04:05Z",
    }
    return usual | fields


def write(path: Path, *issues: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join((i if isinstance(i, str) else json.dumps(i)) + "\n" for i in issues), "utf-8")
    return path


def read_all(path: Path) -> tuple[list[Conversation], list[Drop]]:
    outcomes = [outcome for unit in beads.units(path, "") for outcome in beads.read(unit)]
    made = [outcome for outcome in outcomes if isinstance(outcome, Conversation)]
    return made, [outcome for outcome in outcomes if isinstance(outcome, Drop)]


@given(st.dictionaries(st.sampled_from(sorted(issue() | BACKUP_COLUMNS)), json_values))
def test_an_issue_with_any_types_is_judged_or_used_but_never_an_error(
    tmp_path_factory: pytest.TempPathFactory, fields: dict[str, Any]
) -> None:
    path = write(tmp_path_factory.mktemp("beads") / "issues.jsonl", issue(**fields))
    made, drops = read_all(path)
    assert sum(drop.records for drop in drops) == 1
    assert len(made) == sum(drop.reason == "used" for drop in drops)


@pytest.mark.parametrize("more", [{}, BACKUP_COLUMNS], ids=["tracked file", "database backup"])
def test_a_finished_work_item_becomes_a_question_and_how_it_was_solved(tmp_path: Path, more: dict[str, Any]) -> None:
    path = write(tmp_path / "issues.jsonl", issue(**more))
    (made,), (used,) = read_all(path)
    asked, told = made.messages
    assert isinstance(asked, User)
    assert isinstance(told, Assistant)
    assert asked.text == f"Queue stops on conflicts\n\n{DESCRIPTION.strip()}\n\nHow was this bug fixed?"
    assert (told.text, told.chars, told.train) == (SOLVED, len(SOLVED), True)
    assert (made.origin.source, made.origin.session, made.origin.lines) == ("beads", "gt-a1", (1, 1))
    assert (made.role, used.reason, used.records, used.stage) == ("knowledge", "used", 1, "beads")


def test_notes_and_design_follow_the_closing_reason(tmp_path: Path) -> None:
    path = write(tmp_path / "issues.jsonl", issue(design="Lock the file.", notes="Seen twice."))
    (made,), _ = read_all(path)
    assert isinstance(made.messages[1], Assistant)
    assert made.messages[1].text == f"{SOLVED}\n\nNotes:\nSeen twice.\n\nDesign:\nLock the file."


DROPPED: dict[Reason, list[dict[str, Any]]] = {
    Reason.NOT_AN_ISSUE: [{"id": ""}, {"title": 7}],
    Reason.DELETED: [{"status": "tombstone"}],
    Reason.WISP: [
        {"ephemeral": 1},
        {"id": "gt-wisp-x1"},
        {"id": "gt-mol-2"},
        {"id": "hq-cv-i0u"},
        {"mol_type": "patrol"},
    ],
    Reason.NOT_WORK: [{"issue_type": kind} for kind in ("merge-request", "epic", "message", "agent", None)],
    Reason.NOT_CLOSED: [{"status": status} for status in ("open", "in_progress", "blocked", "staged_ready")],
    Reason.NO_CLOSE_REASON: [{"close_reason": ""}, {"close_reason": None}],
    Reason.REJECTED: [
        {"close_reason": f"{why} and a long explanation of the circumstances that led to it"}
        for why in ("wontfix:", "Duplicate of gt-b2", "Stale:", "burned: polecat nuked", "Not reproducible")
    ],
    Reason.NOISE: [
        {"close_reason": "Patrol cycle 12 complete, all rigs healthy, no polecats found, queue empty, going on"},
        {"close_reason": SOLVED, "title": "Digest: mol-deacon-patrol"},
        {"close_reason": SOLVED, "title": "🤝 HANDOFF: Refinery patrol"},
    ],
    Reason.SHORT_CLOSE_REASON: [{"close_reason": "Closed"}, {"close_reason": "x" * MIN_REASON}],
    Reason.SHORT_DESCRIPTION: [{"description": ""}, {"description": "x" * MIN_DESCRIPTION}],
}


@pytest.mark.parametrize(("reason", "fields"), [(r, f) for r, many in DROPPED.items() for f in many])
def test_an_issue_that_is_no_knowledge_is_dropped_by_name(reason: Reason, fields: dict[str, Any]) -> None:
    assert why_drop(issue(**fields)) is reason


def test_real_work_that_mentions_patrols_or_duplicates_later_on_is_kept() -> None:
    assert (
        why_drop(issue(close_reason="Fixed the patrol loop: stale wisps are no longer counted as duplicates.")) is None
    )


def test_clones_and_backups_of_the_same_issues_give_each_issue_once(tmp_path: Path) -> None:
    write(tmp_path / "rig" / ".beads" / "issues.jsonl", issue())
    write(tmp_path / "rig" / ".beads" / "backup" / "issues.jsonl", issue(**BACKUP_COLUMNS))
    write(tmp_path / "rig" / "crew" / "max" / ".beads" / "issues.jsonl", issue(), issue(id="gt-a2"))
    made, drops = read_all(tmp_path)
    assert sorted(conversation.origin.session for conversation in made) == ["gt-a1", "gt-a2"]
    assert [drop.reason for drop in drops].count("copy of a record read before") == 2


def test_an_issue_that_the_event_log_says_was_reopened_is_no_success(tmp_path: Path) -> None:
    folder = tmp_path / "backup"
    write(folder / "events.jsonl", {"event_type": "closed", "issue_id": "gt-a1"})
    assert len(read_all(write(folder / "issues.jsonl", issue()))[0]) == 1
    write(folder / "events.jsonl", {"event_type": "reopened", "issue_id": "gt-a1"}, "{broken")
    made, (drop,) = read_all(folder)
    assert not made
    assert (drop.reason, drop.detail) == (Reason.REOPENED, "gt-a1")


def test_a_broken_line_is_named_and_loses_no_good_one(tmp_path: Path) -> None:
    path = write(tmp_path / "issues.jsonl", '{"id": "gt-x', "", issue())
    made, drops = read_all(path)
    assert len(made) == 1
    assert [(drop.reason, drop.line) for drop in drops] == [(LineReason.BROKEN_LINE, 1), ("used", 0)]


def test_a_missing_or_empty_source_is_one_sentence_with_the_fix(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"does not exist\. Give"):
        list(beads.units(tmp_path / "nowhere", ""))
    with pytest.raises(SourceError, match=r"holds no issues\.jsonl"):
        list(beads.units(tmp_path, ""))


def merge_request(source: str, **fields: Any) -> dict[str, Any]:
    described = f"branch: polecat/rust/{source}\ntarget: main\nsource_issue: {source}\nrig: gastown"
    return issue(issue_type="merge-request", id=f"mr-{source}", description=described, close_reason="merged") | fields


@given(st.lists(st.dictionaries(st.sampled_from(sorted(issue() | BACKUP_COLUMNS)), json_values), max_size=3))
def test_issues_of_any_types_never_break_the_fates(
    tmp_path_factory: pytest.TempPathFactory, many: list[dict[str, Any]]
) -> None:
    folder = tmp_path_factory.mktemp("fates")
    types = ("bug", "merge-request")
    rows = [
        row for fields in many for kind in types for row in (issue() | fields | {"issue_type": kind}, issue() | fields)
    ]
    write(folder / "events.jsonl", *({"event_type": "reopened", "issue_id": row["id"]} for row in rows))
    fates = bead_fates([write(folder / "issues.jsonl", issue(id="gt-b2"), *rows)])
    assert all(isinstance(bead, str) and bead for bead in fates)
    assert set(fates.values()) <= set(BeadFate)


@pytest.mark.parametrize(
    ("fields", "fate"),
    [
        ({"close_reason": "merged as 4f2a91c"}, BeadFate.LANDED),
        ({"close_reason": "Fixed: the value is read where it is used"}, BeadFate.LANDED),
        ({"close_reason": "All of it is implemented in queue.py"}, BeadFate.LANDED),
        ({"close_reason": "wontfix: nobody uses it"}, BeadFate.REJECTED),
        ({"close_reason": "Duplicate of gt-b2, which is fixed"}, BeadFate.REJECTED),
        ({"close_reason": "burned: polecat nuked"}, BeadFate.REJECTED),
        ({"close_reason": "Closed"}, None),
        ({"close_reason": "done"}, None),
        ({"close_reason": ""}, None),
        ({"close_reason": "Never merged, the branch is gone"}, None),
        ({"close_reason": "Already fixed by somebody else"}, None),
        ({"close_reason": "Patrol cycle 3: two branches merged"}, None),
        ({"status": "open"}, None),
        ({"status": "tombstone"}, None),
        ({"ephemeral": 1}, None),
        ({"issue_type": "agent"}, None),
    ],
)
def test_how_a_bead_ended_is_read_from_its_closing_reason(
    tmp_path: Path, fields: dict[str, Any], fate: BeadFate | None
) -> None:
    path = write(tmp_path / "issues.jsonl", issue(**fields))
    assert bead_fates([path]) == ({"gt-a1": fate} if fate else {})


@pytest.mark.parametrize(
    ("rows", "fate"),
    [
        ([merge_request("gt-a1")], BeadFate.LANDED),
        ([merge_request("gt-a1", ephemeral=1, close_reason="")], None),
        ([merge_request("gt-a1", description="source_issue: gt-a1\nclose_reason: merged")], BeadFate.LANDED),
        ([merge_request("gt-a1", description="", source_issue="gt-a1")], BeadFate.LANDED),
        ([merge_request("gt-a1", retry_count=2)], None),
        ([merge_request("gt-a1", description="source_issue: gt-a1\nretry_count: 1")], None),
        ([merge_request("gt-a1", close_reason="rejected: breaks the build")], BeadFate.REJECTED),
        ([merge_request("gt-a1", close_reason="stale"), merge_request("gt-a1")], BeadFate.LANDED),
        ([merge_request("gt-a1"), merge_request("gt-a1", close_reason="stale")], BeadFate.LANDED),
        ([merge_request("gt-a1"), issue(close_reason="wontfix")], BeadFate.REJECTED),
        ([issue(), merge_request("gt-a1", close_reason="rejected")], BeadFate.LANDED),
        ([merge_request("gt-a1"), issue(close_reason="Closed")], BeadFate.LANDED),
    ],
)
def test_a_merge_request_speaks_for_a_bead_that_says_nothing(
    tmp_path: Path, rows: list[dict[str, Any]], fate: BeadFate | None
) -> None:
    assert bead_fates([write(tmp_path / "issues.jsonl", *rows)]) == ({"gt-a1": fate} if fate else {})


def test_a_reopened_bead_failed_whatever_its_last_reason_says(tmp_path: Path) -> None:
    folder = tmp_path / ".beads" / "backup"
    write(folder / "issues.jsonl", issue(), issue(id="gt-a2"))
    write(folder / "events.jsonl", "{broken", {"event_type": "reopened", "issue_id": "gt-a1"})
    assert bead_fates([tmp_path]) == {"gt-a1": BeadFate.REOPENED, "gt-a2": BeadFate.LANDED}


def test_of_several_copies_of_a_bead_the_one_updated_last_counts(tmp_path: Path) -> None:
    old = issue(updated_at="2026-01-03T00:00:00Z")
    new = issue(updated_at="2026-01-04T00:00:00Z", status="in_progress", close_reason="")
    one = write(tmp_path / "a" / "issues.jsonl", old)
    other = write(tmp_path / "b" / "issues.jsonl", new)
    assert bead_fates([one]) == {"gt-a1": BeadFate.LANDED}
    assert bead_fates([one, other]) == bead_fates([other, one]) == bead_fates([tmp_path]) == {}


def test_fates_are_bounded_and_bad_lines_cost_no_good_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "issues.jsonl", "{broken", "[]", *(issue(id=f"gt-{n}") for n in range(5)))
    assert len(bead_fates([path, tmp_path / "missing.jsonl"])) == 5
    monkeypatch.setattr("data.extract.bead_outcomes.MAX_BEADS", 3)
    assert sorted(bead_fates([path])) == ["gt-0", "gt-1", "gt-2"]
