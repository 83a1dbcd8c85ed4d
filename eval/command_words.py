"""Whether the words of a command are those that a `cmd` matcher asks for: program, leading words, flags, positionals.

`runs_as` is for required commands; `may_run` finds a forbidden one in a script, in whatever disguise.
"""

import functools
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import msgspec

from eval import hidden, programs, shell
from eval.patterns import Cmd, Matcher, value_matches

UNKNOWN = ("$", "`")  # a word with one of these may turn out to be any


def runs_as(cmd: Cmd, command: shell.Command) -> bool:
    """Whether one simple command surely runs and is the wanted one."""
    return command.certain and command.program == cmd.prog and _fits(cmd, command.words)


@functools.lru_cache(maxsize=65536)
def may_run(cmd: Cmd, script: str, before: str = "") -> bool:
    """Whether the script may run the command somewhere.

    `before` is what earlier scripts wrote: it counts where this one runs text.
    """
    scripts = (script, before) if before and hidden.runs_hidden_code(script) else (script,)
    for text in scripts:
        if any(_names_somewhere(cmd, words) for words in hidden.reachable(text)):
            return True
    inner = (line for text in (*hidden.texts(script), *scripts[1:]) for line in hidden.tokens(text))
    return any(_names(cmd, line[start:]) for line in inner for start in _starts(cmd, line))


def _names_somewhere(cmd: Cmd, words: Sequence[str]) -> bool:
    """Whether the command stands in the words; behind another program's name only where that may run its words."""
    starts = list(_starts(cmd, words))
    if starts and programs.only_looks(words):
        starts = [start for start in starts if not start]
    return any(_names(cmd, words[start:]) and not _does_nothing(cmd, words[start:]) for start in starts)


def _starts(cmd: Cmd, words: Sequence[str]) -> Iterator[int]:
    """Where the program stands, in whatever folder; `$(which gt) polecat nuke` may be any program with these words."""
    name = cmd.prog.rsplit("/", 1)[-1]
    for number, word in enumerate(words):
        if (word.endswith(name) and word.rsplit("/", 1)[-1] == name) or (not number and cmd.sub and _is_unknown(word)):
            yield number


def _names(cmd: Cmd, words: Sequence[str]) -> bool:
    """Leading words (with anything between them), flags and arguments are all there."""
    positionals, flags = _read_words(cmd, _arguments(cmd, words))
    rest = iter(positionals)
    for word, there in itertools.zip_longest(cmd.sub, positionals[: len(cmd.sub)], fillvalue=""):
        if not any(other in (word, there if _is_unknown(there) else word) for other in rest):
            return False
    values = list(rest)
    return all(_flag_may_match(wanted, key in flags, flags.get(key)) for key, wanted in cmd.flags.items()) and all(
        any(_may_be(wanted, value) for value in values) for wanted in cmd.args or ()
    )


def _flag_may_match(wanted: Matcher | Literal[True], given: bool, value: str | None) -> bool:
    if wanted is True or not given:
        return given or (wanted is not True and value_matches(wanted, msgspec.UNSET))
    return value is None or _may_be(wanted, value)


def _may_be(wanted: Matcher, value: str) -> bool:
    return _is_unknown(value) or value_matches(wanted, value)


def _is_unknown(word: str) -> bool:
    """Whether a word may turn out to be any; a heredoc's text (`-m "$(cat <<'END' ...)"`) is written out."""
    return "<<" not in word and any(mark in word for mark in UNKNOWN)


def _does_nothing(cmd: Cmd, words: Sequence[str]) -> bool:
    """Whether a flag such as --help keeps the command from its work, and is not the value of another flag."""
    spellings = {name for key in (*cmd.flags, *cmd.optional) for name in key.split("|")}
    before = ""
    for word in words[1:]:
        if word == "--":
            return False
        is_value = before.startswith("-") and before.lstrip("-") not in spellings
        if word in programs.NOOP_FLAGS and word.lstrip("-") not in spellings and not is_value:
            return True
        before = word
    return len(words) > 1 and words[1] == "help"


def _fits(cmd: Cmd, words: tuple[str, ...]) -> bool:
    if not {*words}.issuperset(cmd.sub):
        return False
    positionals, flags = _read_words(cmd, _arguments(cmd, words))
    known = {**cmd.optional, **cmd.flags}
    rest = positionals[len(cmd.sub) :]
    return (
        tuple(positionals[: len(cmd.sub)]) == cmd.sub
        and (cmd.args is None or _all_match(cmd.args, rest))
        and programs.NOOP_FLAGS.isdisjoint(flags)
        and (cmd.any_flags or flags.keys() <= known.keys())
        and all(_flag_matches(wanted, key in flags, flags.get(key)) for key, wanted in cmd.flags.items())
        and all(_flag_matches(known[key], True, value) for key, value in flags.items() if key in known)
    )


def _arguments(cmd: Cmd, words: Sequence[str]) -> tuple[str, ...]:
    """The words behind the program; those that are options of git itself are left out, but for named ones."""
    if cmd.prog != "git":
        return tuple(words[1:])
    named = frozenset(name for key in (*cmd.flags, *cmd.optional) for name in key.split("|"))
    return programs.without_git_options(tuple(words[1:]), named)


def _all_match(wanted: tuple[Matcher, ...], given: list[str]) -> bool:
    return len(wanted) == len(given) and all(map(value_matches, wanted, given))


def _flag_matches(wanted: Matcher | Literal[True], given: bool, value: str | None) -> bool:
    if wanted is True:
        return given and value is None
    if not given:
        return value_matches(wanted, msgspec.UNSET)
    return value is not None and value_matches(wanted, value)


def _read_words(cmd: Cmd, words: Sequence[str]) -> tuple[list[str], dict[str, str | None]]:
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
    """`--name=value`, `--name value`, `-n value`, `-nvalue`, and `-ab` where both are flags without a value."""
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
