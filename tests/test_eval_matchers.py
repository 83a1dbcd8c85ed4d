"""Argument matchers: what a required call accepts, and what a forbidden one catches."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.answer import Call
from eval.matchers import CallMatcher, Matcher, matches, may_match, value_matches

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


@given(st.text(), st.text())
def test_exact_and_regex_cover_the_whole_text_and_contains_a_part(text: str, more: str) -> None:
    import re

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
