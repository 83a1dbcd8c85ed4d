"""What must hold for every transcript, however records are ordered, copied, sliced or broken."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data.extract import sessions
from data.record import Assistant, Conversation, Drop, Tool
from tests.transcripts import Script, read_all

STEPS = st.lists(
    st.sampled_from(["human", "says", "call", "parallel", "orphan", "progress", "compact", "clear", "queue"])
)


def write(steps: list[str], folder: Path) -> list[str]:
    """A transcript with these steps; returns its lines."""
    s = Script()
    s.human("go")
    for number, step in enumerate(steps):
        message, call = f"m{number}", f"t{number}"
        match step:
            case "human":
                s.human(f"say {number}")
            case "says":
                s.says(f"text {number}", message)
            case "call":
                s.calls(call, message)
                s.result(call)
            case "parallel":
                s.calls(f"{call}a", message)
                s.calls(f"{call}b", message)
                s.result(f"{call}b")
                s.result(f"{call}a")
            case "orphan":
                s.result(f"nowhere{number}")
            case "progress":
                s.add("progress", data={"type": "bash_progress"})
            case "compact":
                s.add("system", subtype="compact_boundary", parent=None, logicalParentUuid=s.last)
                s.human(f"summary {number}", isCompactSummary=True)
            case "clear":
                s.add("progress", data={}, parent=None)
            case "queue":
                s.bare("queue-operation", operation="enqueue", content=f"queued {number}")
                s.bare("queue-operation", operation="remove")
    s.says("end", "m-end")
    s.save(folder)
    return s.text().splitlines(keepends=True)


def trained(conversations: list[Conversation]) -> Counter[str]:
    return Counter(m.id for c in conversations for m in c.messages if isinstance(m, Assistant) and m.train)


@given(STEPS)
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_each_reply_is_trained_once_and_each_result_follows_its_call(steps: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        lines = write(steps, Path(folder))
        conversations, drops = read_all(Path(folder))
    replies = {json.loads(line)["message"]["id"] for line in lines if '"assistant"' in line}
    assert trained(conversations) == Counter(replies)
    for conversation in conversations:
        open_calls: list[str] = []
        for message in conversation.messages:
            if isinstance(message, Tool):
                assert open_calls and message.call_id == open_calls.pop(0)
            else:
                assert not open_calls
            if isinstance(message, Assistant):
                open_calls = [call.id for call in message.calls]
    assert sum(drop.records for drop in drops) == len(lines)


@given(STEPS, st.data())
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_copies_and_slices_of_a_session_change_nothing(steps: list[str], data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        lines = write(steps, Path(folder))
        alone, _ = read_all(Path(folder))
        project = Path(folder) / "-home-ann-work"
        for copy in range(data.draw(st.integers(1, 3))):
            start = data.draw(st.integers(0, len(lines) - 1))
            end = data.draw(st.integers(start + 1, len(lines)))
            (project / f"slice.copy{copy}.jsonl").write_text("".join(lines[start:end]))
        together, _ = read_all(Path(folder))
    assert trained(together) == trained(alone)


@given(STEPS, st.binary(max_size=60), st.integers(0, 40))
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_a_broken_line_costs_no_other_record_and_no_traceback(steps: list[str], noise: bytes, at: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        lines = [line.encode() for line in write(steps, Path(folder))]
        before, _ = read_all(Path(folder))
        path = next(Path(folder).rglob("*.jsonl"))
        lines.insert(1 + at % len(lines), b"{" + noise.replace(b"\n", b"") + b"\n")
        path.write_bytes(b"".join(lines))
        items = [item for unit in sessions.units(Path(folder)) for item in sessions.read(unit)]
    after = [item for item in items if isinstance(item, Conversation)]
    assert trained(after) == trained(before)
    assert sum(item.records for item in items if isinstance(item, Drop)) >= len(lines) - 1


WRONG = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5), st.lists(st.integers(), max_size=2))


@given(
    st.sampled_from(sorted({"type", "uuid", "parentUuid", "sessionId", "timestamp", "cwd", "message", "isMeta"})), WRONG
)
@settings(deadline=None)
def test_a_wrong_type_in_any_field_is_a_named_record_not_a_crash(field: str, value: object) -> None:
    with tempfile.TemporaryDirectory() as folder:
        lines = write(["call", "human", "says"], Path(folder))
        path = next(Path(folder).rglob("*.jsonl"))
        record = json.loads(lines[2])
        record[field] = value
        path.write_text("".join([*lines[:2], json.dumps(record) + "\n", *lines[3:]]))
        conversations, drops = read_all(Path(folder))
    assert sum(drop.records for drop in drops) == len(lines)
    assert trained(conversations)["m-end"] == 1
