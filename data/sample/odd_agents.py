"""Subagents in the places where versions of Claude Code put them, and the traces that they leave in the main file."""

from data.sample.dialogue import ask, conclude, draw, respond
from data.sample.ids import draw_agent_id, draw_uuid
from data.sample.oddity import Act
from data.sample.tasks import Scene
from data.sample.transcript import Call, Transcript, encode_rows


def send_agent(t: Transcript) -> tuple[Call, str, Scene]:
    """A Task call that sends a subagent out with one task."""
    scene = draw(t)
    ask(t, f"Send somebody: {scene.prompt}")
    arguments = {"description": "One errand", "subagent_type": "Explore", "prompt": scene.prompt}
    return t.call(t.open_reply(), "Task", arguments), draw_agent_id(t.rng), scene


def follow_agent(t: Transcript, agent: str, scene: Scene) -> Transcript:
    """The subagent's own transcript: its prompt without a parent, its call, its report."""
    sub = t.copy_under(t.session, 0)
    sub.agent = agent
    sub.say(scene.prompt)
    respond(sub, scene)
    sub.rows = [row for row in sub.rows if row["type"] in ("user", "assistant")]
    t.clock = sub.clock
    return sub


def receive_report(t: Transcript, call: Call, agent: str, scene: Scene) -> None:
    """The report of the subagent as the result of the Task call."""
    report = {"type": "text", "text": scene.closing}
    note = f"agentId: {agent} (for resuming to continue this agent's work if needed)"
    usage = "<usage>total_tokens: 2100\ntool_uses: 1\nduration_ms: 4100</usage>"
    detail = {
        "status": "completed",
        "prompt": scene.prompt,
        "agentId": agent,
        "content": [report],
        "totalDurationMs": 4100,
        "totalTokens": 2100,
        "totalToolUseCount": 1,
    }
    t.result(call, [report, {"type": "text", "text": f"{note}\n{usage}"}], detail)
    conclude(t, f"The errand is done. {scene.closing}")


def subagent_in_session_folder(t: Transcript) -> None:
    """A subagent's file below the session's folder, with its meta file."""
    call, agent, scene = send_agent(t)
    path = f"{t.session}/subagents/agent-{agent}"
    t.side_files[f"{path}.jsonl"] = encode_rows(follow_agent(t, agent, scene).rows)
    t.side_files[f"{path}.meta.json"] = b'{"agentType":"Explore","spawnDepth":1}\n'
    receive_report(t, call, agent, scene)


def subagent_beside_session(t: Transcript) -> None:
    """A subagent's file of an older version, beside the sessions."""
    call, agent, scene = send_agent(t)
    t.side_files[f"agent-{agent}.jsonl"] = encode_rows(follow_agent(t, agent, scene).rows)
    receive_report(t, call, agent, scene)


def inline_sidechain(t: Transcript) -> None:
    """A subagent's records of the oldest versions, inside the main file."""
    call, agent, scene = send_agent(t)
    for row in follow_agent(t, agent, scene).rows:
        row.pop("agentId")
        t.rows.append(row)
    receive_report(t, call, agent, scene)


def warmup_subagent(t: Transcript) -> None:
    """A subagent that only warmed up a cache."""
    agent = draw_agent_id(t.rng)
    sub = t.copy_under(t.session, 0)
    sub.agent = agent
    sub.say("Warmup")
    sub.write_blocks(sub.open_reply(), {"type": "text", "text": "I am ready. What shall I look for?"})
    t.side_files[f"agent-{agent}.jsonl"] = encode_rows(sub.rows)


def agent_progress(t: Transcript) -> None:
    """A subagent whose only trace is its progress in the main file: calls and results, no text."""
    call, agent, scene = send_agent(t)
    for row in follow_agent(t, agent, scene).rows[:-1]:
        message = {key: row[key] for key in ("type", "message", "uuid", "timestamp")}
        data = {"type": "agent_progress", "prompt": scene.prompt, "agentId": agent, "message": message}
        link = {"toolUseID": f"agent_{draw_uuid(t.rng)[:8]}", "parentToolUseID": call.id}
        t.add_beside(call.row, "progress", data={**data, "normalizedMessages": []}, **link)
    receive_report(t, call, agent, scene)


OWN = "Read it as a conversation of its own, keyed by agentId; it is no part of the main dialogue."
ACTS: tuple[Act, ...] = (
    Act(subagent_in_session_folder, "crew", OWN),
    Act(subagent_beside_session, "mayor", OWN),
    Act(inline_sidechain, "polecat", OWN),
    Act(warmup_subagent, "witness", "Drop the file of the subagent: nobody asked it anything."),
    Act(agent_progress, "crew", "Drop the progress; the report stands in the result of the Task call."),
)
