"""Each oddity of how sessions lie on disk is really there: copies, forks, damaged lines, other sources."""

import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.sample.odd_files import REWRITES
from data.sample.people import TOWN
from data.sample.town import FEWEST_SESSIONS, build_town
from tests.sample_oddities import Odd, blocks_of, default_town, open_oddity, parse, plain_sessions, shows


def ids(rows) -> set[str]:
    return {row["uuid"] for row in rows if "uuid" in row}


def copied(odd: Odd) -> tuple[list, list]:
    """The rows of the copy and of the session's own file."""
    (own,) = odd.others
    assert odd.entry.file == own.replace(".jsonl", ".copy1.jsonl")
    return odd.rows, parse(odd.others[own])


def prefix_holds_a_lost_reply(odd: Odd) -> bool:
    copy, own = copied(odd)
    (lost,) = [row for row in copy if "uuid" in row and row["uuid"] not in ids(own)]
    return copy[0] == own[0] and lost["type"] == "assistant" and any(r.get("parentUuid") == lost["uuid"] for r in own)


def slice_goes_on(odd: Odd) -> bool:
    copy, own = copied(odd)
    first = next(row for row in copy if "uuid" in row)
    return first["parentUuid"] in ids(own) and ids(copy) & ids(own) != set() != ids(copy) - ids(own)


def strict_prefix(odd: Odd) -> bool:
    copy, own = copied(odd)
    return own[: len(copy)] == copy and len(own) > len(copy)


def forked(odd: Odd) -> bool:
    twin, own = odd.rows, parse(next(iter(odd.others.values())))
    shared = ids(twin) & ids(own)
    sessions = {row["sessionId"] for row in twin if "sessionId" in row}
    return len(shared) > 10 and ids(twin) - shared != set() != ids(own) - shared and odd.entry.session not in sessions


def spoken(rows) -> list:
    """What is said and done, without ids."""
    said = []
    for row in rows:
        for block in blocks_of(row) if "message" in row else []:
            said.append((block["type"], block.get("text"), block.get("input"), block.get("content")))
    return said


def doubled(odd: Odd) -> bool:
    own = parse(next(iter(odd.others.values())))
    return not ids(odd.rows) & ids(own) and [s[0] for s in spoken(odd.rows)] == [s[0] for s in spoken(own)]


def two_ids(odd: Odd) -> bool:
    sessions = [row["sessionId"] for row in odd.rows if "sessionId" in row]
    changes = sum(a != b for a, b in pairwise(sessions))
    return len(set(sessions)) == 2 and changes == 1


def glued(odd: Odd) -> bool:
    lines = odd.raw.decode().splitlines()
    (place,) = [i for i, line in enumerate(lines) if not is_json(line)]
    first, end = json.JSONDecoder().raw_decode(lines[place])
    second = json.loads(lines[place][end:])
    again = [json.loads(line)["uuid"] for line in lines[place + 1 : place + 4] if '"uuid"' in line]
    return second["type"] == "file-history-snapshot" and first["uuid"] in again


def is_json(line: str) -> bool:
    try:
        json.loads(line)
    except json.JSONDecodeError:
        return False
    return True


def torn(odd: Odd) -> bool:
    lines = odd.raw.decode().splitlines()
    return all(map(is_json, lines[:-1])) and not is_json(lines[-1]) and not odd.raw.endswith(b"\n")


def child_first(odd: Odd) -> bool:
    place = {row["uuid"]: i for i, row in enumerate(odd.rows) if "uuid" in row}
    late = [row for row in odd.rows if row.get("parentUuid") in place and place[row["parentUuid"]] > place[row["uuid"]]]
    return len(late) == 1


def orphaned(odd: Odd) -> bool:
    first = blocks_of(odd.rows[0])[0]
    calls = {b["id"] for row in odd.rows if "message" in row for b in blocks_of(row) if b["type"] == "tool_use"}
    return first["type"] == "tool_result" and first["tool_use_id"] not in calls


def foreign(odd: Odd) -> bool:
    whole = json.loads(odd.raw)
    return odd.raw.count(b"\n") > 8 and [m["type"] for m in whole["messages"]] == ["user", "gemini"]


def moved(odd: Odd) -> bool:
    return odd.rows[-1]["cwd"].startswith(TOWN) and "-home-overseer-restored/" in odd.entry.file


CHECKS = {
    "prefix_copy": prefix_holds_a_lost_reply,
    "slice_copy": slice_goes_on,
    "strict_prefix_copy": strict_prefix,
    "shared_prefix_fork": forked,
    "same_dialogue_twice": doubled,
    "two_sessions_in_one_file": two_ids,
    "glued_lines": glued,
    "missing_final_newline": lambda odd: not odd.raw.endswith(b"\n") and is_json(odd.raw.decode().splitlines()[-1]),
    "truncated_last_line": torn,
    "unknown_record_types": lambda odd: len(odd.kinds("weather-report")) == len(odd.kinds("ai-title")) == 1,
    "child_before_parent": child_first,
    "orphan_result": orphaned,
    "foreign_gemini_file": foreign,
    "file_with_only_a_summary": lambda odd: [row["type"] for row in odd.rows] == ["summary"],
    "empty_file": lambda odd: odd.raw == b"",
    "moved_project_folder": moved,
}


@pytest.mark.parametrize("name", CHECKS)
def test_the_oddity_is_on_disk(name):
    assert CHECKS[name](open_oddity(name))


@pytest.mark.parametrize("name", CHECKS)
def test_the_check_finds_nothing_in_a_plain_session(name):
    assert not any(shows(CHECKS[name], odd) for odd in plain_sessions())


def test_every_rewrite_is_checked_here():
    assert [rewrite.name for rewrite in REWRITES] == list(CHECKS)


@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 2**40))
def test_every_seed_shows_every_oddity_on_disk(seed):
    town = build_town(FEWEST_SESSIONS, seed)
    assert all(shows(check, open_oddity(name, town)) for name, check in CHECKS.items())


def test_the_index_is_a_file_of_the_town_and_names_files_that_exist():
    town = default_town()
    index = json.loads(town.files["oddities.json"])
    assert index.keys() == town.oddities.keys()
    assert all(town.files.keys() >= {entry["file"], *entry["also"]} for entry in index.values())
    assert all(entry["reader_must"].endswith(".") for entry in index.values())


def test_only_the_named_files_have_damaged_lines():
    damaged = {
        path
        for path, content in default_town().files.items()
        if path.endswith(".jsonl") and not all(map(is_json, content.decode().splitlines()))
    }
    named = ("glued_lines", "truncated_last_line", "foreign_gemini_file")
    assert damaged == {open_oddity(name).entry.file for name in named}


def test_a_developer_outside_of_the_town_is_in_the_index():
    odd = open_oddity("developer_without_a_town")
    assert odd.rows[-1]["cwd"].startswith("/home/dana/") and not odd.starting("[GAS TOWN]")


def test_the_observers_see_events_and_write_notes_but_call_no_tool():
    odd = open_oddity("observer_session")
    replies = [text for _, text in odd.texts("assistant")]
    assert odd.entry.file.startswith("projects/-home-overseer--claude-mem-observer-sessions/")
    assert odd.texts("user")[0][1].startswith("You are a Claude-Mem, a specialized observer tool")
    assert sum("<observation>" in text for text in replies) == 6 and not odd.of("tool_use")
    assert sum(text.startswith("```xml") for text in replies) == 1
    assert replies[-1].startswith("<summary>")


def test_the_beads_have_work_noise_and_every_kind_of_ending():
    beads = {bead["id"]: bead for bead in open_oddity("beads_file").rows}
    assert {bead["status"] for bead in beads.values()} == {"closed", "open", "in_progress", "tombstone"}
    assert all(("closed_at" in bead) == (bead["status"] == "closed") for bead in beads.values())
    assert beads["hq-wisp-a1b2"]["ephemeral"] and beads["pe-mr-1"]["issue_type"] == "merge-request"
    assert beads["pe-mr-1"]["dependencies"][0]["depends_on_id"] in beads
    good = [b for b in beads.values() if len(b.get("close_reason", "")) > 60 and len(b["description"]) > 200]
    assert len(good) >= 3
