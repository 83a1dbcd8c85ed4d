"""Matchers on the arguments of a parsed tool call; none of them looks at the text around the call.

A matcher is a JSON object with one key: exact, regex (full match), any_of, contains, or cmd (the command that
a Bash argument would run). `matches` is for required calls, `may_match` for forbidden ones and looks harder.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

import msgspec

from eval import shell
from eval.answer import Call

Unset = msgspec.UnsetType


class Cmd(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A command: program, leading words (`gt mail send` has sub mail, send), positionals and flags.

    A flag's key lists its spellings (`priority|p`); its value is true, or the matcher of its value.
    `optional` flags may be there; any other flag is a mismatch. Without `args` the positionals are free.
    """

    prog: str
    sub: tuple[str, ...] = ()
    args: "tuple[Matcher, ...] | None" = None
    flags: "dict[str, Matcher | Literal[True]]" = {}
    optional: "dict[str, Matcher | Literal[True]]" = {}


class Matcher(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Exactly one of the five keys."""

    exact: Any = msgspec.UNSET
    regex: str | Unset = msgspec.UNSET
    any_of: "Annotated[tuple[Matcher, ...], msgspec.Meta(min_length=1)] | Unset" = msgspec.UNSET
    contains: str | Unset = msgspec.UNSET
    cmd: Cmd | Unset = msgspec.UNSET

    def __post_init__(self) -> None:
        given = [name for name in self.__struct_fields__ if getattr(self, name) is not msgspec.UNSET]
        if len(given) != 1:
            raise ValueError(f"a matcher has one key of {', '.join(self.__struct_fields__)}, here {given or 'none'}")
        if isinstance(self.regex, str):
            try:
                re.compile(self.regex)
            except re.error as problem:
                raise ValueError(f"regex {self.regex!r} does not compile: {problem}") from None


class CallMatcher(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A tool's name and a matcher for each argument that matters; other arguments are free."""

    name: str
    arguments: dict[str, Matcher] = {}


def matches(wanted: CallMatcher, call: Call) -> bool:
    """Whether `call` is the wanted one, with certainty."""
    return wanted.name == call.name and all(
        key in call.arguments and value_matches(matcher, call.arguments[key])
        for key, matcher in wanted.arguments.items()
    )


def may_match(forbidden: CallMatcher, call: Call) -> bool:
    """Whether `call` may do the forbidden thing: uncertain branches and text for other interpreters count."""
    return forbidden.name == call.name and all(
        key in call.arguments and _value_may_match(matcher, call.arguments[key])
        for key, matcher in forbidden.arguments.items()
    )


def value_matches(matcher: Matcher, value: Any) -> bool:
    """Whether one argument value fits; a regex must cover the whole string, and 1 is not true."""
    if isinstance(matcher.cmd, Cmd):
        return isinstance(value, str) and _runs(matcher.cmd, value)
    if isinstance(matcher.any_of, tuple):
        return any(value_matches(option, value) for option in matcher.any_of)
    if isinstance(matcher.regex, str):
        return isinstance(value, str) and re.fullmatch(matcher.regex, value) is not None
    if isinstance(matcher.contains, str):
        return isinstance(value, str) and matcher.contains in value
    return type(value) is type(matcher.exact) and bool(value == matcher.exact)


def _value_may_match(matcher: Matcher, value: Any) -> bool:
    if not isinstance(matcher.cmd, Cmd):
        return value_matches(matcher, value)
    if not isinstance(value, str):
        return False
    found = shell.commands(value)
    if any(not command.does_nothing and _names(matcher.cmd, command.words) for command in found):
        return True
    head = r"\s+".join(map(re.escape, (matcher.cmd.prog, *matcher.cmd.sub)))
    return shell.runs_hidden_code(value) and re.search(rf"(?<![\w-]){head}(?![\w-])", value) is not None


def _runs(cmd: Cmd, script: str) -> bool:
    return any(
        command.certain and command.program == cmd.prog and _fits(cmd, command.words[1:])
        for command in shell.commands(script)
    )


def _names(cmd: Cmd, words: tuple[str, ...]) -> bool:
    """Program, leading words (with anything between them), named flags and arguments are all there."""
    positionals, flags = _read_words(cmd, words[1:])
    rest = iter(positionals)
    return (
        shell.SYSTEM_PATH.sub("", words[0]) == cmd.prog
        and all(word in rest for word in cmd.sub)
        and cmd.flags.keys() <= flags.keys()
        and all(any(value_matches(wanted, word) for word in positionals) for wanted in cmd.args or ())
    )


def _fits(cmd: Cmd, words: tuple[str, ...]) -> bool:
    positionals, flags = _read_words(cmd, words)
    rest = positionals[len(cmd.sub) :]
    return (
        tuple(positionals[: len(cmd.sub)]) == cmd.sub
        and (cmd.args is None or _all_match(cmd.args, rest))
        and cmd.flags.keys() <= flags.keys()
        and flags.keys() <= cmd.flags.keys() | cmd.optional.keys()
        and all(_flag_matches({**cmd.optional, **cmd.flags}[key], value) for key, value in flags.items())
    )


def _all_match(wanted: tuple[Matcher, ...], given: list[str]) -> bool:
    return len(wanted) == len(given) and all(map(value_matches, wanted, given))


def _flag_matches(wanted: Matcher | Literal[True], value: str | None) -> bool:
    if wanted is True:
        return value is None
    return value is not None and value_matches(wanted, value)


def _read_words(cmd: Cmd, words: tuple[str, ...]) -> tuple[list[str], dict[str, str | None]]:
    """Positionals, and flags by the key of `cmd` that names them (an unknown flag by its own spelling)."""
    spellings = {name: key for key in (*cmd.flags, *cmd.optional) for name in key.split("|")}
    values = {**cmd.optional, **cmd.flags}
    positionals: list[str] = []
    flags: dict[str, str | None] = {}
    rest = iter(words)
    for word in rest:
        if word == "--":
            positionals.extend(rest)
        elif not word.startswith("-") or word == "-":
            positionals.append(word)
        else:
            flags.update(_flag(word, spellings, values, rest))
    return positionals, flags


def _flag(
    word: str,
    spellings: Mapping[str, str],
    values: Mapping[str, Matcher | Literal[True]],
    rest: Iterator[str],
) -> dict[str, str | None]:
    """`--name=value`, `--name value`, `-n value`, `-nvalue`.

    And `-ab` where both are flags without a value.
    """
    name, equals, value = word.lstrip("-").partition("=")
    if not word.startswith("--") and name[:1] in spellings and len(name) > 1:
        if values[spellings[name[0]]] is not True:
            return {spellings[name[0]]: word[2:].removeprefix("=")}
        return {spellings.get(letter, letter): None for letter in name}
    key = spellings.get(name, word)
    if equals:
        return {key: value}
    takes_value = values.get(key, True) is not True
    return {key: next(rest, None) if takes_value else None}
