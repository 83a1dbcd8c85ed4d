"""Two runs side by side: each scenario with the samples of both, and the numbers per role that follow.

`compare_runs(base, adapter)` takes two runs that may be compared (`eval.compare.refuse_unequal`). Contaminated
scenarios of either run stay in `pairs` and leave the numbers.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from eval.difference import Difference
from eval.power import known_error
from eval.results import Episode, Overlap, RoleBench, families, partials, scores
from eval.statistics import Rate, directions, holm, paired_difference, rate_interval, sign_flip_p

ALL = "all"


@dataclass(frozen=True)
class Pair:
    """One scenario with its samples in both runs, in the same order.

    `overlap`: how much of it stands in training rows (None: nothing found); `forbidden`: what only the adapter did.
    """

    id: str
    role: str
    family: str
    held_out: bool
    overlap: Overlap | None
    base: tuple[Episode, ...]
    adapter: tuple[Episode, ...]
    forbidden: tuple[str, ...]

    @property
    def passed(self) -> tuple[int, int]:
        """Passed samples of base and adapter."""
        return sum(e.passed for e in self.base), sum(e.passed for e in self.adapter)


@dataclass(frozen=True)
class Side:
    """One run's numbers: pass rate, scenarios in which every sample passed, mean partial score in 0..1."""

    rate: Rate
    always: int
    partial: float


@dataclass(frozen=True)
class Row(Difference):
    """The comparison on one role, or on `all`. `p_holm` is corrected for the number of roles.

    `floor`: pass rate of an agent that only says one sentence.
    """

    role: str
    samples: int
    base: Side
    adapter: Side
    floor: float


@dataclass(frozen=True)
class Comparison:
    """Everything that the tables, the page and the gate say about two runs; `rows` ends with `all`.

    `checked`: whether both runs were compared with the training rows. Without clean scenarios `rows` is empty.
    """

    base: RoleBench
    adapter: RoleBench
    pairs: tuple[Pair, ...]
    rows: tuple[Row, ...]
    held_out: Row | None
    checked: bool

    @property
    def left_out(self) -> tuple[Pair, ...]:
        """The contaminated scenarios."""
        return tuple(pair for pair in self.pairs if pair.overlap is not None)

    @property
    def clean(self) -> tuple[Pair, ...]:
        """The scenarios that the numbers stand on."""
        return tuple(pair for pair in self.pairs if pair.overlap is None)

    @property
    def forbidden(self) -> tuple[tuple[str, str], ...]:
        """Scenario and action, wherever the adapter did what is forbidden and the base did not."""
        return tuple((pair.id, action) for pair in self.pairs for action in pair.forbidden)


def compare_runs(base: RoleBench, adapter: RoleBench) -> Comparison:
    """The comparison of two runs over the same scenarios and samples."""
    pairs = tuple(_pairs(base, adapter))
    clean = [pair for pair in pairs if pair.overlap is None]
    groups = {role: [pair for pair in clean if pair.role == role] for role in dict.fromkeys(p.role for p in clean)}
    rows = _with_holm([_row(role, group, adapter.floor) for role, group in groups.items()])
    if len(groups) > 1:
        rows.append(_row(ALL, clean, adapter.floor))
    held_out = [pair for pair in clean if pair.held_out]
    checked = base.contaminated is not None and adapter.contaminated is not None
    held_out_row = _row("held out", held_out, adapter.floor) if held_out else None
    return Comparison(base, adapter, pairs, tuple(rows), held_out_row, checked)


def changes(pairs: Iterable[Pair]) -> dict[str, float]:
    """Adapter minus base, in -1..1, by scenario."""
    several = list(pairs)
    before, after = scores(_of(several, "base")), scores(_of(several, "adapter"))
    return {key: after[key] - before[key] for key in before}


def _pairs(base: RoleBench, adapter: RoleBench) -> Iterable[Pair]:
    before, after = _by_scenario(base), _by_scenario(adapter)
    overlaps = {**(base.contaminated or {}), **(adapter.contaminated or {})}
    for key, samples in before.items():
        first, others = samples[0], after[key]
        done = {action for episode in samples for action in episode.forbidden}
        new = dict.fromkeys(action for e in others for action in e.forbidden if action not in done)
        yield Pair(
            key, first.role, first.family, first.held_out, overlaps.get(key), tuple(samples), tuple(others), tuple(new)
        )


def _by_scenario(run: RoleBench) -> dict[str, list[Episode]]:
    found: dict[str, list[Episode]] = {}
    for episode in sorted(run.episodes, key=lambda one: one.sample):
        found.setdefault(episode.id, []).append(episode)
    return {key: found[key] for key in dict.fromkeys(episode.id for episode in run.episodes)}


def _row(role: str, pairs: Sequence[Pair], floors: dict[str, float]) -> Row:
    base, adapter = _of(pairs, "base"), _of(pairs, "adapter")
    clusters, change = families(adapter), changes(pairs)
    difference = paired_difference(scores(base), scores(adapter), clusters)
    p = sign_flip_p(change, clusters)
    return Row(
        role=role,
        samples=max(len(pair.adapter) for pair in pairs),
        base=_side(base),
        adapter=_side(adapter),
        difference=difference,
        directions=directions(change),
        p=p,
        p_holm=p,
        error=known_error(difference, change, clusters),
        floor=sum(floors.get(pair.role, 0.0) for pair in pairs) / len(pairs),
    )


def _side(episodes: Sequence[Episode]) -> Side:
    passed, partial = scores(episodes), partials(episodes)
    always = sum(score == 1 for score in passed.values())
    return Side(rate_interval(passed, families(episodes)), always, sum(partial.values()) / len(partial))


def _with_holm(rows: Sequence[Row]) -> list[Row]:
    corrected = holm({row.role: row.p for row in rows if row.enough})
    return [replace(row, p_holm=corrected.get(row.role, row.p)) for row in rows]


def _of(pairs: Iterable[Pair], side: str) -> list[Episode]:
    return [episode for pair in pairs for episode in (pair.base if side == "base" else pair.adapter)]
