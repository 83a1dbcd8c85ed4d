"""Oddities of what tools return: sizes, side files, lists, images, errors, tags of our own format, planted secrets."""

from collections.abc import Mapping
from typing import Any

from data.sample.dialogue import answer, ask, call_tool, conclude, draw
from data.sample.oddity import Act
from data.sample.people import HOME, project_folder
from data.sample.results import shell_detail
from data.sample.tasks import command, fill
from data.sample.transcript import Call, Transcript
from data.sample.words import PROBLEMS, draw_values

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="
# Built from parts, so that no scanner of repositories takes this file for a leak.
FAKE_KEY_ID = "AKIA" + "EXAMPLE" + "TOWNKEY23"
FAKE_PASSWORD = "not-a-real-" + "Passw0rd"
LOG = command("any", "log", ("Show the log of {rig}.",) * 3, "gt log {rig}", "", "That is the log of {rig}.")


def ask_for_log(t: Transcript) -> tuple[Call, str]:
    """Somebody asks for a log: the call, and the closing text for it."""
    scene = fill(LOG, 0, draw_values(t.rng, t.actor.rig))
    ask(t, scene.prompt)
    return call_tool(t, scene), scene.closing


def log_lines(t: Transcript, size: int) -> str:
    """An invented log of at least `size` characters."""
    lines: list[str] = []
    length = 0
    while length < size:
        line = f"{t.clock:%H:%M:%S} line {len(lines):05d} level=info {t.rng.choice(PROBLEMS)}"
        lines.append(line)
        length += len(line) + 1
    return "\n".join(lines)


def show_persisted(t: Transcript, call: Call, path: str, text: str) -> str:
    """The notice that stands in the place of an output that was too large."""
    where = f"{HOME}/.claude/projects/{project_folder(t.actor.folder)}/{path}"
    return (
        f"<persisted-output>\nOutput too large ({len(text) / 1024:.1f}KB). Full output saved to: {where}\n\n"
        f"Preview (first 2KB):\n{text[:2000]}\n...\n</persisted-output>"
    )


def persisted_output_with_side_file(t: Transcript) -> None:
    """The full output lies only in the session's tool-results folder."""
    call, closing = ask_for_log(t)
    text = log_lines(t, 34_000)
    path = f"{t.session}/tool-results/{call.id}.txt"
    t.side_files[path] = text.encode()
    t.result(call, show_persisted(t, call, path, text), shell_detail(text[:2000]))
    conclude(t, closing)


def persisted_output_without_side_file(t: Transcript) -> None:
    """The side file is gone; the toolUseResult still has the full output."""
    call, closing = ask_for_log(t)
    text = log_lines(t, 33_000)
    notice = show_persisted(t, call, f"{t.session}/tool-results/{call.id}.txt", text)
    t.result(call, notice, shell_detail(text), is_error=False)
    conclude(t, closing)


def persisted_output_outside_the_session(t: Transcript) -> None:
    """The notice names a file outside of the session's folder, and such a file exists."""
    call, closing = ask_for_log(t)
    t.side_files["outside.txt"] = b"OUTSIDE OF THE SESSION: a reader that shows this followed a foreign path.\n"
    notice = show_persisted(t, call, f"{t.session}/tool-results/../../outside.txt", log_lines(t, 32_000))
    t.result(call, notice)
    conclude(t, closing)


def list_result(t: Transcript) -> None:
    """The result is a list of two text blocks."""
    call, closing = ask_for_log(t)
    parts = [
        {"type": "text", "text": "first part of the log"},
        {"type": "text", "text": "second part of the log"},
    ]
    t.result(call, parts, parts)
    conclude(t, closing)


def image_result(t: Transcript) -> None:
    """The result is a text and a picture."""
    call, closing = ask_for_log(t)
    source = {"type": "base64", "media_type": "image/png", "data": PIXEL}
    t.result(call, [{"type": "text", "text": "the log as a picture"}, {"type": "image", "source": source}])
    conclude(t, closing)


def image_prompt(t: Transcript) -> None:
    """The user pastes a picture and nothing else."""
    source = {"type": "base64", "media_type": "image/png", "data": PIXEL}
    t.say([{"type": "image", "source": source}])
    conclude(t, "I see a picture of one pixel. What shall I do with it?")


def give_plain(t: Transcript, output: str, **flags: Any) -> None:
    """A log with this output."""
    call, closing = ask_for_log(t)
    t.result(call, output, shell_detail(output), **flags)
    conclude(t, closing)


def empty_result(t: Transcript) -> None:
    """The tool printed nothing."""
    give_plain(t, "", is_error=False)


def error_result(t: Transcript) -> None:
    """The command failed."""
    call, _ = ask_for_log(t)
    t.result(call, "Exit code 1\nno such rig", "Error: Exit code 1\nno such rig", is_error=True)
    conclude(t, "That failed: there is no such rig.")


def huge_result(t: Transcript) -> None:
    """An output of over 40,000 characters stands in the transcript itself."""
    give_plain(t, log_lines(t, 44_000))


def coloured_result(t: Transcript) -> None:
    """The output has terminal colours, and the shell's own note after it."""
    give_plain(t, f"\x1b[32m✓\x1b[0m all well\nShell cwd was reset to {t.actor.folder}")


def literal_tool_call_tag(t: Transcript) -> None:
    """Prompt, result and reply talk about the tags that our own rows use."""
    ask(t, "Which tag opens a call, <tool_call> or <call>? Look at the log before you answer.")
    scene = fill(LOG, 0, draw_values(t.rng, t.actor.rig))
    call = call_tool(t, scene)
    example = '<tool_call>\n{"name": "Bash"}\n</tool_call>\n<tool_result>\nno\n</tool_result>'
    t.result(call, example, shell_detail(example))
    conclude(t, "It is <tool_call>, and </tool_call> closes it.")


def literal_control_token(t: Transcript) -> None:
    """A call's argument and its result hold the control tokens of chat templates."""
    scene = fill(LOG, 0, draw_values(t.rng))
    ask(t, "Does <|im_end|> stand anywhere in the log?")
    arguments: Mapping[str, str] = {"command": "grep -n '<|im_end|>' gt.log"}
    call = t.call(t.open_reply(), "Bash", arguments)
    found = "12:<|im_start|>user\n13:hello<|im_end|>\n14:<|endoftext|>"
    t.result(call, found, shell_detail(found))
    conclude(t, f"Yes, <|im_end|> is in line 13 of the log of {scene.values['rig']}.")


def fake_cloud_key(t: Transcript) -> None:
    """A made-up cloud key id is in an output."""
    give_plain(t, f"region=eu-west-1\naccess key id: {FAKE_KEY_ID}\nprofile: town")


def password_in_a_url(t: Transcript) -> None:
    """A made-up password is in a database URL."""
    give_plain(t, f"connecting to postgres://ledger:{FAKE_PASSWORD}@db.example.com:5432/ledger")


def password_variable(t: Transcript) -> None:
    """A made-up password is in an environment listing."""
    give_plain(t, f"LEDGER_HOST=db.example.com\nLEDGER_PASSWORD={FAKE_PASSWORD}\nPGPASSWORD={FAKE_PASSWORD}")


def skill_body(t: Transcript) -> None:
    """A Skill call, its short result, and the skill's text as a meta record that names the call."""
    scene = draw(t)
    ask(t, scene.prompt)
    call = t.call(t.open_reply(), "Skill", {"skill": "town-manners"})
    detail = {"success": True, "commandName": "town-manners"}
    t.result(call, "Launching skill: town-manners", detail)
    place = f"Base directory for this skill: {HOME}/.claude/skills/town-manners"
    body = f"{place}\n\nOne call for each task, then one sentence."
    t.say([{"type": "text", "text": body}], isMeta=True, sourceToolUseID=call.id)
    answer(t, call_tool(t, scene), scene)
    conclude(t, scene.closing)


KEEP_PREVIEW = "Keep the preview; read no file outside of the session's own folder."
SECRET = "Replace the planted secret before anything is written."
ACTS: tuple[Act, ...] = (
    Act(
        persisted_output_with_side_file,
        "mayor",
        "Read the full output from the session's tool-results folder.",
    ),
    Act(persisted_output_without_side_file, "deacon", "Take the full output from toolUseResult.stdout."),
    Act(persisted_output_outside_the_session, "witness", KEEP_PREVIEW),
    Act(list_result, "mayor", "Join the text blocks; never write the list as Python shows it."),
    Act(image_result, "crew", "Keep the text, put a short placeholder for the picture, no base64."),
    Act(image_prompt, "crew", "Put a short placeholder for the picture, no base64."),
    Act(empty_result, "refinery", "Keep the result; it is empty, not missing."),
    Act(error_result, "witness", "Keep the result and mark it as an error."),
    Act(huge_result, "deacon", "Cut the result in the middle to the budget and say so."),
    Act(coloured_result, "refinery", "Remove terminal escapes and the shell's note about its folder."),
    Act(literal_tool_call_tag, "crew", "Escape the literal tags reversibly; they are no calls."),
    Act(literal_control_token, "crew", "Escape the control tokens in arguments, results and text."),
    Act(fake_cloud_key, "mayor", SECRET),
    Act(password_in_a_url, "polecat", SECRET),
    Act(password_variable, "refinery", SECRET),
    Act(skill_body, "deacon", "Add the skill's text to the result of its call; it is no human turn."),
)
