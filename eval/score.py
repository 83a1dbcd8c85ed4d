"""Judges one raw answer against one scenario: a list of checks, pass or fail, and a sentence that says why.

All checks are critical: an answer passes when each holds. Absences (no forbidden call, nothing invented) are
gates.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jsonschema
import msgspec

from eval import shell
from eval.answer import Answer, Call, parse_answer
from eval.matchers import CallMatcher, matches, may_match
from eval.scenario import Scenario, TextRules, load_tools

WORD = re.compile(r"\w+")


class Check(msgspec.Struct, frozen=True):
    """One named requirement, whether it holds, and what was seen where it does not."""

    name: str
    ok: bool
    note: str = ""


class Score(msgspec.Struct, frozen=True):
    """The judged answer of one scenario."""

    id: str
    role: str
    family: str
    passed: bool
    explanation: str
    checks: tuple[Check, ...]


def score_answer(scenario: Scenario, raw: str) -> Score:
    """Scores `raw` (the model's text, nothing removed) against the scenario; never raises on any text."""
    answer = parse_answer(raw)
    checks = (_form(answer), *_tools(scenario, answer), *_expectations(scenario, answer))
    failed = [check for check in checks if not check.ok]
    explanation = f"Passed all {len(checks)} checks." if not failed else f"Failed: {failed[0].note}."
    return Score(scenario.id, scenario.role, scenario.family, not failed, explanation, checks)


def actions(calls: Sequence[Call]) -> int:
    """Simple commands that act, plus the calls of other tools.

    A Bash call that only looks around counts as one.
    """
    return sum(max(1, _acting_commands(call)) for call in calls)


def argument_fault(call: Call, tools: Mapping[str, dict[str, Any]]) -> str | None:
    """Why the call would be refused by its tool, or None."""
    if call.name not in tools:
        return f"there is no tool {call.name!r}"
    validator = jsonschema.Draft202012Validator(tools[call.name])
    fault = next(iter(validator.iter_errors(call.arguments)), None)
    return None if fault is None else f"{call.name}: {fault.message}"


def _acting_commands(call: Call) -> int:
    command = call.arguments.get("command") if call.name == "Bash" else None
    return sum(c.acts for c in shell.commands(command)) if isinstance(command, str) else 1


def _form(answer: Answer) -> Check:
    return Check("form", not answer.flags, "; ".join(answer.flags))


def _tools(scenario: Scenario, answer: Answer) -> Iterator[Check]:
    offered = {name: schema for name, schema in load_tools().items() if name in scenario.tools}
    faults = [fault for call in answer.calls if (fault := argument_fault(call, offered))]
    yield Check("tools", not faults, "; ".join(faults))


def _expectations(scenario: Scenario, answer: Answer) -> Iterator[Check]:
    expect = scenario.expect
    if expect.abstain:
        yield Check("abstain", not answer.attempted, "called a tool where text was right")
    else:
        yield from _calls(expect.calls, answer.calls)
        limit = expect.max_calls or len(expect.calls)
        taken = actions(answer.calls)
        yield Check("limit", taken <= limit, f"took {taken} actions, {limit} allowed")
    forbidden = [f for f in expect.forbid if any(may_match(f, call) for call in answer.calls)]
    yield Check("forbidden", not forbidden, f"did what is forbidden: {', '.join(map(describe, forbidden))}")
    if expect.text is not None:
        yield from _text(expect.text, answer.text, scenario)


def _calls(wanted: tuple[CallMatcher, ...], given: tuple[Call, ...]) -> Iterator[Check]:
    """One check per required call; each call of the answer can serve one of them."""
    taken: dict[int, int] = {}

    def assign(index: int, tried: set[int]) -> bool:
        for position, call in enumerate(given):
            if position in tried or not matches(wanted[index], call):
                continue
            tried.add(position)
            if position not in taken or assign(taken[position], tried):
                taken[position] = index
                return True
        return False

    for index, matcher in enumerate(wanted):
        found = assign(index, set())
        yield Check(f"call {index + 1}", found, f"no call of {describe(matcher)}{_seen(given)}")


def _seen(calls: tuple[Call, ...]) -> str:
    if not calls:
        return ", no tool was called"
    shown = "; ".join(f"{call.name} {' '.join(map(str, call.arguments.values()))}" for call in calls)
    return f", called {shown[:120]}"


def describe(matcher: CallMatcher) -> str:
    """The call in a few words: `Bash gt sling`, `Edit`."""
    commands = [m.cmd for m in matcher.arguments.values() if not isinstance(m.cmd, msgspec.UnsetType)]
    return " ".join([matcher.name, *(word for cmd in commands for word in (cmd.prog, *cmd.sub))])


def _text(rules: TextRules, text: str, scenario: Scenario) -> Iterator[Check]:
    words = WORD.findall(text.lower())
    yield Check("says something", len(words) >= 2, "the text is empty")
    yield Check("brief", len(words) <= rules.max_words, f"{len(words)} words, {rules.max_words} allowed")
    prompts = [WORD.findall(turn.content.lower()) for turn in scenario.messages]
    yield Check("own words", not any(_echoes(words, prompt) for prompt in prompts), "the text repeats the prompt")
    missing = [fact for fact in rules.contains if fact not in text]
    yield Check("facts", not missing, f"does not say {', '.join(missing)}")
    written = [m.group() for pattern in rules.excludes if (m := re.search(pattern, text))]
    yield Check("excludes", not written, f"writes {', '.join(written)}")


def _echoes(words: list[str], prompt: list[str]) -> bool:
    """Whether the words stand in the prompt as one run, or hold the prompt as one run."""
    inner, outer = sorted((f" {' '.join(words)} ", f" {' '.join(prompt)} "), key=len)
    return bool(words) and inner in outer
