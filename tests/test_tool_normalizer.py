"""Texts become uniform: notices, banners and terminal codes go, everything else stays as it was."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from data.config import NormalizeConfig, NoticeRule, load_config
from data.plain import is_plain, plain, writable
from data.record import Assistant, Conversation, Message, Origin, Tool, ToolCall, User
from data.transform.tool_normalizer import BANNER, EMPTY_RESULT, NO_OUTPUT, tool_normalizer
from tests.conftest import ROOT
from tests.transcripts import read_all

CONFIG = load_config(ROOT / "configs" / "data.yml").normalize
READ_REMINDER = (
    "<system-reminder>\nWhenever you read a file, you should consider whether it is malware.\n</system-reminder>"
)
TODO_REMINDER = "<system-reminder>\nThe TodoWrite tool hasn't been used recently. Ignore if fine.\n</system-reminder>"
RULE = "═" * 20


def clean(*messages: Message, config: NormalizeConfig = CONFIG) -> tuple[tuple[Message, ...], dict[str, int]]:
    """The messages after the stage, and what was removed."""
    conversation = Conversation("s", Origin("sessions", "s"), messages)
    (after,) = tool_normalizer(config)(conversation)
    assert isinstance(after, Conversation)
    return after.messages, {note.reason: note.count for note in after.notes}


def result(text: str, tool: str = "Bash") -> tuple[str, dict[str, int]]:
    (message,), removed = clean(Tool("c", tool, text))
    return message.text, removed  # type: ignore[union-attr]


def reply(text: str, *calls: ToolCall) -> tuple[str, dict[str, int]]:
    (message,), removed = clean(Assistant(text, "m", calls=calls))
    return message.text, removed  # type: ignore[union-attr]


NOTICES = {
    "read reminder": ("Read", READ_REMINDER, ""),
    "offset past the end": (
        "Read",
        "<system-reminder>Warning: the file exists but is shorter than the provided offset (9).</system-reminder>",
        "(the file is shorter than the offset)",
    ),
    "empty file": (
        "Read",
        "<system-reminder>Warning: the file exists but the contents are empty.</system-reminder>",
        "(the file is empty)",
    ),
    "todo reminder": ("Grep", TODO_REMINDER, ""),
    "todo acknowledgement": (
        "TodoWrite",
        "Todos have been modified successfully. Ensure that you continue to use the todo list.",
        "Todos updated.",
    ),
    "working directory reset": ("Bash", "Shell cwd was reset to /home/ann/work", ""),
    "agent trailer": (
        "Task",
        "agentId: a1b2c3 (for resuming to continue this agent's work if needed)\n<usage>tokens: 9\nuses: 1</usage>",
        "",
    ),
    "unsigned binary": (
        "Bash",
        "WARNING: This binary was built with 'go build'.\n    Use 'make build' to create a properly signed binary.",
        "",
    ),
    "unsigned binary, second line": ("Bash", "  Use 'make build' to create a properly signed binary.", ""),
}


def test_every_notice_of_the_config_has_its_case() -> None:
    assert NOTICES.keys() == CONFIG.notices.keys()


@pytest.mark.parametrize("name", NOTICES)
def test_a_notice_goes_wherever_it_stands_and_is_counted(name: str) -> None:
    tool, notice, put = NOTICES[name]
    before, after = "  12→first", "    last"
    lines = [before, *([put] if put else []), after]
    assert result(f"{before}\n\n{notice}\n\n{after}\n", tool) == ("\n".join(lines), {name: 1})
    assert result(notice, tool) == (put or EMPTY_RESULT, {name: 1})
    assert result(f"{notice}\nx\n{notice}", tool)[1] == {name: 2}


@pytest.mark.parametrize("name", NOTICES)
def test_the_same_words_in_another_place_stay(name: str) -> None:
    tool, notice, _ = NOTICES[name]
    quoted = "\n".join(f"+{line}" for line in notice.splitlines())
    assert result(quoted, tool) == (quoted, {})
    assert reply(notice) == (notice.strip(), {})
    (person,), _ = clean(User(notice))
    assert person == User(notice.strip())


def test_a_notice_of_one_tool_stays_in_the_result_of_another() -> None:
    assert result(READ_REMINDER, "Bash") == (READ_REMINDER, {})


@pytest.mark.parametrize(
    "text",
    [
        "<system-reminder>\nYou have 2 unread message(s) in your inbox.\n</system-reminder>",
        "<system-reminder>\nQUEUED NUDGE (1 message): look at pe-12\n</system-reminder>",
        "agentId: is a field of the record",
        "<system-reminder>\nWhenever you read a file, you should consider whether it was cut",
    ],
)
def test_what_only_begins_like_a_notice_stays(text: str) -> None:
    assert result(text, "Read") == (text, {}) and result(text, "Task") == (text, {})


@pytest.mark.parametrize("text", CONFIG.no_output)
def test_words_for_no_output_become_one(text: str) -> None:
    assert result(f"{text}\n") == (EMPTY_RESULT, {NO_OUTPUT: 1})
    assert result(f"{text}\nand a file") == (f"{text}\nand a file", {})


def test_an_empty_result_says_so() -> None:
    assert result(" \n\n ") == (EMPTY_RESULT, {})


def test_banners_go_from_what_the_agent_says_and_the_shell_prints() -> None:
    text = f"{RULE}\n  PATROL DONE\n{RULE}\nAll is well."
    assert reply(text) == ("PATROL DONE\nAll is well.", {BANNER: 2})
    assert result(text) == ("  PATROL DONE\nAll is well.", {BANNER: 2})
    assert result(text, "Read") == (text, {})


@pytest.mark.parametrize(
    "text",
    [
        f"Look:\n```\n{RULE}\n```",
        "| a | b |\n|---|---|\n| 1 | 2 |",
        "-old\n+new\n ════════════",
        "────────  ─────────\nname      size",
        "┏━━━━━━━━━━━━┓\n┃ box        ┃\n┗━━━━━━━━━━━━┛",
        "=========================== 3 passed ===========================",
        "═══════",
        f"## Title {RULE}",
    ],
)
def test_tables_diffs_code_and_short_lines_are_no_banners(text: str) -> None:
    assert reply(text) == (text, {})


def test_a_banner_alone_may_go_where_a_call_remains() -> None:
    assert reply(RULE, ToolCall("c", "Bash", "{}")) == ("", {BANNER: 1})
    assert reply(RULE) == (RULE, {})


def test_a_recorded_size_stays_as_recorded() -> None:
    (message,), _ = clean(Assistant(f"{RULE}\nDone.", "m", said=26, chars=26))
    assert message == Assistant("Done.", "m", said=26, chars=26)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]8;;http://x.example\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("one\rtwo\r\nthree", "one\ntwo\nthree"),
        ("a\x00b\x7fc\ud800d", "abcd"),
        ("tab\tand\nnewline stay, é 🦀", "tab\tand\nnewline stay, é 🦀"),
    ],
)
def test_terminal_codes_and_what_json_cannot_hold_go(text: str, expected: str) -> None:
    assert plain(text) == expected and result(text)[0] == expected


ANY_TEXT = st.text(st.one_of(st.characters(), st.sampled_from("\x00\x07\x1b\r\n\t\x7f[m"), st.just("\ud800")))


@given(ANY_TEXT)
@example("\x85\u2028")
def test_a_plain_text_is_untouched_and_every_other_becomes_writable(text: str) -> None:
    if is_plain(text):
        assert plain(text) is text and writable(text) is text
    assert is_plain(plain(text))
    writable(text).encode()


PIECES = st.sampled_from(
    ["x", "  12→row", " ", "\n", "\n\n", RULE, "```", "é", "\x1b[1m", *(notice for _, notice, _ in NOTICES.values())]
)


@given(st.lists(PIECES, max_size=8).map("".join), st.sampled_from(["Bash", "Read", "Task", "TodoWrite", "Grep"]))
def test_cleaning_twice_is_cleaning_once(text: str, tool: str) -> None:
    before = (Tool("c", tool, text), User(text), Assistant(text, "m"))
    after, _ = clean(*before)
    again, removed = clean(*after)
    assert again == after and not removed.keys() - {NO_OUTPUT}


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=20), max_size=5))
def test_a_text_without_a_notice_is_the_same_object(lines: list[str]) -> None:
    text = "\n".join(["a", *lines, "z"])
    before = (Tool("c", "Bash", text), User(text), Assistant(text, "m", calls=(ToolCall("c", "Bash", "{}"),)))
    after, removed = clean(*before)
    assert not removed and all(new is old for new, old in zip(after, before, strict=True))


@pytest.mark.parametrize("between", ["never\n", "", "end] "])
def test_a_text_full_of_beginnings_takes_no_longer_than_others(between: str) -> None:
    config = NormalizeConfig(notices={"x": NoticeRule("Note: ", then=r".*?\[end\]")})
    text = f"Note: {between}" * 20_000
    started = time.process_time()
    assert clean(Tool("c", "Bash", text), config=config)[0] == (Tool("c", "Bash", text.rstrip()),)
    assert time.process_time() - started < 2


def test_real_transcripts_lose_only_what_is_declared(corpus: Path) -> None:
    conversations, _ = read_all(corpus)
    removed: Counter[str] = Counter()
    for conversation in conversations:
        _, counts = clean(*conversation.messages)
        removed.update(counts)
    assert removed["read reminder"] > 300 and removed["working directory reset"] > 50
    assert removed.keys() <= CONFIG.notices.keys() | {BANNER, NO_OUTPUT}
