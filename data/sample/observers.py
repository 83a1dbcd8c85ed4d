"""Observer sessions of a memory plugin: an observer model watches tool events of another session and writes notes.

They lie under projects/ like any session but belong to no role; their observations are a source of knowledge.
"""

from datetime import datetime
from random import Random
from typing import Any

import msgspec

from data.sample.people import HOME, Actor
from data.sample.transcript import Transcript

FOLDER = f"{HOME}/.claude-mem/observer-sessions"
OBSERVER = Actor("observer", FOLDER, "observer", "observer")
INIT = (
    "You are a Claude-Mem, a specialized observer tool for creating searchable memory.\n\n"
    "<observed_from_primary_session>\n<user_request>{request}</user_request>\n<requested_at>{when}</requested_at>\n"
    "</observed_from_primary_session>\n\nWrite one observation for each event that is worth keeping.\n\n"
    "MEMORY PROCESSING START"
)
SUMMARY_REQUEST = "--- MODE SWITCH: PROGRESS SUMMARY ---\nWrite a summary of the session so far."
NOTES: tuple[tuple[str, str, str, tuple[str, str], str, str], ...] = (
    (
        "bugfix",
        "Queue stalls at midnight",
        "The clock went back",
        ("open_queue compares wall-clock times", "The fix uses a monotonic clock"),
        "The queue stopped at midnight because open_queue compared wall-clock times, which go back when the clock is "
        "set. A worker that had just slept then believed that its next run lay a day ahead. A monotonic clock never "
        "goes back, so the worker now counts from that.",
        "problem-solution",
    ),
    (
        "discovery",
        "How the router keeps the query",
        "Rules are matched before the query is cut off",
        ("find_route sees the whole address", "Only the handler gets the parsed query"),
        "find_route gets the whole address and matches its rules on the path alone. The query is parsed afterwards and "
        "handed to the handler, so a rule can never look at it. Whoever wants a route for one value of the query has "
        "to branch inside of the handler.",
        "how-it-works",
    ),
    (
        "decision",
        "Retries end after five",
        "An endless retry hides outages",
        ("retry_limit is 5 by default", "The last error is raised unchanged"),
        "Retries used to go on for ever, which hid outages of the mail service for hours. The limit of five with "
        "growing pauses covers about one minute, which is longer than every restart so far. The last error is raised "
        "unchanged, so that the log names the real cause.",
        "why-it-exists",
    ),
    (
        "feature",
        "The export can be resumed",
        "It writes a mark after each page",
        ("write_page stores the number of the page", "A second run begins after the mark"),
        "The export writes a mark after each page and looks for it when it starts. A run that was cut off goes on "
        "after the last whole page instead of beginning again. The mark is written to a temporary file and renamed, so "
        "that a crash leaves either the old or the new one.",
        "pattern",
    ),
    (
        "discovery",
        "Long names break the table",
        "The width is taken in bytes",
        ("The table counts bytes", "Accents count twice"),
        "The report takes the width of a column from the number of bytes of its longest name, so names with accents "
        "are counted too long and push the next column to the right. Counting the characters is not enough either, "
        "since some take two cells on a terminal.",
        "gotcha",
    ),
    (
        "change",
        "Files of the search were renamed",
        "Only names changed",
        ("src/search.py is now src/find.py", "No behaviour changed"),
        "Two files got new names.",
        "what-changed",
    ),
)


def observation(note: tuple[str, str, str, tuple[str, str], str, str]) -> str:
    """An observation block of the observer."""
    kind, title, subtitle, facts, narrative, concept = note
    listed = "".join(f"\n    <fact>{fact}</fact>" for fact in facts)
    return (
        f"<observation>\n  <type>{kind}</type>\n  <title>{title}</title>\n  <subtitle>{subtitle}</subtitle>\n"
        f"  <facts>{listed}\n  </facts>\n  <narrative>{narrative}</narrative>\n"
        f"  <concepts>\n    <concept>{concept}</concept>\n  </concepts>\n"
        "  <files_read>\n    <file>src/queue.py</file>\n  </files_read>\n  <files_modified></files_modified>\n"
        "</observation>"
    )


def event(t: Transcript, tool: str, parameters: dict[str, Any], outcome: str) -> str:
    """What the observer is shown of one tool use."""
    asked, got = msgspec.json.encode(parameters).decode(), msgspec.json.encode({"stdout": outcome}).decode()
    return (
        f"<observed_from_primary_session>\n<what_happened>{tool}</what_happened>\n"
        f"<occurred_at>{t.stamp()}</occurred_at>\n<working_directory>{HOME}/gt/petals/crew/rust</working_directory>\n"
        f"<parameters>{asked}</parameters>\n<outcome>{got}</outcome>\n</observed_from_primary_session>"
    )


def write_note(t: Transcript, text: str) -> None:
    """A reply of the observer."""
    t.write_blocks(t.open_reply(), {"type": "text", "text": text})


def observer_session(rng: Random, start: datetime) -> Transcript:
    """One observer session: notes of every kind, one fenced, one reply in prose, one empty event, a summary."""
    t = Transcript(rng, OBSERVER, start, "2.1.29", "claude-sonnet-4-5-20250929")
    t.say(INIT.format(request="Mend the queue", when=t.stamp()))
    write_note(t, "I watch the session and note what is worth keeping.")
    for position, note in enumerate(rng.sample(NOTES, len(NOTES))):
        t.say(event(t, "Read", {"file_path": "src/queue.py"}, f"{note[1]}, line {rng.randint(3, 90)}"))
        text = observation(note)
        write_note(t, f"```xml\n{text}\n```" if position == 2 else text)
    t.say(event(t, "Bash", {"command": "ls"}, "src tests"))
    write_note(t, "Nothing in this event is worth keeping.")
    t.say(SUMMARY_REQUEST)
    write_note(
        t,
        "<summary>\n<request>Mend the queue</request>\n<investigated>src/queue.py</investigated>\n"
        "<learned>Wall-clock times go back; a monotonic clock does not.</learned>\n"
        "<completed>The queue runs over midnight.</completed>\n<next_steps>None</next_steps>\n</summary>",
    )
    return t
