"""Asks the stronger model for examples of a family's kind, and reads its answers strictly.

The request holds the role's system prompt, the family's name and training rows of that kind; never a scenario.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from typing import Any

import msgspec

from scripts.loop.kinds import Pair

FENCE = re.compile(r"\A\s*```(?:json)?\s*\n(.*)\n\s*```\s*\Z", re.DOTALL)
REQUESTS = 2  # times as many as would do if every example were kept


class Fault(StrEnum):
    """Why an answer of the stronger model, or a part of it, is no example."""

    NOT_JSON = "answer is no JSON list"
    NOT_AN_OBJECT = "no object"
    NO_INPUT = "no input"
    NO_OUTPUT = "no output and no call"
    BAD_CALL = "call without name and arguments"
    UNKNOWN_TOOL = "call of a tool that the role does not have"


class Call(msgspec.Struct, frozen=True):
    """A call of a tool, arguments as an object."""

    name: str
    arguments: dict[str, Any]


class Example(msgspec.Struct, frozen=True):
    """A new question with its answer. `own` says that an adapter of this project wrote it."""

    input: str
    output: str
    family: str
    generated_by: str
    calls: tuple[Call, ...] = ()
    own: bool = False


ASK = """You write training examples for a smaller model. Its system prompt is between the lines.
-----
{system}
-----
Write {count} new examples of one kind of work: {family}.{shown}
Each example is one question, as it would really be asked there, and the best answer that this model could give. They
differ in subject, wording and length. Names and values are invented: no real people, no secrets. None repeats what is
shown above.
Answer with a JSON list and nothing else: [{form}, ...]"""
PLAIN = '{"input": "the question", "output": "the answer"}'
CALLING = (
    '{"input": "the question", "output": "what is said, may be empty", "calls": [{"name": "TOOL", "arguments": {...}}]}'
)


def request(system: str, family: str, rows: Sequence[Pair], tools: frozenset[str], count: int) -> list[dict[str, str]]:
    """The messages that ask for examples of a kind."""
    shown = "".join(f"\n\nQuestion: {pair.question}\nAnswer: {pair.answer}" for pair in rows)
    shown = f" These are examples of that kind:{shown}\n" if rows else ""
    form = CALLING.replace("TOOL", " or ".join(sorted(tools))) if tools else PLAIN
    told = ASK.format(system=system, count=count, family=family.replace("-", " "), shown=shown, form=form)
    return [{"role": "user", "content": told}]


def collect(
    ask: Callable[[int], str], wanted: int, at_once: int, read: Callable[[str], Iterator[Example | Fault]]
) -> tuple[list[Example], Counter[Fault]]:
    """Asks until there are enough examples, or the model gave too few too often. `ask` may raise `Down`."""
    found: dict[str, Example] = {}
    faults: Counter[Fault] = Counter()
    for _ in range(REQUESTS * -(-wanted // at_once)):
        for item in read(ask(min(at_once, wanted - len(found)))):
            if isinstance(item, Fault):
                faults[item] += 1
            else:
                found.setdefault(item.input, item)
        if len(found) >= wanted:
            break
    return list(found.values())[:wanted], faults


def parse(text: str, family: str, by: str, tools: frozenset[str], own: bool = False) -> Iterator[Example | Fault]:
    """The examples in an answer, and a fault for each part that is none."""
    match = FENCE.match(text)
    try:
        value = json.loads(match[1] if match else text)
    except (ValueError, RecursionError):
        yield Fault.NOT_JSON
        return
    if not isinstance(value, list):
        yield Fault.NOT_JSON
        return
    for one in value:
        yield _example(one, family, by, tools, own)


def _example(one: Any, family: str, by: str, tools: frozenset[str], own: bool) -> Example | Fault:
    if not isinstance(one, dict):
        return Fault.NOT_AN_OBJECT
    asked, told = one.get("input"), one.get("output") or ""
    if not isinstance(asked, str) or not asked.strip():
        return Fault.NO_INPUT
    try:
        calls = msgspec.convert(one.get("calls") or (), tuple[Call, ...])
    except msgspec.ValidationError:
        return Fault.BAD_CALL
    if not isinstance(told, str) or not (told.strip() or calls):
        return Fault.NO_OUTPUT
    if any(call.name not in tools for call in calls):
        return Fault.UNKNOWN_TOOL
    return Example(asked.strip(), told.strip(), family, by, calls, own)
