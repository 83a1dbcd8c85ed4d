"""Makes a round: its steps in order, the state written after each, the page beside it.

A round that was killed or failed goes on at its first step that is not done; what still runs of it is ended first.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from enum import IntEnum

from configs.strict_yaml import ConfigError
from scripts.loop import material
from scripts.loop.commands import Place
from scripts.loop.errors import BadInput, Ended, Failed
from scripts.loop.page import write_page
from scripts.loop.plan import Plan
from scripts.loop.process import end_leftover
from scripts.loop.state import Round, Step, next_name, now, rounds, save
from scripts.loop.steps import STEPS
from scripts.loop.work import Work

LAST = list(STEPS)[-1]


class Code(IntEnum):
    """How a round ended, as the exit code."""

    PROMOTED = 0
    FAILED = 1
    NOT_PROMOTED = 3
    STOPPED = 130


def begin(plan: Plan, fresh: bool = False) -> Round:
    """The unfinished round of the role, or a new one. Raises `BadInput` where that one was begun with other words."""
    before = rounds(plan.root, plan.role)
    last = before[-1] if before else None
    if last is not None and not last.outcome:
        if fresh:
            close(plan, last, "It was given up for a new one.")
        elif last.asked != plan.asked.words():
            raise BadInput(
                f"round {last.name} of {plan.role} is unfinished and was begun with other options. Give the same ones, "
                "or begin a new round with --fresh."
            )
        else:
            return last
    done = [state for state in rounds(plan.root, plan.role) if state.outcome]
    state = Round(plan.role, next_name(plan.root, plan.role), now(), plan.asked.words(), seen=material.totals(plan))
    state.facts = {"before": done[-1].seen if done else material.before_first(plan)}
    save(Place(plan, state.name).folder, state)
    return state


def close(plan: Plan, state: Round, why: str) -> None:
    """Gives an unfinished round up."""
    folder = Place(plan, state.name).folder
    end_leftover(folder)
    state.outcome, state.reasons, state.finished_at = "given up", (why,), now()
    write_page(folder, state)
    save(folder, state)


def go(plan: Plan, state: Round, wanted: Callable[[], bool] = lambda: True) -> Code:
    """Makes the steps that are not done, as long as the round is wanted."""
    place = Place(plan, state.name)
    if end_leftover(place.folder):
        print(f"{state.name}: ended what a killed round had left running", file=sys.stderr)
    for name in STEPS:
        if state.done(name):
            continue
        if not wanted():
            return Code.STOPPED
        print(f"{state.role} {state.name}: {name}", flush=True)
        code = _step(Work(plan, place, state), name)
        write_page(place.folder, state)  # first: a round whose state is finished is not looked at again
        save(place.folder, state)
        for sentence in state.steps[-1].said:
            print(f"  {sentence}", flush=True)
        if code is not None:
            return code
    raise AssertionError("the last step ends the round")


def _step(work: Work, name: str) -> Code | None:
    """Makes one step and notes it; the code where the round ends with it."""
    started, at, state = time.monotonic(), now(), work.state
    done, code = True, None
    try:
        STEPS[name](work)
    except Ended as ended:
        state.outcome, state.reasons, code = ended.outcome, ended.reasons, Code.NOT_PROMOTED
    except (Failed, BadInput, OSError, ConfigError, _data_error()) as problem:
        work.say(f"It failed: {problem}")
        done, code = False, Code.FAILED
    seconds = round(time.monotonic() - started, 1)
    state.steps.append(Step(name, done, at, seconds, tuple(work.said), tuple(work.commands)))
    if done and code is None and name == LAST:
        code, state.outcome = Code.PROMOTED, "promoted"
        state.reasons = tuple(said for step in state.steps if step.name in ("judge", LAST) for said in step.said)
    if state.outcome and not state.finished_at:
        state.finished_at = now()
    return code


def _data_error() -> type[Exception]:
    from data.config import ConfigError as DataConfigError

    return DataConfigError
