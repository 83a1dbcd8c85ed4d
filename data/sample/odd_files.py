"""Oddities of how sessions lie on disk: copies, forks, damaged lines, foreign formats."""

import re
from random import Random

import msgspec

from data.sample.dialogue import perform_some
from data.sample.ids import draw_token, draw_uuid
from data.sample.oddity import Files, Rewrite
from data.sample.people import project_folder
from data.sample.transcript import Row, Transcript, encode_rows

ID = re.compile(rb"\b(?:[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|(?:msg_01|toolu_01|req_011C)[A-Za-z0-9]{22})\b")


def copy_path(t: Transcript, number: int) -> str:
    """The path of a snapshot of the session."""
    return t.path.replace(".jsonl", f".copy{number}.jsonl")


def prefix_copy(t: Transcript) -> Files:
    """An early snapshot holds a closing text that the session's own file lost."""
    cut = t.marks[3]
    lost = max(i for i in range(cut) if t.rows[i]["type"] == "assistant")
    whole = [row for i, row in enumerate(t.rows) if i != lost]
    return {copy_path(t, 1): encode_rows(t.rows[:cut]), t.path: encode_rows(whole)}


def slice_copy(t: Transcript) -> Files:
    """A snapshot begins in the middle and goes on where the session's own file ends."""
    begin, end = t.marks[-4], t.marks[-2]
    return {copy_path(t, 1): encode_rows(t.rows[begin:]), t.path: encode_rows(t.rows[:end])}


def strict_prefix_copy(t: Transcript) -> Files:
    """A snapshot that holds nothing of its own."""
    return {copy_path(t, 1): encode_rows(t.rows[: t.marks[2]]), t.path: encode_rows(t.rows)}


def shared_prefix_fork(t: Transcript) -> Files:
    """Another session begins with this one's records, uuids unchanged, and goes its own way."""
    twin = t.copy_under(draw_uuid(t.rng), t.marks[2])
    perform_some(twin, 3, 4)
    return {twin.path: encode_rows(twin.rows), t.path: encode_rows(t.rows)}


def reissue(text: bytes, rng: Random) -> bytes:
    """The same records under other ids; the same old id becomes the same new one."""
    fresh: dict[bytes, bytes] = {}

    def replace(match: re.Match[bytes]) -> bytes:
        old = match.group()
        if old not in fresh:
            prefix = old.decode()[:-22] if b"_" in old else None
            fresh[old] = (draw_token(rng, prefix) if prefix else draw_uuid(rng)).encode()
        return fresh[old]

    return ID.sub(replace, text)


def same_dialogue_twice(t: Transcript) -> Files:
    """The same dialogue in a second session, all ids new."""
    text = encode_rows(t.rows)
    twin = reissue(text, t.rng)
    session = msgspec.json.decode(twin.splitlines()[-1])["sessionId"]
    return {f"{t.project}/{session}.jsonl": twin, t.path: text}


def two_sessions_in_one_file(t: Transcript) -> Files:
    """The second half of the file carries another session id."""
    other, half = draw_uuid(t.rng), t.marks[len(t.marks) // 2]
    rows = [{**row, "sessionId": other} if i >= half and "sessionId" in row else row for i, row in enumerate(t.rows)]
    return {t.path: encode_rows(rows)}


def glued_lines(t: Transcript) -> Files:
    """Two records stand on one line; the first of them comes again a few lines later."""
    lines = encode_rows(t.rows).splitlines(keepends=True)
    at = max(i for i in range(t.marks[1]) if t.rows[i]["type"] == "assistant")
    shot: Row = {"messageId": draw_uuid(t.rng), "trackedFileBackups": {}, "timestamp": t.stamp()}
    glued: Row = {"type": "file-history-snapshot", "messageId": shot["messageId"], "snapshot": shot}
    again = lines[at]
    lines[at] = again.rstrip(b"\n") + encode_rows([{**glued, "isSnapshotUpdate": False}])
    lines.insert(at + 3, again)
    return {t.path: b"".join(lines)}


def missing_final_newline(t: Transcript) -> Files:
    """The last line is whole but has no newline."""
    return {t.path: encode_rows(t.rows).rstrip(b"\n")}


def truncated_last_line(t: Transcript) -> Files:
    """The program died while it wrote the next prompt."""
    whole = encode_rows(t.rows)
    started = encode_rows([t.say("This prompt was never written to its end")])
    return {t.path: whole + started[: len(started) // 2]}


def unknown_record_types(t: Transcript) -> Files:
    """Record types of newer versions, and one that nobody knows."""
    first: list[Row] = [
        {"type": "ai-title", "aiTitle": "A day in town", "sessionId": t.session},
        {"type": "permission-mode", "permissionMode": "default", "sessionId": t.session},
        {"type": "weather-report", "sky": "clear", "sessionId": t.session},
    ]
    cut = t.marks[1]
    return {t.path: encode_rows(t.rows[:cut] + first + t.rows[cut:])}


def child_before_parent(t: Transcript) -> Files:
    """A prompt comes after the first record that answers it."""
    rows = list(t.rows)
    at = next(i for i in range(t.marks[1], len(rows)) if rows[i]["type"] == "user")
    rows[at], rows[at + 1] = rows[at + 1], rows[at]
    return {t.path: encode_rows(rows)}


def orphan_result(t: Transcript) -> Files:
    """The head of the file is cut off: its first record is the result of a call that is nowhere."""
    first = next(i for i, row in enumerate(t.rows) if "toolUseResult" in row)
    return {t.path: encode_rows(t.rows[first:])}


def foreign_gemini_file(t: Transcript) -> Files:
    """A session of another program, one pretty-printed object over many lines."""
    session = draw_uuid(t.rng)
    said = [
        {"id": draw_uuid(t.rng), "timestamp": t.stamp(), "type": "user", "content": "make a note"},
        {
            "id": draw_uuid(t.rng),
            "timestamp": t.stamp(),
            "type": "gemini",
            "content": "Noted.",
            "thoughts": [],
        },
    ]
    head = {"sessionId": session, "projectHash": f"{t.rng.getrandbits(256):064x}", "startTime": t.stamp()}
    text = msgspec.json.format(msgspec.json.encode({**head, "lastUpdated": t.stamp(), "messages": said}))
    return {f"{t.project}/{session}.jsonl": text, t.path: encode_rows(t.rows)}


def file_with_only_a_summary(t: Transcript) -> Files:
    """A file that holds only the title of another session."""
    title: Row = {"type": "summary", "summary": "A day in town", "leafUuid": t.parent}
    return {f"{t.project}/{draw_uuid(t.rng)}.jsonl": encode_rows([title]), t.path: encode_rows(t.rows)}


def empty_file(t: Transcript) -> Files:
    """A session that was opened and never used."""
    return {f"{t.project}/{draw_uuid(t.rng)}.jsonl": b"", t.path: encode_rows(t.rows)}


def moved_project_folder(t: Transcript) -> Files:
    """The transcript lies in a folder that does not tell the role; the records' cwd does."""
    name = project_folder("/home/overseer/restored")
    return {f"projects/{name}/{t.session}.jsonl": encode_rows(t.rows)}


UNION = "Join all files of the session by uuid, so that what only one of them holds is kept."
SKIP = "Set the file aside by name; there is no session in it."
REWRITES: tuple[Rewrite, ...] = (
    Rewrite(prefix_copy, "refinery", UNION),
    Rewrite(slice_copy, "witness", UNION),
    Rewrite(strict_prefix_copy, "mayor", "Count the copied records once."),
    Rewrite(
        shared_prefix_fork,
        "crew",
        "Use the shared records as context in the second session, never as targets twice.",
    ),
    Rewrite(same_dialogue_twice, "deacon", "Keep one of the two sessions; the other is a duplicate."),
    Rewrite(two_sessions_in_one_file, "polecat", "Follow the parent chain; nothing may be lost or doubled."),
    Rewrite(glued_lines, "mayor", "Read both records of the line; keep the repeated one once."),
    Rewrite(missing_final_newline, "polecat", "Read the last line all the same."),
    Rewrite(truncated_last_line, "deacon", "Report the line as unreadable and keep the rest."),
    Rewrite(unknown_record_types, "witness", "Ignore the records; they are no failure."),
    Rewrite(child_before_parent, "refinery", "Index the uuids first; the prompt stands before its answer."),
    Rewrite(orphan_result, "polecat", "Drop the result; no row begins with it."),
    Rewrite(foreign_gemini_file, "mayor", SKIP),
    Rewrite(file_with_only_a_summary, "deacon", SKIP),
    Rewrite(empty_file, "witness", SKIP),
    Rewrite(moved_project_folder, "refinery", "Tell the role from the records' cwd, not from the folder's name."),
)
