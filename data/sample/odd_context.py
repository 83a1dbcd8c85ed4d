"""Oddities of the context: compaction, cleared contexts, plans, resumed and rewound sessions."""

from typing import Any

from data.sample.dialogue import ask, call_tool, conclude, draw, perform, respond, write_hook
from data.sample.ids import draw_uuid
from data.sample.odd_humans import run_local_command
from data.sample.odd_turns import REJECTION
from data.sample.oddity import Act
from data.sample.people import HOME
from data.sample.transcript import Row, Transcript

SUMMARY = (
    "This session is being continued from a previous conversation that ran out of context. The "
    "summary below covers the earlier portion of the conversation.\n\nAnalysis:\nThe agent of "
    "{address} did what it was asked, one task after the other, and nothing is open.\n\nIf you need "
    "details, read the full transcript at: {home}/.claude/projects/session.jsonl\nPlease continue "
    "the conversation from where we left it off without asking the user any further questions. "
    "Continue with the last task that you were asked to work on."
)


def compact(t: Transcript, logical_parent: str | None, **metadata: Any) -> Row:
    """A boundary, its summary and the hook after it. Returns the summary's record."""
    numbers = {"trigger": "auto", "preTokens": t.rng.randint(150_000, 170_000), **metadata}
    t.parent = None
    t.add(
        "system",
        subtype="compact_boundary",
        content="Conversation compacted",
        isMeta=False,
        level="info",
        logicalParentUuid=logical_parent,
        compactMetadata=numbers,
    )
    text = SUMMARY.format(address=t.actor.address, home=HOME)
    summary = t.say(text, isVisibleInTranscriptOnly=True, isCompactSummary=True)
    t.parent = write_hook(t, summary["uuid"], "SessionStart", "compact", draw_uuid(t.rng))["uuid"]
    return summary


def compaction_with_known_parent(t: Transcript) -> None:
    """The boundary's logical parent is the last record before it."""
    compact(t, t.parent)


def compaction_with_lost_parent(t: Transcript) -> None:
    """The last record before the compaction was lost, so the logical parent is nowhere."""
    compact(t, draw_uuid(t.rng))


def call_without_result_before_compaction(t: Transcript) -> None:
    """The compaction came before the tool's result was written."""
    scene = draw(t)
    ask(t, scene.prompt)
    call_tool(t, scene)
    compact(t, t.parent)
    conclude(t, "I continue after the summary. The last call left no result, so I look again when asked.")


def compaction_with_preserved_segment(t: Transcript) -> None:
    """The last exchange is kept: its records come again under the summary, with the same uuids and their old times."""
    begin = len(t.rows)
    perform(t, draw(t))
    tail = [row for row in t.rows[begin:] if "uuid" in row]
    last = t.parent
    kept = {"headUuid": tail[0]["uuid"], "anchorUuid": draw_uuid(t.rng), "tailUuid": last}
    summary = compact(t, last, preservedSegment=kept)
    kept["anchorUuid"] = summary["uuid"]
    t.rows.append({**tail[0], "parentUuid": summary["uuid"]})
    t.rows.extend(tail[1:])
    t.parent = last


def rows_appended_again(t: Transcript) -> None:
    """A second compaction writes old records once more, unchanged."""
    begin = len(t.rows)
    perform(t, draw(t))
    tail = [row for row in t.rows[begin:] if "uuid" in row]
    compact(t, t.parent, trigger="manual")
    t.rows.extend(tail)


def microcompact_boundary(t: Transcript) -> None:
    """Old results left the model's context; the file keeps them."""
    numbers = {"trigger": "auto", "preTokens": 61_000, "tokensSaved": 21_000}
    lists: Row = {"compactedToolIds": [], "clearedAttachmentUUIDs": []}
    text = "Context microcompacted"
    metadata = {**numbers, **lists}
    t.add("system", subtype="microcompact_boundary", content=text, level="info", microcompactMetadata=metadata)


def clear_context(t: Transcript) -> None:
    """The hook that begins a new conversation in the same file."""
    t.parent = write_hook(t, None, "SessionStart", "clear", draw_uuid(t.rng))["uuid"]


def cleared_context(t: Transcript) -> None:
    """The user types /clear: a record without a parent in the middle of the file."""
    clear_context(t)
    run_local_command(t, "clear", "")


def accepted_plan(t: Transcript) -> None:
    """A plan is accepted with a cleared context: it looks like a rejection, then a new conversation begins."""
    scene = draw(t)
    plan = f"# Plan\n\n1. {scene.prompt}\n2. Report in one sentence."
    ask(t, "Plan the next step and show me the plan.")
    call = t.call(t.open_reply(), "ExitPlanMode", {"plan": plan})
    t.result(call, REJECTION, "User rejected tool use", is_error=True)
    t.say([{"type": "text", "text": "[Request interrupted by user for tool use]"}])
    clear_context(t)
    t.say(f"Implement the following plan:\n\n{plan}", planContent=plan)
    respond(t, scene)


def synthesize(t: Transcript, text: str, **flags: Any) -> Row:
    """An assistant record that no model wrote."""
    message = {
        "id": draw_uuid(t.rng),
        "container": None,
        "model": "<synthetic>",
        "role": "assistant",
        "stop_reason": "stop_sequence",
        "stop_sequence": "",
        "type": "message",
        "usage": {"input_tokens": 0, "output_tokens": 0},
        "content": [{"type": "text", "text": text}],
        "context_management": None,
    }
    return t.add("assistant", message=message, **flags)


def resumed_session(t: Transcript) -> None:
    """/exit, then a resume by a newer version: the last record comes again, and a filler reply joins the caveat."""
    perform(t, draw(t))
    last = next(row for row in reversed(t.rows) if row["type"] == "assistant")
    caveat = run_local_command(t, "exit", "Goodbye!")
    t.wait(3600, 9000)
    t.version, t.branch = "2.1.42", f"{t.branch}-2"
    t.rows.append({**last, "version": t.version, "gitBranch": t.branch, "slug": "later-brisk-otter"})
    t.parent = caveat["uuid"]
    synthesize(t, "No response requested.", isApiErrorMessage=False)


def api_error_reply(t: Transcript) -> None:
    """The service failed: a reply that no model wrote, then the same prompt again."""
    scene = draw(t)
    ask(t, scene.prompt)
    text = 'API Error: 529 {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}'
    synthesize(t, text, isApiErrorMessage=True, error="unknown")
    perform(t, scene)


def rewound_prompt(t: Transcript) -> None:
    """The user takes a prompt back and types another: two prompts under one parent."""
    common = t.parent
    perform(t, draw(t))
    t.parent = common
    perform(t, draw(t))


def moved_folder(t: Transcript) -> None:
    """The agent works in another folder and on another branch for the rest of the session."""
    t.folder = f"{t.actor.folder}/src"
    t.branch = "topic"


def pull_request_link(t: Transcript) -> None:
    """The session opened a pull request."""
    number = t.rng.randint(10, 799)
    where = {"prRepository": "petals/notes", "prUrl": f"https://git.example.com/petals/notes/pull/{number}"}
    t.add_bare("pr-link", sessionId=t.session, prNumber=number, **where, timestamp=t.stamp())


EPOCH = "Begin a new epoch at the boundary; the summary is its header, never a human turn."
SEGMENT = "Begin a new conversation at the record without a parent; nothing crosses it."
ONCE = "Keep each uuid once, at its first place in the file."
ACTS: tuple[Act, ...] = (
    Act(compaction_with_known_parent, "witness", EPOCH),
    Act(compaction_with_lost_parent, "crew", EPOCH + " Bridge to the record before it in the file."),
    Act(
        call_without_result_before_compaction,
        "polecat",
        "End the epoch before the open call or mark its result as missing.",
    ),
    Act(compaction_with_preserved_segment, "refinery", f"{EPOCH} {ONCE}"),
    Act(rows_appended_again, "deacon", f"{EPOCH} {ONCE}"),
    Act(microcompact_boundary, "mayor", "Ignore the record; the file has the full results."),
    Act(cleared_context, "polecat", SEGMENT),
    Act(accepted_plan, "crew", f"{SEGMENT} The plan is a human turn, the rejection before it is none."),
    Act(resumed_session, "witness", f"{ONCE} Drop the filler reply and go on after it; /exit is no branch."),
    Act(api_error_reply, "crew", "Drop the reply; no model wrote it."),
    Act(rewound_prompt, "polecat", "Keep the later prompt and its answer; the earlier branch is dead."),
    Act(pull_request_link, "crew", "It is no message; at most a sign that the session came to something."),
    Act(moved_folder, "mayor", "Keep one session and one role; the first folder decides."),
)
