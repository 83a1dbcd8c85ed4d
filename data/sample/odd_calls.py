"""Oddities of calls and results: order, streaming, progress records, and calls or records that were lost."""

from data.sample.dialogue import answer, ask, begin_reply, call_tool, conclude, draw, think, write_hook
from data.sample.ids import draw_uuid
from data.sample.oddity import Act
from data.sample.results import tool_result
from data.sample.tasks import Scene
from data.sample.transcript import Transcript


def ask_several(t: Transcript, number: int) -> list[Scene]:
    """Ask for several tasks in one prompt."""
    scenes = [draw(t) for _ in range(number)]
    ask(t, "\n".join(scene.prompt for scene in scenes))
    return scenes


def conclude_all(t: Transcript, scenes: list[Scene]) -> None:
    """One closing text for several tasks."""
    conclude(t, " ".join(scene.closing for scene in scenes))


def interleaved_results(t: Transcript) -> None:
    """Each result is written while its message still streams; the next call hangs under it."""
    scenes = ask_several(t, 3)
    reply = begin_reply(t, scenes[0])
    for scene in scenes:
        answer(t, call_tool(t, scene, reply), scene)
    conclude_all(t, scenes)


def parallel_results_out_of_order(t: Transcript) -> None:
    """Three calls of one message; the first call's result comes last."""
    scenes = ask_several(t, 3)
    reply = begin_reply(t, scenes[0])
    calls = [call_tool(t, scene, reply) for scene in scenes]
    for position in (1, 2, 0):
        answer(t, calls[position], scenes[position])
    conclude_all(t, scenes)


def failed_sibling_call(t: Transcript) -> None:
    """The first of two parallel calls fails, so the second is not run."""
    scenes = ask_several(t, 2)
    reply = begin_reply(t, scenes[0])
    first, second = [call_tool(t, scene, reply) for scene in scenes]
    t.result(first, "Exit code 1\nno such bead", "Error: Exit code 1\nno such bead", is_error=True)
    sibling = "<tool_use_error>Sibling tool call errored</tool_use_error>"
    t.result(second, sibling, "Sibling tool call errored", is_error=True)
    conclude(t, "The first call failed, so the second did not run. I stop here.")


def progress_in_the_parent_chain(t: Transcript) -> None:
    """A chain of bash_progress records stands between the call and its result."""
    scene = draw(t)
    ask(t, scene.prompt)
    call = call_tool(t, scene)
    for second in range(2, 6):
        shown = {"output": "", "fullOutput": "", "elapsedTimeSeconds": second, "totalLines": 0}
        data = {"type": "bash_progress", **shown}
        t.add("progress", data=data, toolUseID=f"bash-progress-{second}", parentToolUseID=call.id)
    content, detail = tool_result(scene)
    block = {"tool_use_id": call.id, "type": "tool_result", "content": content}
    t.say([block], toolUseResult=detail, sourceToolAssistantUUID=call.row)
    conclude(t, scene.closing)


def hook_progress_beside_a_result(t: Transcript) -> None:
    """PreToolUse and PostToolUse hooks are siblings of the result."""
    scene = draw(t)
    ask(t, scene.prompt)
    call = call_tool(t, scene)
    write_hook(t, call.row, "PreToolUse", call.tool, call.id)
    write_hook(t, call.row, "PostToolUse", call.tool, call.id)
    answer(t, call, scene)
    conclude(t, scene.closing)


def call_without_result_at_end(t: Transcript) -> None:
    """The file was copied while the tool ran."""
    scene = draw(t)
    ask(t, scene.prompt)
    call_tool(t, scene)


def lost_parent_mid_file(t: Transcript) -> None:
    """The closing text was never written; the next prompt names it as its parent."""
    scene = draw(t)
    ask(t, scene.prompt)
    answer(t, call_tool(t, scene), scene)
    t.parent = draw_uuid(t.rng)


def thinking_only_truncated_message(t: Transcript) -> None:
    """The last message has its thought on disk and its text lost; the Stop hook names the lost record."""
    scene = draw(t)
    ask(t, scene.prompt)
    answer(t, call_tool(t, scene), scene)
    think(t, t.open_reply(), "That worked. I say so in one sentence.")
    t.parent = draw_uuid(t.rng)
    stop = {"hookCount": 1, "hookInfos": [{"command": "gt costs record"}], "hookErrors": []}
    t.add("system", subtype="stop_hook_summary", **stop, preventedContinuation=False, level="suggestion")


def several_blocks_on_one_line(t: Transcript) -> None:
    """After API retries the whole message comes in one record: thought, text and call."""
    scene = draw(t)
    ask(t, scene.prompt)
    wait = {"retryInMs": 620.5, "retryAttempt": 1, "maxRetries": 10, "level": "error"}
    t.add("system", subtype="api_error", error={"status": 529}, **wait)
    reply = t.open_reply()
    call_id = f"toolu_01Whole{draw_uuid(t.rng).replace('-', '')[:17]}"
    blocks = (
        {"type": "thinking", "thinking": "The line is back. I go on.", "signature": "RXhhbXBsZQ=="},
        {"type": "text", "text": "On it."},
        {"type": "tool_use", "id": call_id, "name": scene.tool, "input": scene.arguments},
    )
    t.write_blocks(reply, *blocks, stop="tool_use")
    content, detail = tool_result(scene)
    t.say([{"tool_use_id": call_id, "type": "tool_result", "content": content}], toolUseResult=detail)
    conclude(t, scene.closing)


def whitespace_only_text_block(t: Transcript) -> None:
    """A message begins with a text block of two line feeds."""
    scene = draw(t)
    ask(t, scene.prompt)
    reply = t.open_reply()
    t.write_blocks(reply, {"type": "text", "text": "\n\n"})
    answer(t, call_tool(t, scene, reply), scene)
    conclude(t, scene.closing)


ACTS: tuple[Act, ...] = (
    Act(interleaved_results, "mayor", "Join all blocks of the message, then give its results in call order."),
    Act(parallel_results_out_of_order, "polecat", "Match results by id and give them in call order."),
    Act(failed_sibling_call, "deacon", "Keep both failed results with their calls and mark them as errors."),
    Act(progress_in_the_parent_chain, "mayor", "Drop progress records and bridge the chain over them."),
    Act(hook_progress_beside_a_result, "crew", "Drop hook records; a hook beside a result is no fork."),
    Act(
        call_without_result_at_end,
        "refinery",
        "End before the open call or mark its result as missing; invent no result.",
        last=True,
    ),
    Act(lost_parent_mid_file, "witness", "Bridge to the record before it in the file, in the same segment."),
    Act(
        thinking_only_truncated_message,
        "deacon",
        "Do not train the message whose visible text was lost; the dialogue goes on after it.",
    ),
    Act(several_blocks_on_one_line, "refinery", "Read every block of the record, not only the first."),
    Act(whitespace_only_text_block, "polecat", "Drop text blocks that are only white space."),
)
