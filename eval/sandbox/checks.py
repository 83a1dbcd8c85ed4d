"""What a hidden test of a code answer asks, and the judgement on what came back: in our own process, on plain JSON.

The answer's process never learns an expected value, and nothing of it is compared but JSON values: an object
that claims to equal everything has no chance to say so.
"""

import builtins
import json
import math
from typing import Annotated, Any, Literal, NoReturn

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

# Of a value in a sentence; more does not help to find the mistake.
SHOWN = 80


class HiddenTest(Struct, frozen=True, forbid_unknown_fields=True):
    """One call of an answer: an expression over its names, and the JSON value or the exception that is right.

    `shows` numbers the requirements of the task, from 1, of which this test is evidence.
    """

    call: Annotated[str, Meta(min_length=1)]
    expect: Any = UNSET
    raises: str | None = None
    shows: tuple[Annotated[int, Meta(ge=1)], ...] = ()

    def __post_init__(self) -> None:
        if (self.expect is UNSET) == (self.raises is None):
            raise ValueError(f"the hidden test {self.call!r} needs either expect or raises")


class TestResult(Struct, frozen=True):
    """Whether a hidden test passed, and a sentence that says what happened."""

    __test__ = False  # no test of pytest

    passed: bool
    says: str


class Reply(Struct, frozen=True, forbid_unknown_fields=True):
    """What the child says of one call: a value, an exception, or why there is neither."""

    kind: Literal["value", "raised", "unloadable", "unusable"]
    value: Raw | UnsetType = UNSET
    # The exception's class, and the nearest of its bases that Python defines: one of each, whatever the class says.
    name: str = ""
    builtin: str = ""
    says: str = ""


ENDS = {
    b"t": "did not end in time",
    b"l": "gave more than can be read",
    b"f": "wrote more files than it may",
    b"d": "ended its process instead of giving a value",
    b"": "was not reached in time",
}


def judge(test: HiddenTest, message: bytes) -> TestResult:
    """The result of `test` by how its child ended (one byte) and what it wrote. Whatever is malformed has failed."""
    ended, payload = message[:1], message[1:]
    if ended in ENDS:
        return TestResult(False, f"{test.call} {ENDS[ended]}.")
    try:
        reply = msgspec.json.decode(payload, type=Reply)
        if reply.kind == "value" and reply.value is not UNSET:
            return _judge_value(test, json.loads(bytes(reply.value), parse_constant=_refuse))
    except (ValueError, RecursionError, msgspec.MsgspecError):
        return TestResult(False, f"{test.call} gave nothing that is JSON.")
    if reply.kind == "raised":
        return _judge_exception(test, reply)
    if reply.kind == "unloadable":
        return TestResult(False, f"the code cannot be loaded: {_short(reply.says)}.")
    return TestResult(False, f"{test.call} gave {_short(reply.says)}, which is no JSON value.")


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def _judge_value(test: HiddenTest, value: Any) -> TestResult:
    if test.raises is not None:
        return TestResult(False, f"{test.call} gave {_short(json.dumps(value))} and should raise {test.raises}.")
    if same(test.expect, value):
        return TestResult(True, f"{test.call} is right.")
    wanted = _short(json.dumps(test.expect))
    return TestResult(False, f"{test.call} gave {_short(json.dumps(value))} and should give {wanted}.")


def _judge_exception(test: HiddenTest, reply: Reply) -> TestResult:
    name = _short(reply.name)
    if test.raises is None:
        return TestResult(False, f"{test.call} raised {name}: {_short(reply.says)}.")
    if _is_a(reply, test.raises):
        return TestResult(True, f"{test.call} raises {test.raises}, as it should.")
    return TestResult(False, f"{test.call} raised {name} and should raise {test.raises}.")


def _is_a(reply: Reply, wanted: str) -> bool:
    """An exception of Python's by class; any other by its name."""
    known, got = getattr(builtins, wanted, None), getattr(builtins, reply.builtin, None)
    if isinstance(known, type):
        return isinstance(got, type) and issubclass(got, known)
    return reply.name == wanted


def same(expected: Any, got: Any) -> bool:
    """Whether two JSON values are equal: numbers by value (floats to 9 digits), true and 1 are different."""
    match expected:
        case bool() | None:
            return expected is got
        case int() | float():
            return type(got) in (int, float) and _close(expected, got)
        case str():
            return type(got) is str and expected == got
        case list():
            return type(got) is list and len(expected) == len(got) and all(map(same, expected, got))
        case dict():
            return type(got) is dict and expected.keys() == got.keys() and all(same(expected[k], got[k]) for k in got)
        case _:
            raise TypeError(f"{type(expected).__name__} is no JSON value")


def _close(expected: float, got: float) -> bool:
    if type(expected) is int and type(got) is int:
        return expected == got
    try:
        return math.isclose(expected, got, rel_tol=1e-9, abs_tol=1e-12)
    except OverflowError:
        return False


def _short(text: str) -> str:
    """On one line, without what a terminal would obey."""
    flat = "".join(sign if sign.isprintable() else "\ufffd" for sign in " ".join(text.split()))
    return flat if len(flat) <= SHOWN else flat[: SHOWN - 1] + "…"
