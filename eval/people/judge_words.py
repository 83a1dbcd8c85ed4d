"""What a tally says in words, for the terminal, the closing page and machines."""

from collections.abc import Iterator
from typing import Any

from eval.people.tally import Cost, Score, Tally, Verdict
from eval.printable import one_line
from eval.statistics import Rate
from eval.wording import percent, seconds

HARDLY = 5_000  # tasks on which nobody votes
RULES = (
    "A tie counts as half a win. The unit is the task: the mean over the people who voted on it; skipped tasks do not "
    "count. The interval is 95 %, with tasks of one family as one cluster."
)
HOLDS = "It holds for these people and tasks like these; it does not say which answer is right."


def headline(tally: Tally) -> str:
    """The result in one sentence, which claims nothing that the votes do not carry."""
    score = tally.whole
    match score.verdict:
        case Verdict.NO_VOTES:
            return "Nobody has voted yet."
        case Verdict.LOCAL:
            return f"The local model is preferred: it wins {win_rate(score.rate)}."
        case Verdict.STRONG:
            return f"The stronger model is preferred: the local model wins {win_rate(score.rate)}."
        case Verdict.TOO_FEW:
            return f"Too little to claim anything: {found(score)}, and at least {tally.least_clusters} are needed."
    assert score.rate is not None
    return f"Undecided: the local model wins {win_rate(score.rate)}, so either could be the better one."


def found(score: Score) -> str:
    assert score.rate is not None
    unit = "family" if score.rate.clusters == 1 else "families"
    if score.rate.clusters == score.rate.units:
        return f"{score.rate.units} independent {'task has' if score.rate.units == 1 else 'tasks have'} votes"
    return f"the {score.rate.units} tasks with votes come from {score.rate.clusters} {unit}"


def notes(tally: Tally) -> Iterator[str]:
    """What belongs to the headline: what would decide, who voted, and what may have swayed them."""
    score = tally.whole
    if score.verdict in (Verdict.UNDECIDED, Verdict.TOO_FEW) and score.rate is not None:
        if score.needed is None or score.needed > HARDLY:
            yield "They are so close that more tasks would hardly decide."
        else:
            yield f"About {score.needed:,} tasks like these would decide, if it stays as it is."
    if score.same:
        several = "task has" if score.same == 1 else "tasks have"
        yield f"{score.same} {several} the same answer from both, and count as ties without a vote."
    if len(tally.voters) > 1:
        several_votes = ", ".join(f"{one_line(name, 40)} {count}" for name, count in sorted(tally.voters.items()))
        agreed = (
            "" if tally.agreement is None else f" Two people agreed in {100 * tally.agreement:.0f} % of their votes."
        )
        yield f"Votes: {several_votes}.{agreed}"
    if tally.first_shown is not None and score.won + score.lost >= 20 and abs(tally.first_shown - 0.5) > 0.2:
        yield f"The answer that was shown first won {100 * tally.first_shown:.0f} %: the place may have swayed people."
    yield RULES
    if score.rate is not None:
        yield HOLDS


def win_rate(rate: Rate | None) -> str:
    return "no votes" if rate is None else percent(rate)


def score_row(name: str, score: Score) -> tuple[str, ...]:
    """Kind, win rate, won, tied, lost, skipped, tasks."""
    tasks = f"{score.rate.units}" if score.rate else "0"
    counts = (score.won, score.tied, score.lost, score.skipped)
    return (one_line(name, 40), win_rate(score.rate), *(f"{count:,}" for count in counts), tasks)


SCORE_COLUMNS = ("kind", "local wins [95 %]", "won", "tied", "lost", "skipped", "tasks")


def score_rows(tally: Tally) -> list[tuple[str, ...]]:
    rows = [score_row(kind, score) for kind, score in tally.kinds.items()]
    return [*rows, score_row("all", tally.whole)] if len(rows) > 1 else rows


def cost_rows(tally: Tally) -> list[tuple[str, str, str]]:
    """Name, local, stronger."""
    local, strong = tally.local, tally.strong
    return [
        ("response time, median", _seconds(local.median), _seconds(strong.median)),
        ("95 of 100 within", _seconds(local.slow), _seconds(strong.slow)),
        ("tokens of an answer, mean", _each(local), _each(strong)),
        ("tokens of all prompts", _count(local.prompt_tokens), _count(strong.prompt_tokens)),
        ("tokens of all answers", _count(local.new_tokens), _count(strong.new_tokens)),
    ]


def as_json(tally: Tally) -> dict[str, Any]:
    """The tally for machines."""
    return {
        "match": tally.match.id,
        "at": tally.match.at,
        "local": tally.match.local,
        "strong": tally.match.strong,
        "tasks": len(tally.match.tasks),
        "verdict": tally.whole.verdict.value,
        "says": headline(tally),
        "all": _score_json(tally.whole),
        "kinds": {kind: _score_json(score) for kind, score in tally.kinds.items()},
        "voters": dict(tally.voters),
        "agreement": tally.agreement,
        "first_shown_won": tally.first_shown,
        "costs": {name: _cost_json(cost) for name, cost in (("local", tally.local), ("strong", tally.strong))},
    }


def _score_json(score: Score) -> dict[str, Any]:
    rate = score.rate
    interval = {"low": rate.low, "high": rate.high} if rate and rate.enough else {}
    value = {"win_rate": rate.value, "tasks": rate.units, "clusters": rate.clusters} if rate else {"win_rate": None}
    counts = {"won": score.won, "tied": score.tied, "lost": score.lost, "skipped": score.skipped, "same": score.same}
    return value | interval | counts | {"tasks_needed": score.needed}


def _cost_json(cost: Cost) -> dict[str, Any]:
    return {
        "answers": cost.answers,
        "median_seconds": cost.median,
        "slow_seconds": cost.slow,
        "prompt_tokens": cost.prompt_tokens,
        "new_tokens": cost.new_tokens,
    }


def _seconds(value: float | None) -> str:
    return "not measured" if value is None else seconds(value)


def _count(value: int | None) -> str:
    return "not counted" if value is None else f"{value:,}"


def _each(cost: Cost) -> str:
    return "not counted" if cost.new_tokens is None else f"{cost.new_tokens / max(1, cost.answers):,.0f}"
