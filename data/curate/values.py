"""The values of the store: an example, a decision about it, what a list is filtered by, and where the work stands."""

from __future__ import annotations

from typing import Literal

import msgspec

from data.curate.change import Change
from data.curate.turns import Turn

Act = Literal["approve", "reject", "edit", "trim", "undo"]
State = Literal["undecided", "approved", "rejected", "edited", "trimmed"]
STATES: tuple[State, ...] = ("undecided", "approved", "rejected", "edited", "trimmed")
# Tokens of a whole row. A window holds 4,096 where the configuration says nothing else.
LENGTHS: dict[str, tuple[int, int]] = {"short": (0, 500), "medium": (500, 2000), "long": (2000, 1 << 31)}


class Entry(msgspec.Struct, frozen=True):
    """An example as a list shows it. `decision` is the id of the current decision, 0 where there is none."""

    place: int
    key: str
    id: str
    role: str
    split: str
    source: str
    tokens: int
    trained: int
    quality: float
    preview: str
    decision: int
    state: State


class About(msgspec.Struct, frozen=True):
    """What else is known of an example: the parts of its score, what stages changed, where it was recorded."""

    parts: dict[str, float] = {}
    notes: tuple[tuple[str, str, int], ...] = ()
    session: str = ""
    file: str = ""
    lines: tuple[int, int] = (0, 0)


class Decision(msgspec.Struct, frozen=True):
    """One line of the history. `undoes` is the decision that an undo takes back."""

    id: int
    key: str
    action: Act
    change: Change
    result: str
    undoes: int | None
    author: str
    decided_at: str
    why: str


class Example(msgspec.Struct, frozen=True):
    """All of an example. `current` is the newest decision that was not undone."""

    entry: Entry
    turns: tuple[Turn, ...]
    about: About
    current: Decision | None = None

    @property
    def change(self) -> Change:
        return self.current.change if self.current else Change()


class Filters(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a list is narrowed to; empty means all."""

    role: str = ""
    split: str = ""
    source: str = ""
    decision: str = ""
    length: str = ""
    search: str = ""

    def __bool__(self) -> bool:
        return any(msgspec.structs.astuple(self))


class Conflict(Exception):
    """Somebody else decided about an example meanwhile: `current` is what stands now."""

    def __init__(self, current: Decision | None) -> None:
        super().__init__(said(current))
        self.current = current


DONE = {"approve": "approved", "reject": "rejected", "edit": "edited", "trim": "trimmed"}


def said(current: Decision | None) -> str:
    if current is None:
        return "Meanwhile the decision that you saw was undone. Yours was not stored: look again, then decide."
    why = f" ({current.why})" if current.why else ""
    return (
        f"Meanwhile {current.author} {DONE[current.action]} it{why}, {current.decided_at}. Yours was not stored:"
        " look again, then decide."
    )


def state_of(current: Decision | None) -> State:
    """What an example is marked with. An approval of an edited example leaves it edited: that is what was approved."""
    if current is None:
        return "undecided"
    if current.action == "reject":
        return "rejected"
    if current.change.texts:
        return "edited"
    return "trimmed" if current.change.last is not None else "approved"
