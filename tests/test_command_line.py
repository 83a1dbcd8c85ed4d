"""Command lines are read exactly or not at all."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.command_line import simple_commands

WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\\\"'`$\n\r;&|<>()#"), min_size=1, max_size=12)
PLAIN = st.text("abcxyz019-_./=~%+:,@", min_size=1, max_size=8).filter(lambda word: not word.startswith("="))


@given(
    st.lists(st.lists(WORDS, min_size=1, max_size=4), min_size=1, max_size=4),
    st.sampled_from(["; ", " && ", "\n", "|"]),
)
def test_quoted_words_are_read_as_a_shell_reads_them(commands: list[list[str]], between: str) -> None:
    program = "gt"
    line = between.join(shlex.join([program, *words]) for words in commands)
    assert simple_commands(line) == tuple(" ".join([program, *words]) for words in commands)


@given(PLAIN, st.text(max_size=30))
def test_what_is_read_has_no_more_commands_than_separators(word: str, rest: str) -> None:
    found = simple_commands(f"{word} {rest}")
    assert found is None or len(found) <= 1 + sum(rest.count(mark) for mark in ";&|\n")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("gt mail inbox", ("gt mail inbox",)),
        ("cd /a/b && gt hook 2>&1 | head -20", ("cd /a/b", "gt hook", "head -20")),
        ("# look\ngt mail inbox; gt mq list rig  # and queue", ("gt mail inbox", "gt mq list rig")),
        ("gt mail send x -s \"a; b\" -m 'd && e'", ("gt mail send x -s a; b -m d && e",)),
        ("GT_ROLE=witness X=1 gt hook", ("gt hook",)),
        ("gt hook >/dev/null 2>&1", ("gt hook",)),
        ("gt hook &>/dev/null || true", ("gt hook", "true")),
        ("gt sling a#1", ("gt sling a#1",)),
        ("bd list --status=open", ("bd list --status=open",)),
        ("", ()),
        ("# nothing", ()),
    ],
)
def test_a_plain_line_is_its_commands(line: str, expected: tuple[str, ...]) -> None:
    assert simple_commands(line) == expected


@pytest.mark.parametrize(
    "line",
    [
        "echo $(gt polecat nuke rust)",
        "echo `gt polecat nuke rust`",
        'echo "$HOME"',
        "gt hook > file",
        "gt hook 2>/tmp/errors",
        "gt hook >/dev/nullify",
        "gt hook &",
        "while true; do sleep 5; done",
        "if true; then gt hook; fi",
        "cat <<END\ngt hook\nEND",
        "(gt hook)",
        "gt hook \\\n --json",
        'gt mail send x -s "open',
        "gt hook " + "x" * 1000,
    ],
)
def test_what_cannot_be_told_from_words_is_not_read(line: str) -> None:
    assert simple_commands(line) is None
