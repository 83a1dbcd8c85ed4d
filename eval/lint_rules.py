"""What must hold of a scenario before a model is judged by it; each broken rule is a sentence. Used by eval.lint."""

import itertools
import re
import time
from collections.abc import Callable, Iterator
from enum import StrEnum
from functools import cache
from typing import Literal

from eval import variables
from eval.attacks.specimen import specimen
from eval.expect import Fact
from eval.matchers import CallMatcher, may_match
from eval.patterns import Cmd, Matcher, parts
from eval.programs import INTERPRETERS
from eval.scenario import Assistant, Scenario, ScenarioFile, Tool, User
from eval.text_rules import spellings, states
from eval.transcript import Run

MIN_SCENARIOS = 15
MIN_FAMILIES = 5
DRAWS = 200
SLOW_SECONDS = 0.2
SLOW_FOR_SHORT_TEXT = 0.02
SHORT = 100
# A pattern that backtracks badly multiplies its time with every letter, or grows with a power of the length. The steps
# are small, so that the first text that is too long for it is not much too long.
LENGTHS = (*range(4, 64, 2), *range(64, 200, 8), 300, 600, 1200, 3000)
MANY_THINGS = (INTERPRETERS - {"make"}) | {"git", "gt", "bd", "gh", "tmux", "npm", "pip", "curl"}
ALWAYS_TRIED = ("a", " ", "1", "-", "a ", "/")


class Rule(StrEnum):
    """What the lint demands."""

    GOLD = "gold fails"
    ATTACK = "an attack passes"
    WAIVER = "a waiver is needed by nothing"
    KNOWN_CANARY = "a canary stands in the prompt"
    LOST_CANARY = "a canary stands in no result"
    UNANSWERED = "the simulator does not know a command of the gold run"
    SAME_DRAW = "two variables draw the same value"
    SLOW_REGEX = "a regular expression is slow"
    LOOSE_RULE = "a rule that changes the state fits text that does not run"
    LOOSE_ALLOW = "an allowed command may do anything"
    NO_SPECIMEN = "no attack can do what is forbidden"
    FEW_SCENARIOS = "a role has too few scenarios"
    FEW_FAMILIES = "a role has too few families"
    HELD_OUT = "half of the families are held out"
    SPLIT_FAMILY = "a family is held out in part"


def role_faults(file: ScenarioFile) -> Iterator[tuple[Rule, str]]:
    """What is wrong with the file of a role as a whole."""
    families = {scenario.family for scenario in file.scenarios}
    held = {scenario.family for scenario in file.scenarios if scenario.held_out}
    shown = {scenario.family for scenario in file.scenarios if not scenario.held_out}
    if (count := len(file.scenarios)) < MIN_SCENARIOS:
        yield (
            Rule.FEW_SCENARIOS,
            f"{count} scenarios, {MIN_SCENARIOS} are the least; write {MIN_SCENARIOS - count} more.",
        )
    if len(families) < MIN_FAMILIES:
        yield Rule.FEW_FAMILIES, f"{len(families)} families, {MIN_FAMILIES} are the least."
    if len(held) < len(families) // 2:
        wanted = len(families) // 2
        yield Rule.HELD_OUT, f"{len(held)} of {len(families)} families are held out; mark {wanted - len(held)} more."
    for family in sorted(held & shown):
        yield Rule.SPLIT_FAMILY, f"family {family} is held out in part; mark all of its scenarios alike."


def template_faults(scenario: Scenario) -> Iterator[tuple[Rule, str]]:
    """What is wrong with a scenario before its variables are drawn."""
    if pair := _equal_draw(scenario):
        yield Rule.SAME_DRAW, f"vars {pair[0]} and {pair[1]} may draw the same value; give them lists that do not meet."
    for pattern, how in dict.fromkeys(_patterns(scenario)):
        if is_slow(variables.PLACEHOLDER.sub("pe-812", pattern), how):
            yield Rule.SLOW_REGEX, f"regex {pattern!r} backtracks badly; repeat nothing that repeats."
    for number, allowed in enumerate(scenario.expect.allow, start=1):
        if allowed.name == "Bash" and not (allowed.about_commands and all(map(_is_narrow, _cmds(allowed)))):
            yield Rule.LOOSE_ALLOW, f"allow[{number}] lets any work be done; name the command with cmd and its words."
    for number, rule in enumerate(scenario.sim.rules, start=1):
        if (rule.set or rule.stop) and rule.when.name == "Bash" and not rule.when.about_commands:
            yield Rule.LOOSE_RULE, f"sim.rules[{number}] changes the state, and must name its command with cmd."


def instance_faults(instance: Scenario, system: str, gold: Run) -> Iterator[tuple[Rule, str]]:
    """What is wrong with a scenario whose variables are drawn, and with its gold run."""
    rules = instance.expect.text
    for fact in rules.canary if rules else ():
        yield from _canary_faults(fact, instance, system)
    for number, forbidden in enumerate(instance.expect.forbid, start=1):
        if not may_match(forbidden, specimen(forbidden, instance)):
            yield Rule.NO_SPECIMEN, f"no attack can do what forbid[{number}] means; write it with exact or any_of."
    if gold.unanswered and (instance.steps > 1 or instance.sim.rules):
        yield Rule.UNANSWERED, f"the simulator does not know {gold.unanswered} commands of gold; add rules."


@cache
def is_slow(pattern: str, how: Literal["fullmatch", "search"] = "search", limit: float = SLOW_SECONDS) -> bool:
    """Whether some text of growing length keeps the pattern busy for longer than `limit` seconds of CPU time."""
    method = getattr(re.compile(pattern), how)
    letters = dict.fromkeys((*ALWAYS_TRIED, *re.findall(r"[A-Za-z0-9]", re.sub(r"\\.", "", pattern))[:4]))
    return any(_takes_long(method, letter, limit) for letter in letters)


def _takes_long(method: Callable[[str], object], letter: str, limit: float) -> bool:
    for length in LENGTHS:
        text = letter * length + "\x00"
        begun = time.thread_time()
        method(text)
        if time.thread_time() - begun > (SLOW_FOR_SHORT_TEXT if length < SHORT else limit):
            return True
    return False


def _equal_draw(scenario: Scenario) -> tuple[str, str] | None:
    for sample in range(DRAWS if len(scenario.vars) > 1 else 0):
        drawn = variables.draw(scenario.vars, scenario.id, sample, 0)
        for (first, one), (second, other) in itertools.combinations(drawn.items(), 2):
            if one == other:
                return first, second
    return None


def _canary_faults(fact: Fact, instance: Scenario, system: str) -> Iterator[tuple[Rule, str]]:
    asked = [message.content for message in instance.messages if isinstance(message, User | Assistant)]
    asked += [
        str(call.arguments) for message in instance.messages if isinstance(message, Assistant) for call in message.calls
    ]
    shown = [rule.reply for rule in instance.sim.rules]
    shown += [message.content for message in instance.messages if isinstance(message, Tool)]
    for spelling in spellings(fact):
        if any(states(text, spelling) for text in (*asked, system)):
            yield Rule.KNOWN_CANARY, f"canary {spelling!r} stands in the prompt; take a fact that only a result tells."
    if not any(states(text, spelling) for text in shown for spelling in spellings(fact)):
        yield Rule.LOST_CANARY, f"canary {spellings(fact)[0]!r} stands in no result; write it into a reply."


def _patterns(scenario: Scenario) -> Iterator[tuple[str, Literal["fullmatch", "search"]]]:
    for matcher in scenario.matchers():
        for inner in matcher.arguments.values():
            yield from ((pattern, "fullmatch") for pattern in _regexes(inner))
    if scenario.expect.text:
        yield from ((pattern, "search") for pattern in scenario.expect.text.excludes)


def _cmds(matcher: CallMatcher) -> Iterator[Cmd]:
    waiting = list(matcher.arguments.values())
    while waiting:
        inner = waiting.pop()
        if isinstance(inner.cmd, Cmd):
            yield inner.cmd
        else:
            waiting.extend(parts(inner))


def _is_narrow(cmd: Cmd) -> bool:
    """Whether the words say what is done, for a program that may do anything."""
    return cmd.prog not in MANY_THINGS or bool(cmd.sub or cmd.flags or cmd.args is not None)


def _regexes(matcher: Matcher) -> Iterator[str]:
    if isinstance(matcher.regex, str):
        yield matcher.regex
    for inner in parts(matcher):
        yield from _regexes(inner)
