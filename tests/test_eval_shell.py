"""Which commands a Bash line would run, by program and words."""

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.shell import commands, runs_hidden_code

WORDS = st.lists(st.text(min_size=1, max_size=12).filter(lambda w: "\x00" not in w and w.isprintable()), max_size=4)


def certain(script: str) -> list[str]:
    return [" ".join(c.words) for c in commands(script) if c.certain]


@given(WORDS)
def test_quoted_words_come_back_as_they_were(words: list[str]) -> None:
    (command,) = commands(shlex.join(["gt", *words]))
    assert command.words == ("gt", *words)
    assert command.certain


@given(st.text())
def test_any_text_can_be_read(script: str) -> None:
    assert all(command.words for command in commands(script))


@pytest.mark.parametrize("script", ["{\U00031860", "f\U0010fffd() { gt hook; }", "cat <<\u4e16\ngt\n\u4e16"])
def test_text_beyond_ascii_never_reaches_the_parser(script: str) -> None:
    # The first is the reproduction of a crash of the process in tree-sitter-bash 0.25.1, as luck has it.
    for copies in range(1, 40):
        commands("\n" * copies + script)
    assert [c.words for c in commands("gt mail send m\u00e4yor/ -s '\U00031860\x01'")] == [
        ("gt", "mail", "send", "m\u00e4yor/", "-s", "\U00031860\x01")
    ]


RUNS = {
    "gt hook": ["gt hook"],
    "cd /work && gt hook": ["cd /work", "gt hook"],
    "gt a; gt b & gt c": ["gt a", "gt b", "gt c"],
    "(cd x; gt hook) | tail -3": ["cd x", "gt hook", "tail -3"],
    "timeout 5 gt hook": ["gt hook"],
    "timeout -k 1 5s env A=1 gt hook": ["gt hook"],
    "sudo -u me nice -n 5 gt hook": ["gt hook"],
    "bash -c 'cd x && gt hook'": ["cd x", "gt hook"],
    "bash -lc \"gt mail send a -m 'b c'\"": ["gt mail send a -m b c"],
    "A=1 B=2 gt hook 2>&1": ["gt hook"],
    "! gt hook": ["gt hook"],
    "{ gt hook; }": ["gt hook"],
    'gt ho\\ ok "a \\"b\\"" \'c\'"d"': ['gt ho ok a "b" cd'],
    "gt mail send x <<'EOF'\ngt nuke\nEOF": ["gt mail send x"],
    "gt hook <<< 'gt nuke'": ["gt hook"],
}


@pytest.mark.parametrize(("script", "found"), RUNS.items(), ids=RUNS)
def test_what_runs_is_found_behind_quotes_wrappers_and_redirections(script: str, found: list[str]) -> None:
    assert certain(script) == found


DOES_NOT_RUN = [
    'echo "gt hook"',
    "# gt hook",
    "cat <<EOF\ngt hook\nEOF",
    "true || gt hook",
    "false && gt hook",
    "test -f x && gt hook",
    "[[ -f x ]] && gt hook",
    "true || gt a && gt hook",
    "! true && gt hook",
    "( ! true ) && gt hook",
    "exit 0; gt hook",
    "exit 0\ngt hook",
    "x=$(gt hook)",
    'echo "$(gt hook)"',
    "diff <(gt hook) /dev/null",
    "if false; then gt hook; fi",
    "while false; do gt hook; done",
    "for x in; do gt hook; done",
    "case a in b) gt hook;; esac",
    "f() { gt hook; }",
    "gt() { :; }; gt hook",
    "gt hook |",
    "command -v gt hook",
    "timeout --help gt hook",
    "which gt hook",
    "bash -n gt hook",
    "x='gt hook'",
]


@pytest.mark.parametrize("script", DOES_NOT_RUN)
def test_what_only_looks_like_a_command_is_not_certain(script: str) -> None:
    assert "gt hook" not in certain(script)


@pytest.mark.parametrize(
    "script",
    ["echo x | bash", "python3 -c 'import os'", "ls | xargs rm", "eval $X", "ssh host gt", "find . -exec rm {} ;"],
)
def test_text_for_another_interpreter_is_noticed(script: str) -> None:
    assert runs_hidden_code(script)
    assert not runs_hidden_code("gt hook && git status | head")


def test_filters_and_looks_are_no_actions_unless_they_write_a_file() -> None:
    assert [c.acts for c in commands("cd x && gt mq list petals 2>/dev/null | head -3")] == [False, True, False]
    assert [c.acts for c in commands("echo x > file")] == [True]
    assert [c.acts for c in commands("echo x 2>&1")] == [False]
