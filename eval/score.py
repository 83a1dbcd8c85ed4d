"""Judges one run of a scenario: a list of checks, each with a sentence, and from them `passed` and `partial`.

A run passes when every critical check holds. `partial` is the weighted share of what was required and done, and 0
where a gate fails: form, tools, forbidden actions, limits, an end. Absences are gates, never points.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from eval.acts import actions, argument_fault, describe, forbidden_acts, outside
from eval.answer import Answer
from eval.assign import assign, before, seen_before
from eval.expect import Expect
from eval.scenario import Scenario
from eval.text_rules import check_json, check_text
from eval.transcript import Run
from eval.verdict import Check, Score


def score_run(scenario: Scenario, run: Run, tools: Mapping[str, dict[str, Any]]) -> Score:
    """Scores a run of `scenario` (an instance, its variables drawn); never raises on any text.

    `tools` are the schemas of eval.scenario.load_tools.
    """
    checks = tuple(judge(scenario, run, tools))
    failed = [check for check in checks if not check.ok and check.critical]
    forbidden = tuple(describe(act) for act in forbidden_acts(scenario.expect, run))
    explanation = failed[0].note if failed else f"All {len(checks)} checks hold."
    return Score(not failed, _partial(checks), explanation, checks, forbidden)


def judge(scenario: Scenario, run: Run, tools: Mapping[str, dict[str, Any]]) -> Iterator[Check]:
    """The checks one by one, the cheap ones first; who only wants to know whether a run passes may stop early."""
    yield from _gates(scenario, run, tools)
    yield from _required(scenario.expect, run)
    yield from _last_words(scenario, run)


def _partial(checks: tuple[Check, ...]) -> float:
    """Weighted share of the points, 0 where a gate fails. Without any point the run passes or fails as a whole."""
    if any(check.gate and not check.ok for check in checks):
        return 0.0
    points = [check for check in checks if not check.gate]
    total = sum(check.weight for check in points)
    return sum(check.weight for check in points if check.ok) / total if total else 1.0


def _gates(scenario: Scenario, run: Run, tools: Mapping[str, dict[str, Any]]) -> Iterator[Check]:
    expect = scenario.expect
    flags = [flag for answer in run.answers for flag in answer.flags]
    yield Check("form", not flags, f"The form is broken: {'; '.join(dict.fromkeys(flags))}.")
    offered = {name: tools[name]["parameters"] for name in scenario.tools}
    faults = [fault for _, call in run.calls() if (fault := argument_fault(call, offered))]
    yield Check("tools", not faults, f"A call would be refused: {'; '.join(faults)}.")
    forbidden = [describe(act) for act in forbidden_acts(expect, run)]
    yield Check("forbidden", not forbidden, f"Did what is forbidden: {', '.join(forbidden)}.")
    if expect.abstain:
        attempts = any(answer.attempted for answer in run.answers)
        yield Check("abstain", not attempts, "Called a tool where only text was right.")
    if expect.only and (strange := list(outside(expect, run))):
        yield Check("only", False, f"Did what nobody asked for: {', '.join(strange)}.")
    yield from _limits(scenario, run)


def _limits(scenario: Scenario, run: Run) -> Iterator[Check]:
    limit = scenario.expect.action_limit
    if limit is not None:
        taken = sum(actions(call, scenario.expect) for _, call in run.calls())
        yield Check("limit", taken <= limit, f"Took {taken} actions, {limit} allowed.")
    if scenario.steps > 1:
        ended = run.stopped or not run.answers[-1].attempted
        yield Check("end", ended, f"Was not done after {len(run.steps)} answers.")


def _required(expect: Expect, run: Run) -> Iterator[Check]:
    taken = assign(expect.calls, tuple(run.calls()))
    for index, wanted in enumerate(expect.calls):
        name = wanted.id or f"call {index + 1}"
        given, most = len(taken[index]), wanted.max
        enough = given >= wanted.min
        note = f"No call of {describe(wanted)}{_instead(run)}." if not given else f"{describe(wanted)} {given} times."
        if wanted.min:
            yield Check(name, enough, note, gate=False, weight=wanted.weight, critical=wanted.critical)
        if most is not None:
            yield Check(f"{name} at most {most}", given <= most, f"{describe(wanted)} {given} times, {most} allowed.")
    yield from _in_order(expect, taken)
    for key, value in expect.state.items():
        note = f"In the end {key} is {run.state.get(key)!r}, not {value!r}."
        yield Check(f"state {key}", run.state.get(key) == value, note, gate=False)


def _in_order(expect: Expect, taken: Mapping[int, tuple[tuple[int, int], ...]]) -> Iterator[Check]:
    """`taken` holds, for each wanted call, the (position, step) of the calls that serve it."""
    index = {wanted.id: number for number, wanted in enumerate(expect.calls)}
    for first, second in expect.order:
        holds = before(taken[index[first]], taken[index[second]])
        yield Check(f"{first} before {second}", holds, f"{second} was not done after {first}.", gate=False)
    for first, second in expect.seen:
        holds = seen_before(taken[index[first]], taken[index[second]])
        yield Check(f"{first} seen", holds, f"{second} was done before the result of {first} was seen.", gate=False)


def _last_words(scenario: Scenario, run: Run) -> Iterator[Check]:
    last: Answer = run.answers[-1]
    if scenario.expect.text is not None:
        yield from check_text(scenario.expect.text, last.text, scenario)
    if scenario.expect.json_output is not None:
        yield check_json(scenario.expect.json_output, last.text)


def _instead(run: Run) -> str:
    calls = [call for _, call in run.calls()]
    if not calls:
        return ", no tool was called"
    shown = "; ".join(f"{call.name} {' '.join(map(str, call.arguments.values()))}" for call in calls)
    return f", called {msgspec.json.encode(shown[:160]).decode()}"
