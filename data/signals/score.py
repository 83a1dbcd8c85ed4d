"""The quality of a window: five parts, each in 0..1 and 0.5 where nothing is known, and their weighted sum.

Results and people are those of the window itself; tests, landed work and beads are facts of its session. The score
judges what came of the work, not the prose.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from data.config import QualityWeights
from data.record import Message, Quality
from data.signals.facts import Fact
from data.signals.people import approval, objection
from data.signals.results import Verdict, judge_result
from data.signals.steps import steps_of

PLACES = 3
UNKNOWN = 0.5

# A bad exit is often what was asked for: a red test, a search without a match.
_BADNESS = {Verdict.WRONG_CALL: 1.0, Verdict.BAD_EXIT: 0.5}
# The further the work went, the more people and machines had looked at it.
_LANDED = (
    (Fact.MERGE, 1.0),
    (Fact.PULL_REQUEST, 0.9),
    (Fact.MERGE_REQUEST, 0.9),
    (Fact.PUSH, 0.8),
    (Fact.COMMIT, 0.7),
)


def rate(messages: Sequence[Message], facts: Collection[str]) -> Quality:
    """The parts for a window with these messages, of a session with these facts."""
    fine = bad = nods = objections = 0.0
    for step in steps_of(messages):
        for result in step.results:
            verdict = judge_result(result)
            fine += verdict is Verdict.FINE
            bad += _BADNESS.get(verdict, 0.0)
        nods += approval(step)
        objections += objection(step) is not None
    return Quality(
        results=share(fine, bad),
        people=share(nods, objections),
        tests=_tests(facts),
        landed=next((value for fact, value in _LANDED if fact in facts), UNKNOWN),
        beads=UNKNOWN + (Fact.BEAD_LANDED in facts) / 2 - (Fact.BEAD_FAILED in facts) / 2,
    )


def score(parts: Quality, weights: QualityWeights) -> float:
    """The weighted sum of the parts, 0..1, rounded to three places."""
    total = (
        parts.results * weights.results
        + parts.people * weights.people
        + parts.tests * weights.tests
        + parts.landed * weights.landed
        + parts.beads * weights.beads
    )
    return round(min(max(total, 0.0), 1.0), PLACES)


def share(good: float, bad: float) -> float:
    """The share of the good, as if half of one more had been: few signs move it little, none leave it at 0.5."""
    return round((good + UNKNOWN) / (good + bad + 1), PLACES)


def _tests(facts: Collection[str]) -> float:
    if Fact.TESTS_FAILED in facts:
        return 0.0
    return 1.0 if Fact.TESTS_PASSED in facts or Fact.TESTS_REPAIRED in facts else UNKNOWN
