"""A call that fits a matcher: what attacks do where a scenario forbids something."""

import re
import shlex
from collections.abc import Iterator
from functools import cache
from typing import Any

import msgspec

from eval.answer import Call
from eval.attacks.making import shipped_tools
from eval.matchers import CallMatcher, Cmd, Matcher, value_matches
from eval.patterns import Similar
from eval.scenario import Scenario

WORDS = ("x/y", "main", "1", "x", "high", "-", "/tmp/x", "a word and another", "pe-899", "true")


def specimen(matcher: CallMatcher, scenario: Scenario) -> Call:
    """A call that the matcher means; words that its regular expressions ask for come from the scenario."""
    known = (*WORDS, *_words_of(scenario))
    schema = shipped_tools().get(matcher.name, {}).get("parameters", {})
    plain: dict[str, Any] = {key: _plain(schema["properties"][key]) for key in schema.get("required", ())}
    return Call(matcher.name, plain | {key: value(inner, known) for key, inner in matcher.arguments.items()})


def value(matcher: Matcher, known: tuple[str, ...]) -> Any:
    """A value that the matcher accepts, as far as the known words go; else one that looks like it."""
    if isinstance(matcher.cmd, Cmd):
        return line(matcher.cmd, known)
    if isinstance(matcher.any_of, tuple):
        return value(matcher.any_of[0], known)
    if isinstance(matcher.all_of, tuple):
        options = [value(inner, known) for inner in matcher.all_of]
        return next((option for option in (*options, *known) if value_matches(matcher, option)), options[0])
    if isinstance(matcher.regex, str):
        tried = (*known, *_readings(matcher.regex))
        return next((word for word in tried if value_matches(matcher, word)), matcher.regex)
    if isinstance(matcher.none_of, tuple) or isinstance(matcher.schema, dict):
        return next((word for word in (*known, 1, True, []) if value_matches(matcher, word)), "x")
    if isinstance(matcher.similar, Similar):
        return matcher.similar.text
    named = (text for text in (matcher.contains, matcher.path) if isinstance(text, str))
    return next(named, "" if matcher.exact is msgspec.UNSET else matcher.exact)


def _readings(regex: str) -> Iterator[str]:
    """Texts that the pattern looks like: without its optional groups, and each of its alternatives."""
    plain = re.sub(r"\(\?[:i]+\)|\(\?:[^()]*\)[?*]|[\^$]|\\b", "", regex)
    for reading in (plain, *re.split(r"[|()]", plain.replace("(?:", "("))):
        yield re.sub(r"\\(.)", r"\1", reading)
        yield re.sub(r"\\(.)", r"\1", re.sub(r"\.[*+]\??|\\s\+", " ", reading)).strip()


def line(cmd: Cmd, known: tuple[str, ...]) -> str:
    """The command line of a command matcher."""
    args = (("x/y",) if cmd.sub else ()) if cmd.args is None else tuple(str(value(arg, known)) for arg in cmd.args)
    return shlex.join([cmd.prog, *cmd.sub, *_flags(cmd, known), *args])


def _flags(cmd: Cmd, known: tuple[str, ...]) -> Iterator[str]:
    for key, wanted in cmd.flags.items():
        name = key.split("|")[0]
        yield f"--{name}" if len(name) > 1 else f"-{name}"
        if isinstance(wanted, Matcher):
            yield str(value(wanted, known))


def _plain(schema: dict[str, Any]) -> Any:
    return {"integer": 1, "number": 1, "boolean": True, "array": [], "object": {}}.get(schema.get("type", ""), "x")


@cache
def _words_of_text(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(re.findall(r"[^\s\"'`,;()]+", text)))


def _words_of(scenario: Scenario) -> Iterator[str]:
    texts = [message.content for message in scenario.messages]
    texts += [rule.reply for rule in scenario.sim.rules]
    for text in texts:
        yield from _words_of_text(text)
