"""Oddities of whose turn it is: queued texts, interrupts, rejections, answers inside of results."""

from data.sample.dialogue import answer, ask, begin_reply, call_tool, conclude, draw, perform, respond
from data.sample.oddity import Act
from data.sample.results import tool_result
from data.sample.tasks import Scene
from data.sample.transcript import Row, Transcript

REJECTION = (
    "The user doesn't want to proceed with this tool use. The tool use was rejected (eg. if it was a "
    "file edit, the new_string was NOT written to the file). STOP what you are doing and wait for "
    "the user to tell you how to proceed."
)
REJECTION_WITH_TEXT = (
    "The user doesn't want to proceed with this tool use. The tool use was rejected (eg. if it was a "
    "file edit, the new_string was NOT written to the file). To tell you how to proceed, the user said:\n"
)


def queue(t: Transcript, operation: str, content: str | None = None) -> Row:
    """A queue-operation record; only some operations have a content."""
    t.wait()
    extra = {} if content is None else {"content": content}
    return t.add_bare("queue-operation", operation=operation, timestamp=t.stamp(), sessionId=t.session, **extra)


def begin_two(t: Transcript) -> tuple[Scene, Scene]:
    """Ask for one task and run its call to the result, while a second one waits to be said."""
    first, second = draw(t), draw(t)
    ask(t, first.prompt)
    return first, second


def finish_both(t: Transcript, first: Scene, second: Scene) -> None:
    """The call of the second task, and one closing text for both."""
    answer(t, call_tool(t, second), second)
    conclude(t, f"{first.closing} {second.closing}")


def queued_text_taken_in_mid_turn(t: Transcript) -> None:
    """A text typed while a tool ran reached the model and stands only in the queue."""
    first, second = begin_two(t)
    call = call_tool(t, first)
    queue(t, "enqueue", second.prompt)
    answer(t, call, first)
    queue(t, "remove")
    finish_both(t, first, second)


def queued_text_delivered_later(t: Transcript) -> None:
    """A text typed while a tool ran becomes a normal prompt at the end of the turn."""
    first, second = begin_two(t)
    call = call_tool(t, first)
    queue(t, "enqueue", second.prompt)
    answer(t, call, first)
    conclude(t, first.closing)
    queue(t, "dequeue")
    perform(t, second)


def queued_text_taken_back(t: Transcript) -> None:
    """A queued text goes back into the editor and is never sent."""
    first, second = begin_two(t)
    call = call_tool(t, first)
    queue(t, "enqueue", f"Never sent: {second.prompt}")
    answer(t, call, first)
    queue(t, "popAll", f"Never sent: {second.prompt}")
    conclude(t, first.closing)


def attach_queued(t: Transcript, text: str) -> None:
    """The newer form of a queued text: an attachment in the chain."""
    t.add("attachment", attachment={"type": "queued_command", "commandMode": "prompt", "prompt": text})


def queued_command_attachment(t: Transcript) -> None:
    """A queued text of a newer version: only an attachment."""
    first, second = begin_two(t)
    answer(t, call_tool(t, first), first)
    attach_queued(t, second.prompt)
    finish_both(t, first, second)


def queued_command_in_both_forms(t: Transcript) -> None:
    """A queued text that stands in the queue and as an attachment."""
    first, second = begin_two(t)
    call = call_tool(t, first)
    queue(t, "enqueue", second.prompt)
    answer(t, call, first)
    queue(t, "remove")
    attach_queued(t, second.prompt)
    finish_both(t, first, second)


def interrupted_by_user(t: Transcript) -> None:
    """The user stops the agent while it writes, and asks for something else."""
    scene = draw(t)
    ask(t, scene.prompt)
    t.write_blocks(begin_reply(t, scene), {"type": "text", "text": "Let me think about"})
    t.say([{"type": "text", "text": "[Request interrupted by user]"}])
    perform(t, draw(t))


def rejected_with_text(t: Transcript) -> None:
    """The user rejects a call and says in the rejection what to do instead."""
    first, second = begin_two(t)
    text = REJECTION_WITH_TEXT + second.prompt
    t.result(call_tool(t, first), text, f"Error: {text}", is_error=True)
    respond(t, second)


def rejected_without_text(t: Transcript) -> None:
    """The user rejects a call without a word, which interrupts the turn."""
    scene = draw(t)
    ask(t, scene.prompt)
    t.result(call_tool(t, scene), REJECTION, "User rejected tool use", is_error=True)
    t.say([{"type": "text", "text": "[Request interrupted by user for tool use]"}])
    perform(t, draw(t))


def answered_question(t: Transcript) -> None:
    """The agent asks the user, whose answer stands in the tool result."""
    scene = draw(t)
    ask(t, "Help me with the next step.")
    question = "What is the next step?"
    options = [
        {"label": scene.prompt, "description": "one task"},
        {"label": "Stop", "description": "no task"},
    ]
    entry = {"question": question, "header": "Next step", "options": options, "multiSelect": False}
    call = t.call(t.open_reply(), "AskUserQuestion", {"questions": [entry]})
    detail = {"questions": [entry], "answers": {question: scene.prompt}}
    text = f'User has answered your questions: "{question}"="{scene.prompt}". '
    t.result(call, text + "You can now continue with the user's answers in mind.", detail)
    respond(t, scene)


def text_beside_a_result(t: Transcript) -> None:
    """A text typed while the tool ran shares the record of its result."""
    first, second = begin_two(t)
    call = call_tool(t, first)
    content, detail = tool_result(first)
    result = {"tool_use_id": call.id, "type": "tool_result", "content": content}
    t.result_blocks(call, [{"type": "text", "text": second.prompt}, result], detail)
    finish_both(t, first, second)


def prompt_without_an_answer(t: Transcript) -> None:
    """The user leaves in the middle of a turn and comes back: the prompt was never answered."""
    ask(t, f"Unanswered: {draw(t).prompt}")
    t.say([{"type": "text", "text": "[Request interrupted by user]"}])


QUEUED = "Put the text after the result before it, as a human turn, once."
ACTS: tuple[Act, ...] = (
    Act(queued_text_taken_in_mid_turn, "mayor", QUEUED),
    Act(queued_text_delivered_later, "deacon", "Ignore the queue records; the prompt is recorded."),
    Act(queued_text_taken_back, "witness", "Ignore the queued text; it was never sent."),
    Act(queued_command_attachment, "refinery", QUEUED),
    Act(queued_command_in_both_forms, "crew", QUEUED),
    Act(interrupted_by_user, "crew", "Read the note as a control signal; the cut reply is no good answer."),
    Act(rejected_with_text, "polecat", "Lift the text after the rejection out as a human turn."),
    Act(rejected_without_text, "mayor", "Keep the rejection as the result; there is no human text in it."),
    Act(answered_question, "crew", "Keep the answer as the result of the question."),
    Act(text_beside_a_result, "polecat", "Put the text after the result, as a human turn."),
    Act(prompt_without_an_answer, "deacon", "Invent no reply for the prompt; at most it stands before the next one."),
)
