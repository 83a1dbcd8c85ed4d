"""Matchers of tool calls; none of them looks at the text around the call.

`matches` is for required calls, `may_match` for forbidden ones: it looks harder, so that whatever matches may match.
The matchers of single arguments are in eval.patterns, those of the words of a command in eval.command_words.
"""

import functools
import re
from typing import Any

import msgspec

from eval import hidden, patterns, shell
from eval.answer import Call
from eval.command_words import may_run, runs_as
from eval.patterns import Cmd, Matcher, parts, same_path

__all__ = [
    "CallMatcher",
    "Cmd",
    "Matcher",
    "command_of",
    "fits_command",
    "matches",
    "matches_command",
    "may_match",
    "value_matches",
]


class CallMatcher(msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """A tool's name and a matcher for each argument that matters; other arguments are free."""

    name: str
    arguments: dict[str, Matcher] = {}

    @functools.cached_property
    def about_commands(self) -> bool:
        """Whether it asks for commands of a Bash call, and not for the text of the call as a whole."""
        return self.name == "Bash" and "command" in self.arguments and _is_cmd(self.arguments["command"])


def matches(wanted: CallMatcher, call: Call) -> bool:
    """Whether `call` is the wanted one, with certainty."""
    return wanted.name == call.name and all(
        value_matches(matcher, call.arguments.get(key, msgspec.UNSET)) for key, matcher in wanted.arguments.items()
    )


def matches_command(wanted: CallMatcher, call: Call, command: shell.Command) -> bool:
    """Whether one simple command of a Bash call is the wanted one, for a matcher that is `about_commands`."""
    if wanted.name != call.name or not fits_command(wanted.arguments["command"], command):
        return False
    others = ((key, matcher) for key, matcher in wanted.arguments.items() if key != "command")
    return all(value_matches(matcher, call.arguments.get(key, msgspec.UNSET)) for key, matcher in others)


def may_match(forbidden: CallMatcher, call: Call, before: str = "") -> bool:
    """Whether `call` may do the forbidden thing: uncertain branches and text for other interpreters count.

    `before` is what earlier calls wrote to files, which a script that this one runs may hold.
    """
    return forbidden.name == call.name and all(
        value_may_match(matcher, call.arguments.get(key, msgspec.UNSET), before, is_script=is_script)
        for key, matcher in forbidden.arguments.items()
        for is_script in [(call.name, key) == ("Bash", "command")]
    )


def value_matches(matcher: Matcher, value: Any) -> bool:
    """Whether one argument value fits, the commands of a script included."""
    return patterns.value_matches(matcher, value, _runs)


def value_may_match(matcher: Matcher, value: Any, before: str = "", *, is_script: bool = True) -> bool:
    """As `value_matches`, and also where a command may run in disguise or a pattern fits a part of a script."""
    if isinstance(matcher.any_of, tuple):
        return any(value_may_match(option, value, before, is_script=is_script) for option in matcher.any_of)
    if isinstance(matcher.all_of, tuple):
        return all(value_may_match(option, value, before, is_script=is_script) for option in matcher.all_of)
    if isinstance(matcher.cmd, Cmd) and isinstance(value, str):
        return may_run(matcher.cmd, value, before)
    if isinstance(matcher.regex, str) and isinstance(value, str) and is_script:
        return any(re.search(matcher.regex, text) for text in (value, *hidden.texts(value)))
    if isinstance(matcher.path, str) and isinstance(value, str):
        return same_path(matcher.path, value)
    return value_matches(matcher, value)


def fits_command(matcher: Matcher, command: shell.Command) -> bool:
    """Whether one simple command surely runs and is what a matcher made of `cmd` asks for."""
    if isinstance(matcher.cmd, Cmd):
        return runs_as(matcher.cmd, command)
    if isinstance(matcher.any_of, tuple):
        return any(fits_command(option, command) for option in matcher.any_of)
    if isinstance(matcher.all_of, tuple):
        return all(fits_command(option, command) for option in matcher.all_of)
    if isinstance(matcher.none_of, tuple):
        return command.certain and not any(fits_command(option, command) for option in matcher.none_of)
    return False


def command_of(matcher: CallMatcher) -> Cmd | None:
    """The first command that a Bash matcher asks for, None where it asks for something else."""
    wanted = matcher.arguments.get("command") if matcher.about_commands else None
    while wanted is not None and not isinstance(wanted.cmd, Cmd):
        wanted = parts(wanted)[0]
    return wanted.cmd if wanted is not None and isinstance(wanted.cmd, Cmd) else None


def _is_cmd(matcher: Matcher) -> bool:
    if isinstance(matcher.cmd, Cmd):
        return True
    groups = (matcher.any_of, matcher.all_of, matcher.none_of)
    several = any(isinstance(group, tuple) for group in groups)
    return several and all(map(_is_cmd, parts(matcher)))


def _runs(cmd: Cmd, script: str) -> bool:
    return any(runs_as(cmd, command) for command in shell.commands(script))
