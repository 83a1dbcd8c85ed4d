"""Reading Claude Code's transcripts: each oddity of the format in a script of its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from data.extract import sessions
from data.extract.results import REJECTED, SAID
from data.extract.transcript import Reason
from data.extract.unit import SourceError
from data.record import Assistant
from tests.transcripts import Script, read_all, reasons, shape


def only(folder: Path) -> list[str]:
    """The shape of the one conversation in a folder."""
    [conversation], _ = read_all(folder)
    return shape(conversation)


def test_lines_of_one_message_are_one_reply_and_blank_texts_are_none(tmp_path: Path) -> None:
    s = Script()
    s.human("go")
    s.thinks("m1")
    s.says("\n\n", "m1")
    s.says("I look.", "m1")
    s.calls("t1", "m1")
    s.result("t1", "a b")
    s.says("It is fine.", "m2")
    s.save(tmp_path)
    assert only(tmp_path) == ["prompt: go", "reply: I look. [t1]", "t1 ok: a b", "reply: It is fine."]


def test_results_that_arrive_while_a_message_streams_stand_after_it_in_call_order(tmp_path: Path) -> None:
    s = Script()
    s.human("go")
    first = s.calls("t1", "m1")
    s.result("t1", "one")
    s.calls("t2", "m1")
    s.calls("t3", "m1", parent=first)
    s.result("t3", "three")
    s.result("t2", "two")
    s.says("Done.", "m2")
    s.save(tmp_path)
    assert only(tmp_path)[1:] == ["reply:  [t1] [t2] [t3]", "t1 ok: one", "t2 ok: two", "t3 ok: three", "reply: Done."]


def test_progress_and_system_records_make_no_fork(tmp_path: Path) -> None:
    s = Script()
    s.human("go")
    call = s.calls("t1", "m1")
    s.add("progress", data={"type": "hook_progress"}, parent=call)
    s.add("progress", data={"type": "bash_progress"})
    s.result("t1", parent=call)
    s.add("system", subtype="turn_duration")
    s.says("Done.", "m2")
    s.save(tmp_path)
    conversations, drops = read_all(tmp_path)
    assert shape(conversations[0])[-1] == "reply: Done."
    assert reasons(drops) == {"used": 4, Reason.PROGRESS: 2, Reason.SYSTEM: 1}


def test_a_rewound_branch_is_set_aside_and_the_later_prompt_lives(tmp_path: Path) -> None:
    s = Script()
    s.human("go")
    fork = s.says("First.", "m1")
    s.human("wrong way")
    s.says("Wrong.", "m2")
    s.human("right way", parent=fork)
    s.says("Right.", "m3")
    s.save(tmp_path)
    conversations, drops = read_all(tmp_path)
    assert shape(conversations[0]) == ["prompt: go", "reply: First.", "prompt: right way", "reply: Right."]
    assert reasons(drops)[Reason.REWOUND] == 2
    assert [d.subject for d in drops if d.reason == Reason.REWOUND and d.tally.replies] == ["m2"]


def test_a_copied_session_trains_what_it_shares_once(tmp_path: Path) -> None:
    s = Script()
    s.human("go")
    s.says("One.", "m1")
    s.save(tmp_path, "part.copy1")
    s.human("more")
    s.says("Two.", "m2")
    s.save(tmp_path)
    conversations, drops = read_all(tmp_path)
    assert [shape(c) for c in conversations] == [["prompt: go", "reply: One.", "prompt: more", "reply: Two."]]
    assert reasons(drops)[Reason.COPY] == 2


def test_a_session_that_moved_to_another_project_is_still_one(tmp_path: Path) -> None:
    s = Script()
    s.human("go")
    s.says("One.", "m1")
    moved = tmp_path / "-home-ann-elsewhere"
    moved.mkdir()
    path = s.save(tmp_path)
    path.rename(moved / path.name)
    s.human("more")
    s.says("Two.", "m2")
    s.save(tmp_path)
    assert only(tmp_path) == ["prompt: go", "reply: One.", "prompt: more", "reply: Two."]


def test_a_branch_whose_copies_have_new_ids_trains_what_it_shares_once(tmp_path: Path) -> None:
    one = Script()
    one.human("go")
    one.says("One.", "msg_1")
    one.save(tmp_path)
    other = Script(session="5e551011-0000-4000-8000-00000000beef", start=30)
    other.human("go")
    other.says("One.", "msg_1")
    other.human("right")
    other.says("Right.", "msg_2")
    other.save(tmp_path)
    conversations, _ = read_all(tmp_path)
    told = [m.id for c in conversations for m in c.messages if isinstance(m, Assistant) and m.train]
    assert sorted(told) == ["msg_1", "msg_2"]


def test_a_fork_under_another_session_id_has_the_shared_part_as_context(tmp_path: Path) -> None:
    one = Script()
    one.human("go")
    shared = one.says("One.", "m1")
    other = Script(session="5e551011-0000-4000-8000-00000000beef", start=30)
    other.lines = [*one.lines]
    other.last = shared
    one.human("left")
    one.says("Left.", "m2")
    one.save(tmp_path)
    other.human("right")
    other.says("Right.", "m3")
    other.save(tmp_path)
    conversations, _ = read_all(tmp_path)
    assert [shape(c) for c in conversations] == [
        ["prompt: go", "reply: One.", "prompt: left", "reply: Left."],
        ["prompt: go", "reply (context): One.", "prompt: right", "reply: Right."],
    ]
    assert {c.origin.group for c in conversations} == {one.session}


def test_a_compaction_opens_an_epoch_with_its_summary(tmp_path: Path) -> None:
    s = Script()
    s.human("go")
    last = s.says("One.", "m1")
    s.add("system", subtype="compact_boundary", parent=None, logicalParentUuid=last)
    s.human("We did things.", isCompactSummary=True, isVisibleInTranscriptOnly=True)
    s.says("Two.", "m2")
    s.save(tmp_path)
    conversations, _ = read_all(tmp_path)
    assert [shape(c) for c in conversations] == [
        ["prompt: go", "reply: One."],
        ["summary: We did things.", "reply: Two."],
    ]
    assert [c.origin.epoch for c in conversations] == [0, 1]


def test_a_cleared_context_opens_a_segment(tmp_path: Path) -> None:
    s = Script()
    s.human("go")
    s.says("One.", "m1")
    s.add("progress", data={"type": "hook_progress"}, parent=None)
    s.human("Implement the following plan:\n\nBe good.", planContent="Be good.")
    s.says("Two.", "m2")
    s.save(tmp_path)
    conversations, _ = read_all(tmp_path)
    assert [shape(c)[0] for c in conversations] == ["prompt: go", "plan: Implement the following plan:\n\nBe good."]


def test_a_lost_parent_is_bridged_by_the_record_before(tmp_path: Path) -> None:
    s = Script()
    s.human("go")
    s.thinks("m1")
    s.add("system", subtype="stop_hook_summary", parent="nowhere")
    s.human("and then?")
    s.says("Two.", "m2")
    s.save(tmp_path)
    conversations, drops = read_all(tmp_path)
    assert shape(conversations[0]) == ["prompt: go", "prompt: and then?", "reply: Two."]
    assert reasons(drops)[Reason.THINKING_ONLY] == 1


@pytest.mark.parametrize(
    ("text", "fields", "expected"),
    [
        ("fix it", {}, "prompt: fix it"),
        (
            "<command-message>x</command-message>\n<command-name>/fix</command-name>\n<command-args>it</command-args>",
            {},
            "command: /fix it",
        ),
        ("<command-name>/exit</command-name>", {}, Reason.LOCAL_COMMAND),
        ("<local-command-stdout>bye</local-command-stdout>", {}, Reason.LOCAL_COMMAND),
        ("<local-command-caveat>no</local-command-caveat>", {"isMeta": True}, Reason.LOCAL_COMMAND),
        ("<bash-input>ls</bash-input>", {}, "shell: <bash-input>ls</bash-input>"),
        (
            "<task-notification>done</task-notification>",
            {},
            "notification: <task-notification>done</task-notification>",
        ),
        ("Operation stopped by hook: no", {}, Reason.HOOK_STOP),
        ("<system-reminder>mail</system-reminder>", {}, "reminder: <system-reminder>mail</system-reminder>"),
        ("[from mayor] wake up", {}, "notification: [from mayor] wake up"),
        ("what it does", {"isMeta": True}, "expansion: what it does"),
        ("[Request interrupted by user]", {}, "interrupt: [Request interrupted by user]"),
        ("<private>secret plan</private>hello", {}, "prompt: hello"),
        ("  ", {}, Reason.EMPTY),
    ],
)
def test_what_only_looks_human_is_told_apart(tmp_path: Path, text: str, fields: dict[str, bool], expected: str) -> None:
    s = Script()
    s.human("go")
    s.says("One.", "m1")
    s.human(text, **fields)
    s.human("next")
    s.says("Two.", "m2")
    s.save(tmp_path)
    conversations, drops = read_all(tmp_path)
    if isinstance(expected, Reason):
        assert reasons(drops)[expected] == 1
        assert shape(conversations[0])[2] == "prompt: next"
    else:
        assert shape(conversations[0])[2] == expected


def test_human_words_hide_in_rejections_beside_results_and_in_the_queue(tmp_path: Path) -> None:
    s = Script()
    s.human("go")
    s.calls("t1", "m1")
    s.result("t1", f"{REJECTED} {SAID}use the other file", error=True)
    s.calls("t2", "m2")
    s.human([{"type": "text", "text": "hurry"}, {"type": "tool_result", "tool_use_id": "t2", "content": "ok"}])
    s.calls("t3", "m3")
    s.bare("queue-operation", operation="enqueue", content="wait, there is more")
    s.result("t3", "ok")
    s.bare("queue-operation", operation="remove")
    s.bare("queue-operation", operation="enqueue", content="never sent")
    s.bare("queue-operation", operation="popAll")
    s.says("Done.", "m4")
    s.save(tmp_path)
    words = only(tmp_path)
    assert "rejection: use the other file" in words
    assert "beside_result: hurry" in words
    assert words[-2:] == ["queued: wait, there is more", "reply: Done."]
    assert not any("never sent" in word for word in words)


def test_an_attachment_with_a_queued_command_is_not_given_twice(tmp_path: Path) -> None:
    s = Script()
    s.human("go")
    s.calls("t1", "m1")
    s.bare("queue-operation", operation="enqueue", content="and the docs")
    s.result("t1")
    s.bare("queue-operation", operation="remove")
    s.add("attachment", attachment={"type": "queued_command", "commandMode": "prompt", "prompt": "and the docs"})
    s.says("Done.", "m2")
    s.save(tmp_path)
    assert only(tmp_path).count("queued: and the docs") == 1


def test_a_call_without_a_result_says_so_and_an_orphan_result_is_named(tmp_path: Path) -> None:
    s = Script()
    s.human("go")
    s.calls("t1", "m1")
    s.human("never mind")
    s.says("Done.", "m2")
    s.result("t9", "from nowhere")
    s.save(tmp_path)
    conversations, drops = read_all(tmp_path)
    assert shape(conversations[0])[2] == f"t1 missing: {sessions.NO_RESULT}"
    assert reasons(drops)[Reason.ORPHAN_RESULT] == 1


def test_what_the_client_wrote_itself_is_never_a_reply(tmp_path: Path) -> None:
    s = Script()
    s.human("go")
    s.says("No response requested.", "m1", model="<synthetic>")
    s.says("API Error: 500", "m2", isApiErrorMessage=True)
    s.says("Done.", "m3")
    s.save(tmp_path)
    conversations, drops = read_all(tmp_path)
    assert shape(conversations[0]) == ["prompt: go", "reply: Done."]
    assert sum(d.tally.replies for d in drops if d.reason == Reason.SYNTHETIC) == 2


def test_an_accepted_plan_is_no_rejection(tmp_path: Path) -> None:
    s = Script()
    s.human("go")
    s.calls("t1", "m1", name="ExitPlanMode")
    s.result("t1", f"{REJECTED} The tool use was rejected.", error=True)
    s.says("Done.", "m2")
    s.save(tmp_path)
    assert only(tmp_path)[2].startswith("t1 accepted_plan:")


def test_a_large_output_is_read_from_the_session_folder_and_from_nowhere_else(tmp_path: Path) -> None:
    def script(call: str) -> Script:
        s = Script()
        s.human("go")
        s.calls(call, "m1")
        s.result(call, "<persisted-output>\nOutput too large. Preview:\nx", toolUseResult={"stdout": "from the record"})
        s.says("Done.", "m2")
        return s

    side = tmp_path / "-home-ann-work" / Script().session / "tool-results"
    side.mkdir(parents=True)
    (tmp_path / "secret.txt").write_text("root:x")
    (side / "t1.txt").write_text("from the side file")
    (side / "t2.txt").symlink_to(tmp_path / "secret.txt")
    for call, expected in [
        ("t1", "from the side file"),
        ("t2", "from the record"),
        ("../../../secret", "from the record"),
    ]:
        script(call).save(tmp_path)
        assert only(tmp_path)[2] == f"{call} ok: {expected}"


def test_glued_truncated_and_foreign_lines_are_repaired_or_named(tmp_path: Path) -> None:
    s = Script()
    s.human("go")
    s.says("One.", "m1")
    path = s.save(tmp_path)
    lines = path.read_text().splitlines()
    glued = lines[1] + json.dumps({"type": "summary", "summary": "x", "leafUuid": "y"})
    path.write_text("\n".join([lines[0], glued, '{"type": "user", "mess']))
    (path.parent / "gemini.jsonl").write_text(
        json.dumps({"sessionId": "g", "messages": [{"type": "gemini"}]}, indent=2)
    )
    (path.parent / "noise.jsonl").write_bytes(b"\x00\xff\x00\n[1, 2]\n")
    conversations, drops = read_all(tmp_path)
    assert shape(conversations[0]) == ["prompt: go", "reply: One."]
    assert reasons(drops) == {"used": 2, Reason.TITLE: 1, Reason.MALFORMED: 3, Reason.FOREIGN: 1}


def test_a_lone_surrogate_or_a_deep_line_costs_no_other_record(tmp_path: Path) -> None:
    s = Script()
    s.human("go")
    s.says("half a \ud83d smile", "m1")
    path = s.save(tmp_path)
    path.write_text(path.read_text() + '{"type": "user", "message": ' + "[" * 20_000 + "]" * 20_000 + "}\n")
    conversations, drops = read_all(tmp_path)
    assert shape(conversations[0]) == ["prompt: go", "reply: half a ? smile"]
    assert reasons(drops) == {"used": 2, Reason.MALFORMED: 1}


def test_a_child_before_its_parent_and_a_loop_lose_nothing(tmp_path: Path) -> None:
    s = Script()
    s.human("go", uuid="a", parent=None)
    s.says("Two.", "m2", uuid="c", parent="b")
    s.human("more", uuid="b", parent="a")
    s.human("loop", uuid="d", parent="e")
    s.says("Three.", "m3", uuid="e", parent="d")
    s.save(tmp_path)
    conversations, _ = read_all(tmp_path)
    told = [m.id for c in conversations for m in c.messages if isinstance(m, Assistant) and m.train]
    assert sorted(told) == ["m2", "m3"]


def test_subagents_are_conversations_of_their_own_and_warm_ups_are_none(tmp_path: Path) -> None:
    s = Script()
    s.human("go")
    s.calls("t1", "m1", name="Task", arguments={"prompt": "look around"})
    s.result("t1", "report", toolUseResult={"agentId": "a1", "totalToolUseCount": 0})
    s.says("Done.", "m2")
    s.save(tmp_path)
    for agent, prompt in (("a1", "look around"), ("a2", "Warmup")):
        a = Script(start=40)
        a.human(prompt, uuid=f"{agent}-1", parent=None, isSidechain=True, agentId=agent)
        a.says("Found.", f"{agent}-m", uuid=f"{agent}-2", isSidechain=True, agentId=agent)
        folder = tmp_path / "-home-ann-work" / s.session / "subagents"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"agent-{agent}.jsonl").write_text(a.text())
    conversations, drops = read_all(tmp_path)
    assert [(c.origin.agent, c.origin.parent_call) for c in conversations] == [("", ""), ("a1", "t1")]
    assert shape(conversations[1]) == ["prompt: look around", "reply: Found."]
    assert reasons(drops)[Reason.WARMUP] == 2


def test_a_missing_folder_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="is not a folder"):
        list(sessions.units(tmp_path / "nowhere"))
