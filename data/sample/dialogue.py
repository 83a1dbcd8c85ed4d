"""How a session goes: a person or a peer asks, the agent calls one tool, sees its result and closes with a sentence.

Each function adds the records of one move to a transcript, with the hooks, snapshots and timings between them.
"""

from typing import Any

from data.sample.book import draw_scene, draw_task
from data.sample.ids import draw_signature, draw_uuid
from data.sample.results import tool_result
from data.sample.tasks import Scene
from data.sample.transcript import Call, Reply, Row, Transcript

THOUGHTS = (
    "This is a task of kind {intent}. One step settles it.",
    "They want: {intent}. I know the way to do that.",
    "A plain {intent}. I do exactly that and report.",
)
HOOKED_TOOLS = frozenset({"Read", "Edit", "Grep"})


def draw(t: Transcript, *, with_call: bool = True) -> Scene:
    """A scene of the role that this transcript is of."""
    task = draw_task(t.rng, t.actor.role, with_call=with_call)
    return draw_scene(t.rng, task, t.actor.rig, t.actor.name if t.actor.role == "polecat" else None)


def ask(t: Transcript, text: str) -> Row:
    """A typed prompt, after the snapshot of tracked files that goes with it."""
    t.wait(20, 300)
    prompt = draw_uuid(t.rng)
    taken = {"messageId": prompt, "trackedFileBackups": {}, "timestamp": t.stamp()}
    t.add_bare("file-history-snapshot", messageId=prompt, snapshot=taken, isSnapshotUpdate=False)
    extra = {"thinkingMetadata": {"maxThinkingTokens": 31999}, "todos": [], "permissionMode": "default"}
    return t.say(text, uuid=prompt, **extra)


def think(t: Transcript, reply: Reply, thought: str) -> Row:
    """A thinking block with its signature."""
    return t.write_blocks(reply, {"type": "thinking", "thinking": thought, "signature": draw_signature(t.rng)})


def begin_reply(t: Transcript, scene: Scene) -> Reply:
    """Open the message that answers the scene; two of five begin with a thought."""
    reply = t.open_reply()
    if t.rng.random() < 0.4:
        think(t, reply, t.rng.choice(THOUGHTS).format(intent=scene.task.intent))
    return reply


def call_tool(t: Transcript, scene: Scene, reply: Reply | None = None) -> Call:
    """The one right call of the scene."""
    if scene.tool is None:
        raise ValueError(f"{scene.task.role}/{scene.task.intent} has no tool call")
    return t.call(reply or begin_reply(t, scene), scene.tool, scene.arguments)


def write_hook(t: Transcript, parent: str | None, event: str, matcher: str, call: str) -> Row:
    """The trace that a hook leaves, beside the chain."""
    data = {
        "type": "hook_progress",
        "hookEvent": event,
        "hookName": f"{event}:{matcher}",
        "command": "callback",
    }
    return t.add_beside(parent, "progress", data=data, parentToolUseID=call, toolUseID=call)


def answer(t: Transcript, call: Call, scene: Scene) -> Row:
    """The tool's result; a hook may have run before it."""
    if call.tool in HOOKED_TOOLS:
        write_hook(t, call.row, "PostToolUse", call.tool, call.id)
    content, detail = tool_result(scene)
    flags: dict[str, Any] = {"is_error": False} if call.tool == "Bash" else {}
    return t.result(call, content, detail, **flags)


def conclude(t: Transcript, text: str, reply: Reply | None = None) -> Row:
    """The closing text, the Stop hook and the duration of the turn."""
    row = t.write_blocks(reply or t.open_reply(), {"type": "text", "text": text})
    end_turn(t)
    return row


def end_turn(t: Transcript) -> None:
    """What Claude Code writes when a turn is over."""
    if t.rng.random() < 0.5:
        hooks: Row = {"hookCount": 1, "hookInfos": [{"command": "gt costs record"}], "hookErrors": []}
        verdict: Row = {"preventedContinuation": False, "stopReason": "", "hasOutput": False}
        stop = draw_uuid(t.rng)
        t.add("system", subtype="stop_hook_summary", **hooks, **verdict, level="suggestion", toolUseID=stop)
    if t.rng.random() < 0.5:
        t.add("system", subtype="turn_duration", durationMs=t.rng.randint(2000, 90000), isMeta=False)
    t.marks.append(len(t.rows))


def respond(t: Transcript, scene: Scene) -> None:
    """All that the agent does for a scene once it was asked."""
    if scene.tool is None:
        conclude(t, scene.closing, begin_reply(t, scene))
        return
    answer(t, call_tool(t, scene), scene)
    conclude(t, scene.closing)


def perform(t: Transcript, scene: Scene) -> None:
    """One whole exchange, from the prompt to the closing text."""
    ask(t, scene.prompt)
    respond(t, scene)


def perform_some(t: Transcript, least: int, most: int) -> None:
    """Between `least` and `most` regular exchanges."""
    for _ in range(t.rng.randint(least, most)):
        perform(t, draw(t, with_call=False))
