"""What the status page shows, read from the registry, the fleet and the numbers; `view_of(...)` puts it together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.registry import Evaluation, Promotion, Rate, Registry, RoleVersions, Version
from deploy.serve.errors import clean
from deploy.serve.metrics import Numbers, Snapshot
from deploy.serve.types import RoleState

CHANGES = 12  # that are shown


@dataclass(frozen=True)
class Registered:
    """What the registry knows at one moment."""

    roles: tuple[RoleVersions, ...]
    versions: tuple[Version, ...]
    changes: tuple[Promotion, ...]
    """the newest first"""


@dataclass(frozen=True)
class VersionView:
    """One version in the table of its role."""

    version: Version
    live: bool
    previous: bool
    loaded: bool
    in_flight: int
    numbers: Numbers

    @property
    def evaluation(self) -> Evaluation | None:
        return self.version.evaluation

    @property
    def outcome(self) -> str:
        """passed, regression, inconclusive, not comparable, smoke only, or not evaluated"""
        if self.evaluation is None:
            return "not evaluated"
        return "smoke only" if self.evaluation.smoke else self.evaluation.outcome

    @property
    def kind(self) -> str:
        """How the outcome is coloured."""
        return {"passed": "good", "regression": "bad", "not comparable": "bad"}.get(self.outcome, "open")


@dataclass(frozen=True)
class RoleView:
    """A role with its versions, the newest first. `state` is None where the engine does not serve it."""

    role: str
    state: RoleState | None
    live: int | None
    previous: int | None
    promoted: int | None
    problem: str
    versions: tuple[VersionView, ...]


@dataclass(frozen=True)
class View:
    """The whole page."""

    ready: bool
    roles: tuple[RoleView, ...]
    changes: tuple[Promotion, ...]
    numbers: Snapshot


def read_registry(root: Path) -> Registered:
    """What the registry below `root` knows. Raises `Refusal` where it cannot be read."""
    with Registry.open(root) as registry:
        changes = registry.history()[::-1][:CHANGES]
        return Registered(registry.roles(), registry.versions(), changes)


def view_of(registered: Registered, states: Sequence[RoleState], ready: bool, numbers: Snapshot) -> View:
    """The page of this moment."""
    served = {state.role: state for state in states}
    roles = tuple(_role(of, registered, served.get(of.role), numbers) for of in registered.roles)
    return View(ready, roles, registered.changes, numbers)


def _role(of: RoleVersions, registered: Registered, state: RoleState | None, numbers: Snapshot) -> RoleView:
    live = state.live if state else None
    previous = state.previous if state else of.previous
    problem = clean(state.problem) if state else ""
    versions = tuple(
        VersionView(
            version,
            version.number == live,
            version.number == previous and version.number != live,
            state is not None and version.number in state.loaded,
            state.in_flight.get(version.number, 0) if state else 0,
            numbers.versions.get((of.role, version.number), Numbers()),
        )
        for version in sorted(registered.versions, key=lambda version: -version.number)
        if version.role == of.role
    )
    return RoleView(of.role, state, live, previous, of.live, problem, versions)


def percent(rate: Rate) -> str:
    """`86 %`, then its interval in brackets."""
    return f"{100 * rate.value:.0f} % [{100 * rate.low:.0f}, {100 * rate.high:.0f}]"


def points(rate: Rate) -> str:
    """A difference in points with its interval: `+12.5 [+1.0, +24.1]`."""
    return f"{100 * rate.value:+.1f} [{100 * rate.low:+.1f}, {100 * rate.high:+.1f}]"


def seconds(value: float | None) -> str:
    """A time to read: `84 ms`, `1.2 s`."""
    if value is None:
        return "–"
    return f"{1000 * value:.0f} ms" if value < 0.9995 else f"{value:.1f} s"


def short(value: int) -> str:
    """A large number to read: `950`, `12.3 k`, `1.2 M`."""
    for size, letter in ((1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k")):
        if value >= size:
            scaled = value / size
            return f"{scaled:.1f} {letter}" if scaled < 100 else f"{scaled:.0f} {letter}"
    return str(value)


def duration(value: float) -> str:
    """How long something has run: `3 d 4 h`, `12 min`."""
    minutes = int(value // 60)
    days, hours = minutes // 1440, minutes // 60 % 24
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min" if minutes else f"{value:.0f} s"


def moment(text: str) -> str:
    """A time of the registry, to the minute."""
    return text[:16].replace("T", " ")
