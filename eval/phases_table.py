"""The numbers of the phases: all roles against base, own against base, own against all roles, for every role.

`compare_phases(trios)` refuses what cannot be compared. The statistics are those of eval.compare: paired differences
with families as clusters, and Holm's correction over the roles.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec

from eval.compare import refuse_unequal
from eval.errors import BadInput, sha256
from eval.gate import ALPHA, why_not_comparable
from eval.paired import Comparison, Row, compare_runs
from eval.phases_runs import Trio
from eval.results import RoleBench, summarize


class Side(StrEnum):
    """Who plays; the value is how the table calls it."""

    BASE = "base"
    ALL = "all roles"
    OWN = "own role"


class Verdict(StrEnum):
    """What a difference says; `open` where the data cannot tell."""

    BETTER = "better"
    WORSE = "worse"
    OPEN = "cannot tell"


PAIRS = ((Side.BASE, Side.ALL), (Side.BASE, Side.OWN), (Side.ALL, Side.OWN))


@dataclass(frozen=True)
class Contrast:
    """`over` minus `under`, on every role."""

    under: Side
    over: Side
    comparison: Comparison

    @property
    def name(self) -> str:
        """`own-role-base`, for a file."""
        return f"{self.over}-{self.under}".replace(" ", "-")

    @property
    def rows(self) -> tuple[Row, ...]:
        """One a role, and `all` for several."""
        return self.comparison.rows


def compare_phases(trios: Mapping[str, Trio]) -> tuple[Contrast, ...]:
    """The three comparisons over all roles; raises BadInput with every reason why there is none."""
    sides = {
        Side.BASE: merged([trio.base for trio in trios.values()]),
        Side.ALL: merged([trio.all_roles for trio in trios.values()]),
        Side.OWN: merged([trio.own for trio in trios.values()]),
    }
    # What one side has learned says nothing of the others either: all stand on the same scenarios.
    leaks = {key: overlap for run in sides.values() for key, overlap in (run.contaminated or {}).items()}
    runs = {side: with_leaks(run, leaks) for side, run in sides.items()}
    for under, over in PAIRS:
        refuse_unequal(runs[under], runs[over])
    contrasts = tuple(Contrast(under, over, compare_runs(runs[under], runs[over])) for under, over in PAIRS)
    if faults := list(dict.fromkeys(_faults(contrasts))):
        raise BadInput("\n".join(["the runs cannot be compared.", *faults]))
    return contrasts


def verdict(row: Row) -> Verdict:
    """Better or worse only where the interval excludes no difference and the corrected p is small."""
    if not row.enough or row.p_holm >= ALPHA:
        return Verdict.OPEN
    if row.difference.low > 0:
        return Verdict.BETTER
    return Verdict.WORSE if row.difference.high < 0 else Verdict.OPEN


def merged(runs: Sequence[RoleBench]) -> RoleBench:
    """The runs of several roles as one; raises BadInput where they were not played alike."""
    first = runs[0]
    if other := next((run for run in runs if run.settings != first.settings), None):
        raise BadInput(f"the runs differ in settings ({first.settings} and {other.settings}); run `make phases` again.")
    if len(runs) == 1:
        return first
    checked = [run.contaminated for run in runs if run.contaminated is not None]
    episodes = tuple(episode for run in runs for episode in run.episodes)
    return msgspec.structs.replace(
        first,
        model=", ".join(dict.fromkeys(run.model for run in runs)),
        facts=first.facts | {"adapter": _adapters(runs)},
        scenarios={role: digest for run in runs for role, digest in run.scenarios.items()},
        systems={role: digest for run in runs for role, digest in run.systems.items()},
        floor={role: share for run in runs for role, share in run.floor.items()},
        contaminated=_union(checked) if len(checked) == len(runs) else None,
        smoke=any(run.smoke for run in runs),
        summary=summarize(episodes),
        episodes=episodes,
    )


def with_leaks(run: RoleBench, leaks: Mapping[str, Any]) -> RoleBench:
    """The run with all scenarios left out that stand in anybody's rows; still unchecked where it was."""
    return run if run.contaminated is None else msgspec.structs.replace(run, contaminated={**leaks})


def _adapters(runs: Sequence[RoleBench]) -> dict[str, Any] | None:
    """One adapter's facts, or those of each role's own with what all of them have at least."""
    found = [run.facts.get("adapter") for run in runs]
    known = [one for one in found if isinstance(one, dict)]
    if len(known) < len(found):
        return None
    if all(one == known[0] for one in known):
        return known[0]
    return {
        "sha256": sha256(*(str(one.get("sha256")).encode() for one in known)),
        "max_logit_change": min(one.get("max_logit_change") or 0.0 for one in known),
        **{role: one for run, one in zip(runs, known, strict=True) for role in run.scenarios},
    }


def _union(several: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {key: overlap for one in several for key, overlap in one.items()}


def _faults(contrasts: Sequence[Contrast]) -> Iterator[str]:
    for contrast in contrasts:
        for fault in why_not_comparable(contrast.comparison):
            yield f"{contrast.over} (the adapter) against {contrast.under} (the base): {fault}"
