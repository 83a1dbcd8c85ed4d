"""The right tool with a wrong argument: each argument of each call, each word of each command, one at a time."""

import re
from collections.abc import Iterator
from typing import Any

from msgspec.structs import replace

from eval import programs
from eval.attacks.making import Attack, Spot, instead, running, spots
from eval.scenario import Scenario

# What a call may say as it likes: it changes nothing of what is done.
FREE = frozenset({"description", "timeout", "run_in_background"})
FREE_FLAGS = frozenset({"-m", "--message", "--reason", "-d", "--description", "--notes", "--body", "--subject"})
OTHER = "zzz"
# A word of a command line with its quotes; what follows `<<` is the text of a heredoc.
TOKEN = re.compile(r"""(?:"(?:\\.|[^"\\])*"|'[^']*'|\\.|[^\s"'\\;|&<>()])+""", re.DOTALL)


def wrong_arguments(scenario: Scenario) -> Iterator[Attack]:
    """The gold run with one argument or word replaced, for each that the call's meaning hangs on."""
    for spot in spots(scenario):
        if spot.script is None:
            yield from _other_arguments(scenario, spot)
        else:
            yield from _other_words(scenario, spot, spot.script)


def _other_arguments(scenario: Scenario, spot: Spot) -> Iterator[Attack]:
    for key, value in spot.call.arguments.items():
        if key not in FREE:
            call = replace(spot.call, arguments={**spot.call.arguments, key: _other(value)})
            yield Attack(f"{spot.name}: another {key}", instead(scenario, spot, call))


def _other_words(scenario: Scenario, spot: Spot, script: str) -> Iterator[Attack]:
    for number, word in enumerate(_decisive(script), start=1):
        other = f"{script[: word.start()]}{OTHER}{script[word.end() :]}"
        yield Attack(f"{spot.name}: another word {number}", running(scenario, spot, other))


def _decisive(script: str) -> Iterator[re.Match[str]]:
    """The words that name what is done and to what: no flags, no free text behind a flag, no words of a filter."""
    before = ""
    looking = True
    for word in TOKEN.finditer(script.split("<<")[0]):
        begins = re.search(r"(?:[;|&(\n]|^)\s*$", script[: word.start()]) is not None
        if begins:
            looking = programs.only_looks((word.group(),))
        free = before in FREE_FLAGS or (before.startswith("-") and re.search(r"\s", word.group()))
        if not (begins or looking or free or word.group().startswith("-") or "=" in word.group()):
            yield word
        before = word.group()


def _other(value: Any) -> Any:
    match value:
        case bool():
            return not value
        case int() | float():
            return value + 7919
        case str():
            return OTHER
        case _:
            return [OTHER]
