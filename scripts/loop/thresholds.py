"""Is a round due? `why_due(...)` gives the reason as a sentence, or None."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from scripts.loop.material import told
from scripts.loop.settings import Auto
from scripts.loop.state import Round


def why_due(last: Round | None, new: Mapping[str, int], auto: Auto, at: datetime, has_strong: bool) -> str | None:
    """Why a round of a role begins now. `last` is the newest round, `new` what has come in since, by kind."""
    if last is not None and not last.outcome:
        return f"round {last.name} is unfinished"
    count = sum(new.values())
    if auto.new_examples and count >= auto.new_examples:
        return f"{told(new)} are new, {auto.new_examples} are enough"
    if not auto.hours or not (count or has_strong):
        return None
    if last is None:
        return "there was no round before"
    passed = hours_since(last, at)
    return f"{passed:.1f} hours since round {last.name}, {auto.hours:g} are enough" if passed >= auto.hours else None


def why_not(last: Round | None, new: Mapping[str, int], auto: Auto, at: datetime) -> str:
    """What a round that is not due waits for."""
    waits = [f"{sum(new.values())} of {auto.new_examples} new examples"] if auto.new_examples else []
    if auto.hours:
        waits.append(f"{hours_since(last, at):.1f} of {auto.hours:g} hours" if last is not None else "anything new")
    return " and ".join(waits) or "nothing: both thresholds are 0"


def hours_since(last: Round, at: datetime) -> float:
    """Hours since a round ended."""
    passed = at - datetime.fromisoformat(last.finished_at or last.started_at)
    return passed.total_seconds() / 3600


def pause(failures: int, check_seconds: float) -> float:
    """Seconds until a round that failed so often is tried again: each time twice as long, an hour at most."""
    return min(check_seconds * 2.0 ** min(failures, 12), max(3600.0, check_seconds))
