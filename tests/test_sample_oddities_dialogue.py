"""Each oddity of a dialogue is really in its file: one small structural check per name of the index."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.sample import odd_agents, odd_calls, odd_context, odd_humans, odd_outcomes, odd_results, odd_turns
from data.sample.odd_turns import REJECTION, REJECTION_WITH_TEXT
from data.sample.town import FEWEST_SESSIONS, build_town
from tests.sample_oddities import Odd, blocks_of, open_oddity, parse, plain_sessions, shows

ACTS = [
    act
    for module in (odd_agents, odd_calls, odd_context, odd_humans, odd_outcomes, odd_results, odd_turns)
    for act in module.ACTS
]


def calls_of_message(odd: Odd) -> dict[str, list[tuple[int, str]]]:
    """Message id -> its calls as (record index, call id)."""
    found: dict[str, list[tuple[int, str]]] = {}
    for i, block in odd.of("tool_use"):
        found.setdefault(odd.rows[i]["message"]["id"], []).append((i, block["id"]))
    return found


def result_places(odd: Odd) -> dict[str, int]:
    return {block["tool_use_id"]: i for i, block in odd.of("tool_result")}


def open_calls(odd: Odd) -> list[int]:
    places = result_places(odd)
    return [i for i, block in odd.of("tool_use") if block["id"] not in places]


def uuids(odd: Odd) -> list[str]:
    return [row["uuid"] for row in odd.rows if "uuid" in row]


def unknown_parents(odd: Odd) -> list[int]:
    known = set(uuids(odd))
    return [i for i, row in enumerate(odd.rows) if row.get("parentUuid") and row["parentUuid"] not in known]


def boundary(odd: Odd) -> int:
    (place,) = odd.kinds("system", subtype="compact_boundary")
    assert odd.rows[place]["parentUuid"] is None
    summary = odd.rows[place + 1]
    assert summary["isCompactSummary"] and summary["isVisibleInTranscriptOnly"] and "isMeta" not in summary
    assert summary["parentUuid"] == odd.rows[place]["uuid"]
    return place


def results_text(odd: Odd) -> str:
    return "\n".join(str(block["content"]) for _, block in odd.of("tool_result"))


def interleaved(odd: Odd) -> bool:
    places = result_places(odd)
    return any(
        len(calls) == 3
        and places[calls[0][1]] < calls[1][0]
        and odd.rows[calls[1][0]]["parentUuid"] == odd.rows[places[calls[0][1]]]["uuid"]
        for calls in calls_of_message(odd).values()
    )


def out_of_order(odd: Odd) -> bool:
    places = result_places(odd)
    orders = [[places[call] for _, call in calls] for calls in calls_of_message(odd).values() if len(calls) == 3]
    return any(order != sorted(order) for order in orders)


def progress_chain(odd: Odd) -> bool:
    kind = {row["uuid"]: row.get("data", {}).get("type") for row in odd.rows if "uuid" in row}
    return any(kind.get(odd.rows[i]["parentUuid"]) == "bash_progress" for i, _ in odd.of("tool_result"))


def hook_siblings(odd: Odd) -> bool:
    hooked = {row["parentUuid"] for row in odd.rows if row.get("data", {}).get("hookEvent") == "PreToolUse"}
    return any(odd.rows[i]["parentUuid"] in hooked for i, _ in odd.of("tool_result"))


def thought_only(odd: Odd) -> bool:
    kinds: dict[str, set[str]] = {}
    for i, block in odd.blocks:
        if odd.rows[i]["type"] == "assistant":
            kinds.setdefault(odd.rows[i]["message"]["id"], set()).add(block["type"])
    (lost,) = [message for message, types in kinds.items() if types == {"thinking"}]
    return len(unknown_parents(odd)) == 1 and lost in odd.raw.decode()


def persisted(odd: Odd) -> str:
    (content,) = [b["content"] for _, b in odd.of("tool_result") if "<persisted-output>" in b["content"]]
    return content


def has_side_file(odd: Odd) -> bool:
    (path,) = odd.others
    full = odd.others[path].decode()
    return (
        path.split("projects/")[1] in persisted(odd)
        and path.split("/")[2:4] == [odd.entry.session, "tool-results"]
        and len(full) > 30_000
        and full[:2000] in persisted(odd)
        and full.encode() not in odd.raw
    )


def full_output_beside(odd: Odd) -> bool:
    place = next(i for i, b in odd.of("tool_result") if "<persisted-output>" in b["content"])
    return not odd.others and len(odd.rows[place]["toolUseResult"]["stdout"]) > 30_000


def points_outside(odd: Odd) -> bool:
    (path,) = odd.others
    return "/../../outside.txt" in persisted(odd) and odd.entry.session not in path and path.endswith("outside.txt")


def second_compaction_repeats(odd: Odd) -> bool:
    place, ids = boundary(odd), uuids(odd)
    again = {row["uuid"] for row in odd.rows[place:] if ids.count(row.get("uuid")) == 2}
    return len(again) >= 4


def preserved(odd: Odd) -> bool:
    place = boundary(odd)
    kept = odd.rows[place]["compactMetadata"]["preservedSegment"]
    copies = [row for row in odd.rows if row.get("uuid") == kept["headUuid"]]
    return (
        kept["anchorUuid"] == odd.rows[place + 1]["uuid"] == copies[1]["parentUuid"]
        and copies[1]["timestamp"] < odd.rows[place]["timestamp"]
        and uuids(odd).count(kept["tailUuid"]) == 2
    )


def new_segment(odd: Odd, hook: str = "SessionStart:clear") -> int:
    (place,) = [i for i, row in enumerate(odd.rows) if row.get("data", {}).get("hookName") == hook]
    assert place > 5 and odd.rows[place]["parentUuid"] is None
    return place


def plan_accepted(odd: Odd) -> bool:
    place = new_segment(odd)
    (call,) = [b for _, b in odd.of("tool_use") if b["name"] == "ExitPlanMode"]
    (start,) = odd.starting("Implement the following plan:")
    rejected = odd.result_of(call["id"])["content"] == REJECTION
    return rejected and start > place and call["input"]["plan"] in odd.rows[start]["message"]["content"]


def synthetic(odd: Odd, text: str, error: bool) -> bool:
    (row,) = [row for row in odd.rows if row.get("message", {}).get("model") == "<synthetic>"]
    return row["isApiErrorMessage"] is error and blocks_of(row)[0]["text"].startswith(text)


def resumed(odd: Odd) -> bool:
    (again,) = {uuid for uuid in uuids(odd) if uuids(odd).count(uuid) == 2}
    first, second = [row for row in odd.rows if row.get("uuid") == again]
    (caveat,) = odd.starting("<local-command-caveat>")
    below = [row["type"] for row in odd.rows if row.get("parentUuid") == odd.rows[caveat]["uuid"]]
    return (
        synthetic(odd, "No response requested.", False)
        and first["message"] == second["message"]
        and first["version"] != second["version"]
        and below == ["user", "assistant"]
    )


def rewound(odd: Odd) -> bool:
    prompts = [row["parentUuid"] for row in odd.rows if row["type"] == "user" and "permissionMode" in row]
    return any(prompts.count(parent) == 2 for parent in prompts)


def queued(odd: Odd, operations: list[str], recorded: int) -> bool:
    """The queue's operations, and whether the queued text is recorded as the prompt after the last of them."""
    places = odd.kinds("queue-operation")
    queue = [odd.rows[i] for i in places]
    text = queue[0]["content"]
    found = [said for i, said in odd.texts("user") if said == text and places[-1] < i <= places[-1] + 2]
    return [row["operation"] for row in queue] == operations and len(found) == recorded


def attached(odd: Odd) -> list[str]:
    return [odd.rows[i]["attachment"]["prompt"] for i in odd.kinds("attachment")]


def after_result(odd: Odd, place: int) -> bool:
    """The record before is a result, the next assistant record another call."""
    before = [row for row in odd.rows[:place] if row["type"] in ("user", "assistant")][-1]
    after = next(b for i, b in odd.blocks if i > place and b["type"] != "thinking")
    return blocks_of(before)[-1]["type"] == "tool_result" and after["type"] == "tool_use"


def bare_rejection(odd: Odd) -> bool:
    (place,) = odd.starting("[Request interrupted by user for tool use]")
    return blocks_of(odd.rows[place - 1])[0]["content"] == REJECTION


def spoken_rejection(odd: Odd) -> bool:
    (text,) = [b["content"] for _, b in odd.of("tool_result") if str(b["content"]).startswith(REJECTION_WITH_TEXT)]
    return len(text) > len(REJECTION_WITH_TEXT)


def beside_result(odd: Odd) -> bool:
    shapes = [[b["type"] for b in blocks_of(row)] for row in odd.rows if row["type"] == "user"]
    return shapes.count(["text", "tool_result"]) == 1


def answered(odd: Odd) -> bool:
    (call,) = [b for _, b in odd.of("tool_use") if b["name"] == "AskUserQuestion"]
    return odd.result_of(call["id"])["content"].startswith('User has answered your questions: "')


def slash_command(odd: Odd) -> bool:
    (place,) = odd.starting("<command-message>")
    body = odd.rows[place + 1]
    return "<command-args>" in odd.rows[place]["message"]["content"] and body["isMeta"] is True


def local_triple(odd: Odd) -> bool:
    starts = ("<local-command-caveat>", "<command-name>", "<local-command-stdout>")
    places = [odd.starting(start)[0] for start in starts]
    return places == list(range(places[0], places[0] + 3)) and odd.rows[places[0]]["isMeta"]


def bang(odd: Odd) -> bool:
    (given,) = odd.starting("<bash-input>")
    return odd.starting("<bash-stdout>") == [given + 1]


def skill(odd: Odd) -> bool:
    (call,) = [b for _, b in odd.of("tool_use") if b["name"] == "Skill"]
    bodies = [row for row in odd.rows if row.get("sourceToolUseID") == call["id"]]
    return len(bodies) == 1 and bodies[0]["isMeta"] and "Base directory for this skill" in str(bodies[0]["message"])


def stopped(odd: Odd) -> bool:
    (place,) = odd.starting("Operation stopped by hook")
    said = odd.rows[place - 1]["message"]["content"]
    return sum(text == said for _, text in odd.texts("user")) == 2


def agent_of(odd: Odd) -> tuple[str, str]:
    (result,) = [b["content"] for _, b in odd.of("tool_result") if "agentId: " in str(b["content"])]
    return result[1]["text"].split()[1], result[0]["text"]


def subagent(odd: Odd, path: str) -> bool:
    agent, report = agent_of(odd)
    place = f"{odd.entry.file.rsplit('/', 1)[0]}/{path.format(session=odd.entry.session, agent=agent)}"
    rows = parse(odd.others[place])
    chain = all(row["isSidechain"] and row["agentId"] == agent for row in rows)
    return chain and rows[0]["parentUuid"] is None and blocks_of(rows[-1])[0]["text"] == report


def inline_agent(odd: Odd) -> bool:
    side = [row for row in odd.rows if row.get("isSidechain")]
    return len(side) >= 3 and side[0]["parentUuid"] is None and not odd.others


def warmup(odd: Odd) -> bool:
    (content,) = odd.others.values()
    return parse(content)[0]["message"]["content"] == "Warmup" and "agent-" in odd.entry.also[0]


def progress_of_agent(odd: Odd) -> bool:
    agent, _ = agent_of(odd)
    data = [row["data"] for row in odd.rows if row.get("data", {}).get("type") == "agent_progress"]
    return len(data) >= 3 and all(item["agentId"] == agent for item in data) and not odd.others


def shapes_of_results(odd: Odd) -> list[list[str]]:
    lists = [b["content"] for _, b in odd.of("tool_result") if isinstance(b["content"], list)]
    return [[block["type"] for block in content] for content in lists]


def results_of(odd: Odd) -> list[str]:
    return [b["content"] for _, b in odd.of("tool_result") if isinstance(b["content"], str)]


def repaired(odd: Odd, tool: str, error: str) -> bool:
    """A call that failed this way, and after it one of the same tool that did not, before anybody spoke."""
    calls = [(i, b["id"]) for i, b in odd.of("tool_use") if b["name"] == tool]
    failed = next(n for n, (_, call) in enumerate(calls) if error in str(odd.result_of(call)["content"]))
    (at, _), (then, later) = calls[failed], calls[failed + 1]
    return not odd.result_of(later).get("is_error") and not any(at < i < then for i, _ in odd.texts("user"))


def turned_green(odd: Odd) -> bool:
    """Results in this order; plain tasks of a crew run green tests, too."""
    _, red, after = results_text(odd).partition("1 failed, 7 passed")
    green, _, landed = after.partition("new branch]")
    return bool(red) and "8 passed" in green and "/pull/42" in landed


CHECKS = {
    "interleaved_results": interleaved,
    "parallel_results_out_of_order": out_of_order,
    "failed_sibling_call": lambda odd: "Sibling tool call errored" in results_text(odd),
    "progress_in_the_parent_chain": progress_chain,
    "hook_progress_beside_a_result": hook_siblings,
    "call_without_result_at_end": lambda odd: open_calls(odd) == [len(odd.rows) - 1],
    "lost_parent_mid_file": lambda odd: len(unknown_parents(odd)) == 1 and unknown_parents(odd)[0] > 5,
    "thinking_only_truncated_message": thought_only,
    "several_blocks_on_one_line": lambda odd: any(
        [b["type"] for b in blocks_of(row)] == ["thinking", "text", "tool_use"] for row in odd.rows if "message" in row
    ),
    "whitespace_only_text_block": lambda odd: any(text == "\n\n" for _, text in odd.texts("assistant")),
    "persisted_output_with_side_file": has_side_file,
    "persisted_output_without_side_file": full_output_beside,
    "persisted_output_outside_the_session": points_outside,
    "list_result": lambda odd: shapes_of_results(odd) == [["text", "text"]],
    "image_result": lambda odd: shapes_of_results(odd) == [["text", "image"]],
    "image_prompt": lambda odd: any(odd.rows[i]["type"] == "user" for i, _ in odd.of("image")),
    "empty_result": lambda odd: "" in results_of(odd),
    "error_result": lambda odd: any(b.get("is_error") for _, b in odd.of("tool_result")),
    "huge_result": lambda odd: max(map(len, results_of(odd))) > 40_000,
    "coloured_result": lambda odd: "\x1b[32m" in results_text(odd) and "Shell cwd was reset" in results_text(odd),
    "literal_tool_call_tag": lambda odd: (
        "<tool_call>\n" in results_text(odd) and any("<tool_call>" in text for _, text in odd.texts("assistant"))
    ),
    "literal_control_token": lambda odd: (
        "<|im_end|>" in results_text(odd) and any("<|im_end|>" in str(b["input"]) for _, b in odd.of("tool_use"))
    ),
    "fake_cloud_key": lambda odd: "AKIA" in results_text(odd),
    "password_in_a_url": lambda odd: "postgres://ledger:not-a-real-" in results_text(odd),
    "password_variable": lambda odd: "\nPGPASSWORD=not-a-real-" in results_text(odd),
    "skill_body": skill,
    "compaction_with_known_parent": lambda odd: odd.rows[boundary(odd)]["logicalParentUuid"] in uuids(odd),
    "compaction_with_lost_parent": lambda odd: odd.rows[boundary(odd)]["logicalParentUuid"] not in uuids(odd),
    "call_without_result_before_compaction": lambda odd: open_calls(odd) == [boundary(odd) - 1],
    "compaction_with_preserved_segment": preserved,
    "rows_appended_again": second_compaction_repeats,
    "microcompact_boundary": lambda odd: len(odd.kinds("system", subtype="microcompact_boundary")) == 1,
    "cleared_context": lambda odd: new_segment(odd) < odd.starting("<command-name>/clear")[0],
    "accepted_plan": plan_accepted,
    "resumed_session": resumed,
    "api_error_reply": lambda odd: synthetic(odd, "API Error: 529", True),
    "rewound_prompt": rewound,
    "pull_request_link": lambda odd: len(odd.kinds("pr-link")) == 1,
    "moved_folder": lambda odd: len({row["cwd"] for row in odd.rows if "cwd" in row}) == 2,
    "queued_text_taken_in_mid_turn": lambda odd: (
        queued(odd, ["enqueue", "remove"], 0) and after_result(odd, odd.kinds("queue-operation")[1])
    ),
    "queued_text_delivered_later": lambda odd: queued(odd, ["enqueue", "dequeue"], 1),
    "queued_text_taken_back": lambda odd: queued(odd, ["enqueue", "popAll"], 0),
    "queued_command_attachment": lambda odd: len(attached(odd)) == 1 and not odd.kinds("queue-operation"),
    "queued_command_in_both_forms": lambda odd: (
        queued(odd, ["enqueue", "remove"], 0) and odd.rows[odd.kinds("queue-operation")[0]]["content"] in attached(odd)
    ),
    "interrupted_by_user": lambda odd: len(odd.starting("[Request interrupted by user]")) == 1,
    "rejected_with_text": spoken_rejection,
    "rejected_without_text": bare_rejection,
    "answered_question": answered,
    "text_beside_a_result": beside_result,
    "prompt_without_an_answer": lambda odd: (
        odd.starting("Unanswered: ")[0] == odd.starting("[Request interrupted by user]")[0] - 1
    ),
    "slash_command_with_body": slash_command,
    "local_command_triple": local_triple,
    "local_command_as_system_record": lambda odd: len(odd.kinds("system", subtype="local_command")) == 1,
    "bang_bash": bang,
    "task_notification": lambda odd: len(odd.starting("<task-notification>")) == 1,
    "stopped_by_hook": stopped,
    "reminder_typed_into_the_pane": lambda odd: len(odd.starting("<system-reminder>")) == 1,
    "nudge_from_mayor": lambda odd: len(odd.starting("[from mayor] ")) == 1,
    "opened_file_before_the_prompt": lambda odd: len(odd.starting("<ide_opened_file>")) == 1,
    "memory_and_private_blocks": lambda odd: len(odd.starting("<claude-mem-context>")) == 1,
    "failed_edit_repaired": lambda odd: repaired(odd, "Edit", "File has not been read yet"),
    "mistyped_command_repaired": lambda odd: repaired(odd, "Bash", "unknown command"),
    "corrected_by_user": lambda odd: len(odd.starting("No, not that.")) == 1,
    "tests_turned_green_and_landed": turned_green,
    "subagent_in_session_folder": lambda odd: subagent(odd, "{session}/subagents/agent-{agent}.jsonl"),
    "subagent_beside_session": lambda odd: subagent(odd, "agent-{agent}.jsonl"),
    "inline_sidechain": inline_agent,
    "warmup_subagent": warmup,
    "agent_progress": progress_of_agent,
}


@pytest.mark.parametrize("name", CHECKS)
def test_the_oddity_is_in_its_file(name):
    assert CHECKS[name](open_oddity(name))


@pytest.mark.parametrize("name", CHECKS)
def test_the_check_finds_nothing_in_a_plain_session(name):
    assert not any(shows(CHECKS[name], odd) for odd in plain_sessions())


def test_every_act_is_checked_here_and_nothing_else():
    assert [act.name for act in ACTS] == list(dict.fromkeys(act.name for act in ACTS))
    assert {act.name for act in ACTS} == CHECKS.keys()


@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.name)
def test_an_entry_names_session_file_role_and_a_sentence(act):
    entry = open_oddity(act.name).entry
    assert entry.file.endswith(f"/{entry.session}.jsonl") and entry.role == act.role
    assert entry.reader_must[0].isupper() and entry.reader_must.endswith(".")
    assert all(path.startswith(entry.file.rsplit("/", 1)[0]) for path in entry.also)


def test_only_two_oddities_leave_a_call_without_its_result():
    left = {act.name for act in ACTS if open_calls(open_oddity(act.name))}
    assert left == {"call_without_result_at_end", "call_without_result_before_compaction"}


@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 2**40))
def test_every_seed_shows_every_oddity(seed):
    town = build_town(FEWEST_SESSIONS, seed)
    assert all(shows(check, open_oddity(name, town)) for name, check in CHECKS.items())


def test_the_meta_file_of_a_subagent_lies_beside_it():
    odd = open_oddity("subagent_in_session_folder")
    assert {path.rsplit(".", 1)[0].removesuffix(".meta") for path in odd.others} == {odd.entry.also[0][:-6]}
