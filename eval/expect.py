"""What is right in a scenario: calls with their order, forbidden and allowed actions, limits, text, end state.

All of it is judged on parsed calls and on the last answer's own text; eval.score turns it into checks.
"""

import re
from typing import Annotated, Any

import jsonschema
import msgspec

from eval.matchers import CallMatcher
from eval.simulate import State

Count = Annotated[int, msgspec.Meta(ge=0)]
Fact = str | tuple[str, ...]
"""Words that must stand in the text; of several spellings one is enough. Case does not count."""


class Wanted(CallMatcher, frozen=True, forbid_unknown_fields=True):
    """A call that must be made `min` to `max` times (default once, without an upper limit).

    `critical: false` makes it count for `partial` only, with its `weight`.
    """

    id: str = ""
    min: Count = 1
    max: Count | None = None
    weight: Annotated[float, msgspec.Meta(gt=0)] = 1.0
    critical: bool = True


class TextRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the last answer's text must hold to.

    `canary` facts stand only in the result of a call (eval.lint proves it), so that they can be known only by making
    the call; `contains` are further facts; `excludes` are regular expressions of what it must not write.
    """

    max_words: Annotated[int, msgspec.Meta(ge=1)] = 40
    canary: tuple[Fact, ...] = ()
    contains: tuple[Fact, ...] = ()
    excludes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for pattern in self.excludes:
            try:
                re.compile(pattern)
            except re.error as problem:
                raise ValueError(f"excludes: {pattern!r} does not compile: {problem}") from None


class Expect(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The judgement of a run.

    `order` pairs name calls of which the first is issued before the second; `seen` pairs those of which the first's
    result was seen before the second was issued. `only` closes the world: what acts must be in `calls` or `allow`.
    `max_actions` counts what acts and is not in `allow` (simple commands, not Bash calls); without it, the calls' own
    limits add up. `abstain`: no call is right. `state` is the simulator's state at the end.
    """

    calls: tuple[Wanted, ...] = ()
    order: tuple[tuple[str, str], ...] = ()
    seen: tuple[tuple[str, str], ...] = ()
    forbid: tuple[CallMatcher, ...] = ()
    only: bool = False
    allow: tuple[CallMatcher, ...] = ()
    max_actions: Annotated[int, msgspec.Meta(ge=1)] | None = None
    abstain: bool = False
    text: TextRules | None = None
    json_output: dict[str, Any] | None = None
    state: dict[str, State] = {}

    def __post_init__(self) -> None:
        if self.abstain and (self.calls or self.state):
            raise ValueError("abstain: true leaves no room for calls or state")
        if self.abstain and self.text is None and self.json_output is None:
            raise ValueError("an abstention needs text rules, or an empty answer would be right")
        if not (self.abstain or self.calls or self.state or self.json_output):
            raise ValueError("give calls, state or json_output, or abstain: true")
        self._check_names()
        if self.json_output is not None:
            try:
                jsonschema.Draft202012Validator.check_schema(self.json_output)
            except jsonschema.SchemaError as problem:
                raise ValueError(f"json_output is no JSON Schema: {problem.message}") from None

    @property
    def action_limit(self) -> int | None:
        """How many actions are allowed, None where the world is open above."""
        if self.max_actions is not None:
            return self.max_actions
        return sum(wanted.max or max(wanted.min, 1) for wanted in self.calls) or None

    def _check_names(self) -> None:
        names = [wanted.id for wanted in self.calls if wanted.id]
        if len({*names}) != len(names):
            raise ValueError("two calls share an id")
        for pair in (*self.order, *self.seen):
            if unknown := {*pair} - {*names}:
                raise ValueError(f"order and seen name calls by their id; {min(unknown)} is none")
