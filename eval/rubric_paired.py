"""Two runs of the rubric side by side: the paired difference of the whole marks, by domain and over all.

`compare_rubrics(base, adapter)` takes two runs that may be compared (`refuse_unequal_rubrics`). The unit is the task,
families of tasks are the clusters.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from eval.difference import Difference
from eval.graded import graded_difference
from eval.power import known_error
from eval.rubric_results import Marked, RubricRun, by_domain, clusters_of, part_mean, total_rate, totals
from eval.statistics import Rate, directions, holm, sign_flip_p


@dataclass(frozen=True)
class Row(Difference):
    """The comparison on one domain, or on `all`; marks in 0..1. `p_holm` is corrected for the number of domains.

    `parts`: means of each part in both runs, None where it is n/a.
    """

    domain: str
    base: Rate
    adapter: Rate
    parts: Mapping[str, tuple[float | None, float | None]]


@dataclass(frozen=True)
class RubricComparison:
    """Everything that the table, the JSON and the gate say about two runs; `rows` ends with what decides.

    `held_out` is the row of the held-out tasks alone, for a look when all choices are made.
    """

    base: RubricRun
    adapter: RubricRun
    rows: tuple[Row, ...]
    held_out: Row | None

    @property
    def changes(self) -> dict[str, float]:
        """Adapter minus base, in -1..1, by task."""
        return changes_of(self.base.results, self.adapter.results)


def compare_rubrics(base: RubricRun, adapter: RubricRun) -> RubricComparison:
    """The comparison of two runs over the same tasks."""
    before, after = by_domain(base.results), by_domain(adapter.results)
    rows = [_row(domain, before[domain], group, tuple(adapter.weights)) for domain, group in after.items()]
    alone = rows[:-1] if len(rows) > 1 else rows
    corrected = holm({row.domain: row.p for row in alone if row.enough})
    told = tuple(replace(row, p_holm=corrected.get(row.domain, row.p)) for row in rows)
    return RubricComparison(base, adapter, told, _held_out(base, adapter))


def changes_of(base: Sequence[Marked], adapter: Sequence[Marked]) -> dict[str, float]:
    """Adapter minus base, in -1..1, by task."""
    before, after = totals(base), totals(adapter)
    return {key: after[key] - before[key] for key in before}


def marks_difference(base: Sequence[Marked], adapter: Sequence[Marked]) -> Rate:
    """The mean difference of the whole marks with its 95 % interval (see eval.graded)."""
    return graded_difference(totals(base), totals(adapter), clusters_of(adapter))


def _held_out(base: RubricRun, adapter: RubricRun) -> Row | None:
    hidden = {one.key for one in adapter.results if one.held_out}
    before, after = ([one for one in run.results if one.key in hidden] for run in (base, adapter))
    return _row("held out", before, after, tuple(adapter.weights)) if hidden else None


def _row(domain: str, base: Sequence[Marked], adapter: Sequence[Marked], parts: Sequence[str]) -> Row:
    clusters, change = clusters_of(adapter), changes_of(base, adapter)
    difference = marks_difference(base, adapter)
    p = sign_flip_p(change, clusters)
    return Row(
        domain=domain,
        base=total_rate(base),
        adapter=total_rate(adapter),
        difference=difference,
        directions=directions(change),
        p=p,
        p_holm=p,
        error=known_error(difference, change, clusters),
        parts={name: (part_mean(base, name), part_mean(adapter, name)) for name in parts},
    )
