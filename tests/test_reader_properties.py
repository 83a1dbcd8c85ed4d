"""What holds for every folder of transcripts, however wild its records: from the reader to finished rows."""

from __future__ import annotations

import functools
import json
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data.config import load_config
from data.extract import sessions
from data.finished import unpack
from data.preferences import key_of
from data.record import Assistant, Conversation, Drop, Tool
from data.stage import Ledger, check
from data.stages import ORDER, Setting, Worker
from tests.conftest import ROOT

PER_UNIT = ORDER[: ORDER.index("dedup")]

LAST, NEW = "the record before", "an id of its own"
UUIDS = [f"u{number}" for number in range(8)]
IDS = st.sampled_from(UUIDS)
MESSAGES = st.sampled_from([f"msg_{number}" for number in range(9)])
CALLS = st.sampled_from(["t1", "t2", "t3", "../../etc/passwd"])
TEXTS = st.sampled_from(
    [
        "go and look at the parser",
        "It reads one row after the other.",
        "The tests of it pass on this machine.",
        "and what about the other one",
        "Both of them are about the same rule.",
        "no, not that",
        "Warmup",
        "",
        "\0",
        "[Request interrupted by user]",
        "<system-reminder>note</system-reminder>",
        "<command-name>/clear</command-name>",
        "<persisted-output>\nlarge",
        "The user doesn't want to proceed with this tool use. To tell you how to proceed, the user said:\nwait",
        "a long word " * 900,
    ]
)
BLOCKS = st.one_of(
    st.fixed_dictionaries({"type": st.just("text"), "text": TEXTS}),
    st.fixed_dictionaries({"type": st.just("thinking"), "thinking": TEXTS}),
    st.fixed_dictionaries(
        {
            "type": st.just("tool_use"),
            "id": CALLS,
            "name": st.sampled_from(["Bash", "Task", "ExitPlanMode", "Skill"]),
            "input": st.sampled_from([{}, {"command": "ls"}, [1], None, {"n": 10**40}]),
        }
    ),
    st.fixed_dictionaries(
        {"type": st.just("tool_result"), "tool_use_id": CALLS, "content": TEXTS, "is_error": st.booleans()}
    ),
)
PLACE: dict[str, st.SearchStrategy[Any]] = {
    "uuid": st.sampled_from([NEW] * 40 + UUIDS),
    "parentUuid": st.sampled_from([LAST] * 60 + [None, "lost", *UUIDS]),
    "sessionId": st.sampled_from(["s1"] * 9 + ["s2"]),
    "timestamp": st.sampled_from([f"2026-01-05T10:{minute:02d}:00.000Z" for minute in range(8)]),
    "cwd": st.just("/home/ann/work"),
}
SIDE: dict[str, st.SearchStrategy[Any]] = {
    "isSidechain": st.booleans(),
    "agentId": st.sampled_from(["a1", "../../etc/passwd"]),
    "isMeta": st.booleans(),
    "isCompactSummary": st.booleans(),
    "isApiErrorMessage": st.booleans(),
    "sourceToolUseID": CALLS,
    "toolUseResult": st.sampled_from([{"agentId": "a1"}, "x", {"stdout": "out"}]),
}


def of_type(kind: str, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Records of one type; few have a mark that only some have."""
    plain = {"type": st.just(kind), **PLACE, **fields}
    marked = st.fixed_dictionaries(plain, optional=SIDE)
    return st.integers(0, 7).flatmap(lambda chance: marked if chance == 7 else st.fixed_dictionaries(plain))


CONTENT = st.one_of(TEXTS, st.lists(BLOCKS, min_size=1, max_size=3))
SPOKEN = of_type("user", message=st.fixed_dictionaries({"content": CONTENT}))
REPLY = of_type(
    "assistant",
    message=st.fixed_dictionaries(
        {"id": MESSAGES, "model": st.sampled_from(["m"] * 9 + ["<synthetic>"]), "content": CONTENT}
    ),
)
OTHER = st.one_of(
    of_type("system", subtype=st.just("compact_boundary"), logicalParentUuid=IDS),
    of_type("progress", data=st.just({"type": "agent_progress"})),
    of_type("queue-operation", operation=st.sampled_from(["enqueue", "remove", "dequeue", "popAll"]), content=TEXTS),
    of_type("attachment", attachment=st.fixed_dictionaries({"type": st.just("queued_command"), "prompt": TEXTS})),
    of_type("pr-link"),
    of_type("of tomorrow"),
)
RECORDS = st.one_of(SPOKEN, SPOKEN, REPLY, REPLY, REPLY, OTHER)


def in_order(files: list[list[dict[str, Any]]]) -> list[list[dict[str, Any]]]:
    """The records with the ids that they ask for."""
    for number, records in enumerate(files):
        last = None
        for at, record in enumerate(records):
            if record["uuid"] == NEW:
                record["uuid"] = f"file{number}-{at}"
            if record["parentUuid"] == LAST:
                record["parentUuid"] = last
            last = record["uuid"]
    return files


TRANSCRIPTS = st.lists(st.lists(RECORDS, max_size=16), min_size=1, max_size=2).map(in_order)
NO_RECORDS = st.sampled_from(
    [b"nonsense", b'{"type":"assist', b"\0\0", b"\xff\xfe{", b"[1]", b"5", b'{"a":' * 3000, b'\xef\xbb\xbf"x"']
)


@functools.cache
def worker() -> Worker:
    return Worker(Setting(load_config(ROOT / "configs" / "data.yml"), frozenset({"ann"})))


def write(files: list[list[dict[str, Any]]], folder: Path) -> list[Path]:
    paths = [folder / "-home-ann-work" / f"file{number}.jsonl" for number in range(len(files))]
    paths[0].parent.mkdir()
    for path, records in zip(paths, files, strict=True):
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return paths


def read(folder: Path) -> tuple[list[Conversation], list[Drop]]:
    items = [item for unit in sessions.units(folder) for item in sessions.read(unit)]
    return [i for i in items if isinstance(i, Conversation)], [i for i in items if isinstance(i, Drop)]


def replies(conversations: list[Conversation]) -> Counter[str]:
    return Counter(m.id for c in conversations for m in c.messages if isinstance(m, Assistant) and m.train)


@given(TRANSCRIPTS)
@settings(suppress_health_check=list(HealthCheck))
def test_every_record_has_one_fate_and_every_reply_is_trained_once_or_named(files: list[list[dict[str, Any]]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write(files, Path(folder))
        conversations, drops = read(Path(folder))
    assert sum(drop.records for drop in drops) == sum(map(len, files))
    named = Counter(drop.subject for drop in drops if drop.tally.replies)
    once = replies(conversations) + named
    assert set(once.values()) <= {1}
    kept = {record["message"]["id"] for record in unique(files) if record["type"] == "assistant"}
    assert set(once) >= kept


def unique(files: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """The records whose uuid no other record has: none of them is a copy."""
    records = [record for records in files for record in records]
    count = Counter(record["uuid"] for record in records)
    return [record for record in records if count[record["uuid"]] == 1]


@given(TRANSCRIPTS)
@settings(suppress_health_check=list(HealthCheck))
def test_every_result_follows_its_call(files: list[list[dict[str, Any]]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write(files, Path(folder))
        conversations, _ = read(Path(folder))
    for conversation in conversations:
        waiting: list[str] = []
        for message in conversation.messages:
            if isinstance(message, Tool):
                assert waiting and message.call_id == waiting.pop(0)
                continue
            assert not waiting
            waiting = [call.id for call in message.calls] if isinstance(message, Assistant) else []


@given(TRANSCRIPTS, NO_RECORDS, st.integers(0, 30))
@settings(suppress_health_check=list(HealthCheck))
def test_what_is_no_record_changes_no_conversation(files: list[list[dict[str, Any]]], noise: bytes, place: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = write(files, Path(folder))[0]
        before, _ = read(Path(folder))
        lines = path.read_bytes().splitlines(keepends=True)
        lines.insert(place % (len(lines) + 1), noise + b"\n")
        path.write_bytes(b"".join(lines))
        after, _ = read(Path(folder))
    assert [spoken(one) for one in after] == [spoken(one) for one in before]


def spoken(conversation: Conversation) -> list[tuple[str, str]]:
    return [(type(message).__name__, message.text) for message in conversation.messages]


@pytest.mark.slow
@given(TRANSCRIPTS)
@settings(suppress_health_check=list(HealthCheck), max_examples=150)
def test_every_window_keeps_its_promises_and_the_books_balance(files: list[list[dict[str, Any]]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write(files, Path(folder))
        units = list(sessions.units(Path(folder)))
        packed = [worker().work(unit) for unit in units]
        assert packed == [worker().work(unit) for unit in units]
    ledger, trained = Ledger(), Counter[str]()
    for done in map(unpack, packed):
        assert not done.problems
        ledger.merge(done.ledger)
        for preferred in done.preferred:  # the whole build books them when it has seen them all
            ledger.choices(key_of(preferred.method, preferred.kind)).rows += 1
        for row in done.rows:
            turns = json.loads(row.line)
            check_row_of(turns)
            trained.update(turns["metadata"]["trained_ids"])
    check(ledger, PER_UNIT)
    assert set(trained.values()) <= {1}


def check_row_of(row: dict[str, Any]) -> None:
    """It is short enough, opens with a person, alternates, and ends with a trained reply."""
    _, *turns = row["conversations"]
    names = ["gpt" if turn["from"] == "gpt" else "human" for turn in turns]
    assert names == ["human", "gpt"] * (len(turns) // 2)
    assert turns[-1]["train"]
    assert row["metadata"]["tokens"] <= worker().setting.config.windows.max_tokens
    assert row["metadata"]["trained_tokens"] > 0
    said = [turn["value"] for turn in turns]
    for asked, given_back in zip(said[1::2], [*said[2::2], ""], strict=True):
        assert given_back == "" or asked.count("<tool_call>\n") == given_back.count("<tool_result")
