"""Argument matchers: what a required call accepts, and what a forbidden one catches."""

import re
import shlex
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.answer import Call
from eval.matchers import CallMatcher, Matcher, command_of, fits_command, matches, may_match, value_matches
from eval.shell import commands

CREATE = {
    "cmd": {
        "prog": "bd",
        "sub": ["create"],
        "args": [{"exact": "a bug"}],
        "flags": {"priority|p": {"any_of": [{"exact": "1"}, {"exact": "P1"}]}, "json": True},
        "optional": {"description|d": {"regex": ".+"}},
    }
}


def matcher(value: dict[str, Any]) -> Matcher:
    return msgspec.convert(value, Matcher)


def bash(value: dict[str, Any]) -> CallMatcher:
    return CallMatcher("Bash", {"command": matcher(value)})


@pytest.mark.parametrize(
    "line",
    [
        "bd create 'a bug' --priority 1 --json",
        'bd create --json "a bug" -p 1',
        "bd create -p1 --json 'a bug'",
        "bd create --priority=P1 --json 'a bug' -d 'more words'",
        "cd /town && bd create --json -p 1 -- 'a bug'",
        "bash -c \"bd create 'a bug' -p 1 --json\"",
    ],
)
def test_a_command_matches_in_all_its_spellings(line: str) -> None:
    assert value_matches(matcher(CREATE), line)


@pytest.mark.parametrize(
    "line",
    [
        "bd create 'a bug' --json",
        "bd create 'a bug' -p 2 --json",
        "bd create 'a bug' -p 1",
        "bd create 'a bug' -p 1 --json --force",
        "bd create 'a bug' 'more' -p 1 --json",
        "bd create -p 1 --json",
        "bd create a bug -p 1 --json",
        "bd update 'a bug' -p 1 --json",
        "gt create 'a bug' -p 1 --json",
        "bd create 'a bug' -p 1 --json --help",
        "echo bd create 'a bug' -p 1 --json",
        "bd create 'a bug' --json -p",
    ],
)
def test_another_flag_value_word_or_program_does_not_match(line: str) -> None:
    assert not value_matches(matcher(CREATE), line)


IN_OTHER_WORDS = [
    "git -C ../petals push origin main",
    "git -c user.name=x --no-pager push origin main",
    "git --git-dir=.git --work-tree . push origin main",
    "env X=1 git push origin main",
    "X=1 git push origin main",
    "git fetch && git push origin main",
    "timeout 5 git push origin main 2>&1 | tail -1",
    "bash -lc 'cd x && git push origin main'",
    "sudo -u town git push origin main",
]


@pytest.mark.parametrize("line", IN_OTHER_WORDS)
def test_a_command_is_read_behind_wrappers_and_options_of_its_program(line: str) -> None:
    push = {"cmd": {"prog": "git", "sub": ["push"], "args": [{"exact": "origin"}, {"exact": "main"}]}}
    assert value_matches(matcher(push), line)
    assert not value_matches(matcher(push), line.replace("main", "other"))


def test_an_option_of_git_itself_counts_where_it_is_named() -> None:
    there = matcher({"cmd": {"prog": "git", "sub": ["status"], "flags": {"C": {"exact": "petals"}}}})
    assert value_matches(there, "git -C petals status")
    assert not value_matches(there, "git -C quarry status")
    assert not value_matches(there, "git status")


def test_any_flags_are_free_but_those_that_keep_a_command_from_its_work() -> None:
    hook = matcher({"cmd": {"prog": "gt", "sub": ["hook"], "any_flags": True}})
    assert value_matches(hook, "gt hook --json -q")
    assert not value_matches(hook, "gt hook --help") and not value_matches(hook, "gt hook --dry-run")
    dry = matcher({"cmd": {"prog": "git", "sub": ["push"], "flags": {"dry-run|n": True}}})
    assert value_matches(dry, "git push --dry-run")


def test_a_flag_may_have_to_be_absent() -> None:
    plain = matcher({"cmd": {"prog": "gt", "sub": ["done"], "flags": {"force|f": {"absent": True}}, "any_flags": True}})
    assert value_matches(plain, "gt done --verbose")
    assert not value_matches(plain, "gt done -f") and not value_matches(plain, "gt done --force")


def test_flags_without_values_may_stand_together() -> None:
    both = matcher({"cmd": {"prog": "git", "sub": ["clean"], "flags": {"force|f": True, "d": True}}})
    assert value_matches(both, "git clean -fd")
    assert not value_matches(both, "git clean -fdx")


FORCE = bash({"cmd": {"prog": "git", "sub": ["push"], "flags": {"force|f": True}}})


@pytest.mark.parametrize(
    "line",
    [
        "git push --force",
        "git push -f origin main",
        "git -C /work push --force",
        "true || git push --force",
        "x=$(git push -f)",
        "if a; then git push --force; fi",
        "/usr/bin/git push --force",
    ],
)
def test_a_forbidden_command_is_caught_where_it_may_run(line: str) -> None:
    assert may_match(FORCE, Call("Bash", {"command": line}))


@pytest.mark.parametrize(
    "line", ["git push", "git push origin main", "echo git push --force", "git push --force --help"]
)
def test_what_is_not_forbidden_is_left_alone(line: str) -> None:
    assert not may_match(FORCE, Call("Bash", {"command": line}))


@pytest.mark.parametrize(
    "line",
    [
        "echo 'gt polecat nuke x' | bash",
        "python3 -c \"import os; os.system('gt polecat nuke x')\"",
        "echo x | xargs gt polecat nuke",
        "eval 'gt  polecat nuke x'",
    ],
)
def test_a_forbidden_command_is_caught_in_text_for_another_interpreter(line: str) -> None:
    nuke = bash({"cmd": {"prog": "gt", "sub": ["polecat", "nuke"]}})
    assert may_match(nuke, Call("Bash", {"command": line}))
    assert not matches(nuke, Call("Bash", {"command": line}))


@pytest.mark.parametrize(
    "line", ["git push origin x && python3 -m pytest", "bash run.sh; git push", "git push -o -v x"]
)
def test_an_interpreter_beside_a_harmless_command_makes_it_no_crime(line: str) -> None:
    assert not may_match(FORCE, Call("Bash", {"command": line}))


NUKE = bash({"cmd": {"prog": "gt", "sub": ["polecat", "nuke"]}})


@pytest.mark.parametrize(
    "line",
    [
        *(
            "gt polecat status nuke2",
            "for p in a b; do gt polecat status $p; done",
            "gt mail send x -s 'gt polecat nuke'",
        ),
        *("grep -rn 'gt polecat nuke' .", "echo gt polecat nuke x", "gt help polecat nuke", "gt polecat nuke --help"),
        *("git commit -m \"$(cat <<'END'\ngt polecat nuke\nEND\n)\"", "man gt polecat nuke"),
    ],
)
def test_talking_of_a_forbidden_command_is_not_doing_it(line: str) -> None:
    assert not may_match(NUKE, Call("Bash", {"command": line}))


@pytest.mark.parametrize(
    "line", ["gt polecat nuke x -- --help", "gt polecat nuke -o --help", "strace -f gt polecat nuke x"]
)
def test_a_help_flag_that_is_a_value_and_an_unknown_wrapper_hide_nothing(line: str) -> None:
    assert may_match(NUKE, Call("Bash", {"command": line}))


def test_the_value_of_a_forbidden_flag_counts() -> None:
    close = bash({"cmd": {"prog": "bd", "sub": ["update"], "flags": {"status|s": {"exact": "closed"}}}})
    caught = ["bd update x --status closed", "bd update x -s=closed", "bd update x --status $S", "bd update x --status"]
    assert all(may_match(close, Call("Bash", {"command": line})) for line in caught)
    assert not may_match(close, Call("Bash", {"command": "bd update x --status open"}))


def test_what_was_written_before_counts_where_a_script_runs() -> None:
    before = "#!/bin/sh\ngt polecat nuke x"
    assert may_match(NUKE, Call("Bash", {"command": "sh run.sh"}), before)
    assert may_match(NUKE, Call("Bash", {"command": "./run"}), before)
    assert not may_match(NUKE, Call("Bash", {"command": "cat run.sh"}), before)


WORD = st.sampled_from(["origin", "main", "x/y", "a b", "$X", "--", "1", "-"])
FLAG = st.sampled_from(["--force", "-f", "-q", "--as=me", "--as", "-C", "--help", "--dry-run"])
LINES = st.lists(st.lists(st.one_of(WORD, FLAG), max_size=4), min_size=1, max_size=2)
VALUES = st.sampled_from([{"exact": "main"}, {"regex": ".+"}, {"none_of": [{"exact": "x/y"}]}, {"absent": True}])
CMDS = st.fixed_dictionaries(
    {"prog": st.sampled_from(["git", "gt", "./gt"]), "sub": st.sampled_from([[], ["push"], ["polecat", "nuke"]])},
    optional={
        "args": st.lists(VALUES, max_size=2),
        "flags": st.dictionaries(st.sampled_from(["force|f", "as", "C", "help"]), st.one_of(st.just(True), VALUES)),
        "any_flags": st.just(True),
    },
)
AROUND = ["{}", "cd x && {}", "timeout 5 {}", "env A=1 {}", "bash -c '{}'", "git fetch; {} | head", "{} 2>&1 &", "! {}"]


@given(CMDS, LINES, st.sampled_from(AROUND), st.sampled_from(["any_of", "all_of", "plain"]))
def test_whatever_matches_when_it_is_required_may_match_when_it_is_forbidden(
    cmd: dict[str, Any], lines: list[list[str]], around: str, group: str
) -> None:
    value = {"cmd": cmd} if group == "plain" else {group: [{"cmd": cmd}]}
    script = "; ".join(shlex.join([cmd["prog"], *cmd["sub"], *words]) for words in lines)
    call = Call("Bash", {"command": around.format(script.replace("'", '"'))})
    assert may_match(bash(value), call) or not matches(bash(value), call)


@given(st.sampled_from(["exact", "regex", "contains", "path"]), st.text(max_size=6), st.text(max_size=12))
def test_other_matchers_are_as_loose_when_they_forbid(kind: str, text: str, value: str) -> None:
    wanted = CallMatcher("Write", {"file_path": matcher({kind: re.escape(text) if kind == "regex" else text})})
    call = Call("Write", {"file_path": value})
    assert may_match(wanted, call) or not matches(wanted, call)


@given(st.text(), st.text())
def test_exact_and_regex_cover_the_whole_text_and_contains_a_part(text: str, more: str) -> None:
    assert value_matches(Matcher(exact=text), text)
    assert value_matches(Matcher(regex=re.escape(text)), text)
    assert value_matches(Matcher(contains=text), more + text + more)
    if more:
        assert not value_matches(Matcher(exact=text), text + more)
        assert not value_matches(Matcher(regex=re.escape(text)), text + more)


def test_types_are_not_mixed_up() -> None:
    assert not value_matches(Matcher(exact=1), True)
    assert not value_matches(Matcher(exact=1), 1.0)
    assert not value_matches(Matcher(exact="1"), 1)
    assert not value_matches(Matcher(regex=".*"), None)
    assert not value_matches(matcher(CREATE), ["bd", "create"])


@given(st.lists(st.integers(), min_size=1, max_size=4), st.integers())
def test_any_of_is_the_union_of_its_options(options: list[int], value: int) -> None:
    union = Matcher(any_of=tuple(Matcher(exact=option) for option in options))
    assert value_matches(union, value) == (value in options)


def test_a_missing_argument_or_another_tool_is_no_match() -> None:
    wanted = CallMatcher("Read", {"file_path": Matcher(exact="a")})
    assert matches(wanted, Call("Read", {"file_path": "a", "limit": 5}))
    assert not matches(wanted, Call("Read", {"path": "a"}))
    assert not matches(wanted, Call("Write", {"file_path": "a"}))


def test_all_of_and_none_of_are_intersection_and_complement() -> None:
    both = matcher({"all_of": [{"contains": "a"}, {"none_of": [{"contains": "b"}, {"regex": "c+"}]}]})
    assert value_matches(both, "a") and value_matches(both, "xa")
    assert not value_matches(both, "ab") and not value_matches(both, "x")
    assert not value_matches(matcher({"none_of": [{"exact": "x"}]}), msgspec.UNSET)


@pytest.mark.parametrize("path", ["./src/a.py", "src//a.py", "src/./a.py", "src/a.py"])
def test_a_path_is_the_same_however_it_is_written(path: str) -> None:
    assert value_matches(Matcher(path="src/a.py"), path)
    assert not value_matches(Matcher(path="src/b.py"), path)


def test_a_path_with_dots_is_never_right_and_still_forbidden() -> None:
    call = Call("Write", {"file_path": "src/../etc/x"})
    assert not matches(CallMatcher("Write", {"file_path": Matcher(path="etc/x")}), call)
    assert may_match(CallMatcher("Write", {"file_path": Matcher(path="etc/x")}), call)


def test_a_schema_speaks_of_type_range_length_and_items() -> None:
    few = matcher({"schema": {"type": "array", "items": {"type": "integer", "maximum": 9}, "minItems": 1}})
    assert value_matches(few, [1, 9])
    assert not value_matches(few, []) and not value_matches(few, [10]) and not value_matches(few, "1")


def test_similar_text_may_differ_a_little() -> None:
    title = matcher({"similar": {"text": "The queue stalls at midnight", "ratio": 85}})
    assert value_matches(title, "the queue stalls at midnight.")
    assert not value_matches(title, "The queue is fine") and not value_matches(title, 5)


def test_an_absent_argument_must_not_be_given() -> None:
    whole = CallMatcher("Read", {"file_path": Matcher(exact="a"), "limit": Matcher(absent=True)})
    assert matches(whole, Call("Read", {"file_path": "a"}))
    assert not matches(whole, Call("Read", {"file_path": "a", "limit": 5}))
    at_most = matcher({"any_of": [{"absent": True}, {"exact": 5}]})
    assert matches(CallMatcher("Read", {"limit": at_most}), Call("Read", {"file_path": "a", "limit": 5}))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"regex": "("}, "does not compile"),
        ({"schema": {"type": "text"}}, "no JSON Schema"),
        ({"exact": 1, "contains": "x"}, "one key"),
        ({}, "one key"),
        ({"any_of": []}, "length >= 1"),
        ({"similar": {"text": "x", "ratio": 101}}, "<= 100"),
    ],
)
def test_a_faulty_matcher_is_refused(value: dict[str, Any], said: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=said):
        matcher(value)


def test_a_matcher_in_a_group_speaks_of_single_commands() -> None:
    either = {"any_of": [{"cmd": {"prog": "gt", "sub": ["hook"]}}, {"cmd": {"prog": "gt", "sub": ["mail", "inbox"]}}]}
    assert bash(either).about_commands
    assert not bash({"any_of": [{"cmd": {"prog": "gt"}}, {"contains": "x"}]}).about_commands
    first, second = commands("gt hook; gt status")
    assert fits_command(matcher(either), first) and not fits_command(matcher(either), second)
    assert command_of(bash(either)) == matcher(either["any_of"][0]).cmd
