"""The judgement of a run as values: checks with their sentences, and what follows from them."""

import msgspec


class Check(msgspec.Struct, frozen=True):
    """One named requirement, whether it holds, and the sentence that says why not.

    A gate gives no points: where it fails, `partial` is 0. A check that is not critical cannot fail the run.
    """

    name: str
    ok: bool
    note: str = ""
    gate: bool = True
    weight: float = 1.0
    critical: bool = True


class Score(msgspec.Struct, frozen=True):
    """`passed`: all critical checks hold; `partial` in 0..1; `explanation` is one sentence.

    `forbidden` names the forbidden actions that were done.
    """

    passed: bool
    partial: float
    explanation: str
    checks: tuple[Check, ...]
    forbidden: tuple[str, ...] = ()
