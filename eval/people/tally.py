"""What the votes say: how often the local model wins, with an interval, by kind; and what both sides cost.

The unit is the task: its points are the mean over the people who voted (1 won, 0.5 tie, 0 lost; skipped ones do not
count). The interval is that of eval.statistics, with families as clusters. A task to which both answered the same is a
tie without a vote.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations
from statistics import median

from eval.people.vote_records import Costs, StoredMatch, Task, Vote
from eval.power import known_error, scenarios_needed
from eval.statistics import MIN_CLUSTERS, Rate, rate_interval

EVEN = 0.5


class Verdict(StrEnum):
    """What may be claimed."""

    NO_VOTES = "no votes"
    TOO_FEW = "too few"
    UNDECIDED = "undecided"
    LOCAL = "local"
    STRONG = "strong"


@dataclass(frozen=True)
class Score:
    """The win rate of the local model on some tasks, and the votes that it rests on. `needed`: tasks that would decide.

    `same` are the tasks to which both gave the same answer; None stands where there is no vote, or nothing to say.
    """

    rate: Rate | None
    won: int
    lost: int
    tied: int
    skipped: int
    same: int
    needed: int | None = None

    @property
    def verdict(self) -> Verdict:
        if self.rate is None:
            return Verdict.NO_VOTES
        if not self.rate.enough:
            return Verdict.TOO_FEW
        if self.rate.low > EVEN:
            return Verdict.LOCAL
        return Verdict.STRONG if self.rate.high < EVEN else Verdict.UNDECIDED


@dataclass(frozen=True)
class Cost:
    """What one side's answers cost: the median and the slowest 5 % in seconds, and tokens; None where not counted."""

    answers: int
    median: float | None
    slow: float | None
    prompt_tokens: int | None
    new_tokens: int | None


@dataclass(frozen=True)
class Tally:
    """Everything that the votes on a match say.

    `voters`: votes that stand by author; `agreement`: share of the pairs of voters on one task that said the same;
    `first_shown`: how often the answer that was shown first won, of the decided votes.
    """

    match: StoredMatch
    whole: Score
    kinds: Mapping[str, Score]
    local: Cost
    strong: Cost
    voters: Mapping[str, int]
    agreement: float | None
    first_shown: float | None

    @property
    def least_clusters(self) -> int:
        return MIN_CLUSTERS


def tally(match: StoredMatch, votes: Sequence[Vote]) -> Tally:
    """The tally of a match and the votes that stand."""
    kinds = {kind: [task for task in match.tasks if task.kind == kind] for kind in _kinds(match)}
    voters: dict[str, int] = {}
    for vote in votes:
        voters[vote.author] = voters.get(vote.author, 0) + 1
    return Tally(
        match,
        score(match.tasks, votes),
        {kind: score(tasks, votes) for kind, tasks in kinds.items()},
        _cost([task.local for task in match.tasks]),
        _cost([task.strong for task in match.tasks]),
        voters,
        _agreement(votes),
        _first_shown(votes),
    )


def score(tasks: Iterable[Task], votes: Iterable[Vote]) -> Score:
    """The score on these tasks."""
    known = {task.id: task for task in tasks}
    mine = [vote for vote in votes if vote.task in known]
    said = [vote.points for vote in mine]
    points = task_points(known.values(), mine)
    rate = rate_interval(points, {key: known[key].cluster for key in points}) if points else None
    return Score(
        rate=rate,
        won=said.count(1.0),
        lost=said.count(0.0),
        tied=said.count(0.5),
        skipped=said.count(None),
        same=sum(task.same for task in known.values()),
        needed=_needed(rate, points, known) if rate else None,
    )


def task_points(tasks: Iterable[Task], votes: Iterable[Vote]) -> dict[str, float]:
    """The points of the local model by task, in 0..1; nothing where nobody has voted on any."""
    found: dict[str, list[float]] = {}
    for vote in votes:
        if vote.points is not None:
            found.setdefault(vote.task, []).append(vote.points)
    points = {key: sum(several) / len(several) for key, several in found.items()}
    return points | {task.id: EVEN for task in tasks if task.same} if points else {}


def _needed(rate: Rate, points: Mapping[str, float], tasks: Mapping[str, Task]) -> int | None:
    """How many such tasks would decide with 80 % probability, if the rate is what it seems."""
    off = Rate(rate.value - EVEN, rate.low - EVEN, rate.high - EVEN, rate.units, rate.clusters)
    changes = {key: value - EVEN for key, value in points.items()}
    error = known_error(off, changes, {key: tasks[key].cluster for key in points})
    return scenarios_needed(off, error, 0.0) if rate.clusters > 1 else None


def _kinds(match: StoredMatch) -> list[str]:
    return sorted({task.kind for task in match.tasks})


def _cost(costs: Sequence[Costs]) -> Cost:
    seconds = sorted(cost.seconds for cost in costs if cost.seconds is not None)
    return Cost(
        answers=len(costs),
        median=median(seconds) if seconds else None,
        slow=seconds[max(0, -(-95 * len(seconds) // 100) - 1)] if seconds else None,
        prompt_tokens=_sum([cost.prompt_tokens for cost in costs]),
        new_tokens=_sum([cost.new_tokens for cost in costs]),
    )


def _sum(counts: Sequence[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known and len(known) == len(counts) else None


def _agreement(votes: Iterable[Vote]) -> float | None:
    by_task: dict[str, list[float]] = {}
    for vote in votes:
        if vote.points is not None:
            by_task.setdefault(vote.task, []).append(vote.points)
    same = [one == other for points in by_task.values() for one, other in combinations(points, 2)]
    return sum(same) / len(same) if same else None


def _first_shown(votes: Iterable[Vote]) -> float | None:
    decided = [vote.choice == "first" for vote in votes if vote.choice in ("first", "second")]
    return sum(decided) / len(decided) if decided else None
