"""Which commands a Bash line would run, by program and words, and what it may run in disguise."""

import base64
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval import programs
from eval.hidden import reachable, runs_hidden_code, texts
from eval.shell import commands

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
    "if gt hook; then echo yes; fi": ["gt hook"],
    "while gt hook; do sleep 1; done": ["gt hook"],
    "timeout --signal KILL 5 gt hook": ["gt hook"],
    "setsid stdbuf -o L gt hook": ["gt hook"],
    "env -u HOME -C /work gt hook": ["gt hook"],
    "bash -o pipefail -c 'gt hook'": ["gt hook"],
    "bash --login -ec 'gt hook' name": ["gt hook"],
    "sudo -u me bash -lc 'sh -c \"gt hook\"'": ["gt hook"],
    "exec gt hook": ["gt hook"],
    "set -euo pipefail; gt hook": ["set -euo pipefail", "gt hook"],
    "gt mail send x <<EOF && gt hook\ntext\nEOF": ["gt mail send x", "gt hook"],
    "gt say $'\\x41\\tb\\'c'": ["gt say A\tb'c"],
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
    "exec true; gt hook",
    "set -n; gt hook",
    "set -o noexec\ngt hook",
    "cat <<EOF || gt hook\ntext\nEOF",
    "bash -n -c 'gt hook'",
    "bash -c 'true' 'gt hook'",
    "env -S 'gt hook'",
    "alias gt=true\ngt hook",
    "{ gt() { :; }; }; gt hook",
]


@pytest.mark.parametrize("script", DOES_NOT_RUN)
def test_what_only_looks_like_a_command_is_not_certain(script: str) -> None:
    assert "gt hook" not in certain(script)


def test_what_is_known_of_a_command_s_place() -> None:
    first, second, third = commands("a | b | c > f")
    assert (first.piped, second.piped, third.piped) == (False, True, True)
    assert (first.writes, second.writes, third.writes) == (False, False, True)
    assert [c.writes for c in commands("a && b > f")] == [False, True]
    assert [c.writes for c in commands("{ a && b; } > f")] == [True, True]
    assert [c.looped for c in commands("for x in 1 2; do a; done; b")] == [True, False]
    assert [c.muted for c in commands("a >/dev/null 2>&1; b 2>/dev/null; c &> f; d 2>&1")] == [True, False, True, False]


@pytest.mark.parametrize("script", ["cat <<EOF > f\nx\nEOF", "cat > f <<EOF\nx\nEOF", "echo x >> f", "echo x >| f"])
def test_a_filter_that_writes_a_file_acts(script: str) -> None:
    assert [(c.acts, c.writes) for c in commands(script)] == [(True, True)]


def test_filters_and_looks_are_no_actions_unless_they_write_a_file() -> None:
    assert [c.acts for c in commands("cd x && gt mq list petals 2>/dev/null | head -3")] == [False, True, False]
    assert [c.acts for c in commands("echo x > file")] == [True]
    assert [c.acts for c in commands("echo x 2>&1")] == [False]


LOOKS = [
    "sed -n 1,5p f",
    "sed 's/a/b/' f",
    "sort f",
    "find . -name x",
    "awk '{print $1}' f",
    "date +%s",
    "tee /dev/null",
]
LOOKS += ["gt help sling", "gt sling --help", "rm --help", "uniq -c", "ls -la", "grep -rn x ."]
ACTS = ["sed -i s/a/b/ f", "sed -ni.bak p f", "sed 'w out' f", "sed 's/a/b/w out' f", "sort -o f f", "find . -delete"]
ACTS += ["find . -exec rm {} +", "awk 'BEGIN { system(\"rm x\") }'", "awk '{print > \"f\"}' g", "date -s now", "tee f"]
ACTS += ["uniq a b", "rm -rf x -- --help", "git push -o --help", "gt hook", "$X", "./look"]


def test_a_looking_program_acts_where_its_arguments_write_or_run() -> None:
    assert [line for line in LOOKS if not programs.only_looks(shlex.split(line))] == []
    assert [line for line in ACTS if programs.only_looks(shlex.split(line))] == []


@pytest.mark.parametrize(
    "script",
    [
        *("echo x | bash", "python3 -c 'import os'", "ls | xargs rm", "eval $X", "ssh host gt", "find . -exec rm {} ;"),
        *(
            "bash <<< x",
            "sh << EOF\nx\nEOF",
            "$RUN x",
            "./run.sh",
            "git -c alias.x=y x",
            "env -S 'a b'",
            "python3.11 x",
        ),
    ],
)
def test_text_for_another_interpreter_is_noticed(script: str) -> None:
    assert runs_hidden_code(script)
    assert not runs_hidden_code("gt hook && git status | head; find . -name x")


@pytest.mark.parametrize(
    "script",
    [
        *("bash <<'END'\ngt nuke x\nEND", "bash <<< 'gt nuke x'", "eval 'gt nuke x'", "ssh host 'gt nuke x'"),
        *("X=nuke; gt $X x", "gt ${X:-nuke} x", "gt $(echo nuke) x", "for w in nuke; do gt $w x; done", "{gt,nuke,x}"),
        *("RUN='gt nuke x'; $RUN", "alias go='gt nuke x'; go", "trap 'gt nuke x' EXIT", "echo x | xargs gt nuke"),
        f"echo {base64.b64encode(b'gt nuke x').decode()} | base64 -d | sh",
        f"echo {b'gt nuke x'.hex()} | xxd -r -p | sh",
        "git -c alias.go='!gt nuke x' go",
    ],
)
def test_a_command_is_reached_through_variables_texts_and_codes(script: str) -> None:
    assert ("gt", "nuke", "x") in reachable(script)
    assert not any(command.words == ("gt", "nuke", "x") and command.certain for command in commands(script))


def test_text_is_only_read_where_something_may_run_it() -> None:
    assert texts("echo 'gt nuke x'; cat <<EOF\ngt nuke x\nEOF") == ()
    assert reachable("git commit -m 'gt nuke x'") == (("git", "commit", "-m", "gt nuke x"),)


@given(st.text(max_size=40))
def test_no_text_keeps_the_search_from_its_end(script: str) -> None:
    assert all(reachable(script)) and all(texts(f"bash <<< {shlex.quote(script)}"))
