"""Where decisions live: a SQLite file that only grows.

Each decision is one transaction, on the disk when `decide` returns. The current decision about an example is the newest
that was not undone. Who decides says which decision they saw; where another one stands by then, nothing is stored and
`Conflict` tells what somebody else decided.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from data.curate.change import Change, Refused, changed, read_change, settle
from data.curate.database import connect, transaction
from data.curate.turns import Turn, key_of
from data.curate.values import About, Act, Conflict, Decision, Entry, Example, state_of

# An undecided example that its dataset no longer has is nobody's work; what was decided about stays in sight.
LIVE = "(NOT stale OR state != 'undecided')"
ENTRY = "place, key, id, role, split, source, tokens, trained, quality, preview, decision, state"

# Says what is wrong with an example after a change, by raising Refused.
Check = Callable[[Example, Change], None]
_turns: msgspec.json.Decoder[tuple[Turn, ...]] = msgspec.json.Decoder(tuple[Turn, ...])
_about = msgspec.json.Decoder(About)


class Store:
    """One connection. `check` is asked before a changed example is stored."""

    def __init__(self, path: Path, check: Check | None = None) -> None:
        self.path = path
        self.database = connect(path)
        self._check = check

    def __enter__(self) -> Store:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.database.close()

    def example(self, name: str) -> Example:
        """The example with a key, or with the id of its row, as the newest dataset has it.

        Raises Refused where there is none, or several.
        """
        found = self.database.execute(f"SELECT {ENTRY}, stale FROM examples WHERE key = ?", (name,)).fetchall()
        if not found:
            query = f"SELECT {ENTRY}, stale FROM examples WHERE id = ? AND {LIVE} ORDER BY stale LIMIT 2"
            found = self.database.execute(query, (name,)).fetchall()
        if not found:
            raise Refused(f"There is no example {name}. Read its dataset first, with --rows.")
        if len(found) > 1 and found[0]["stale"] == found[1]["stale"]:
            raise Refused(f"Several examples are of row {name}, in several datasets. Give the key of one.")
        entry = entry_of(found[0])
        row = self.database.execute("SELECT turns, about FROM texts WHERE place = ?", (entry.place,)).fetchone()
        return Example(entry, _turns.decode(row["turns"]), _about.decode(row["about"]), self._decision(entry.decision))

    def decide(
        self,
        key: str,
        action: Act,
        change: Change | None = None,
        *,
        author: str,
        why: str = "",
        saw: int | None = None,
        whole: bool = False,
    ) -> Decision:
        """Store a decision. `saw` is the id of the decision that its author saw (0: none; None: whatever stands).

        An edit keeps an earlier trim and a trim an earlier edit; approving keeps both. With `whole` the change is all
        that stands afterwards. Raises Refused, or Conflict.
        """
        example = self.example(key)
        given = change or Change()
        settled = settle(example.turns, given) if whole else self.outcome(example, action, given)
        if action in ("edit", "trim") and not whole:
            _check_does_something(action, settled, example.change)
        if settled and action != "reject" and self._check:
            self._check(example, settled)
        with transaction(self.database):
            return self._add(self._unchanged(example, saw), action, settled, author, why)

    def outcome(self, example: Example, action: str, change: Change) -> Change:
        """The change of the original that would stand after a decision. Raises Refused."""
        return settle(example.turns, _merged(action, change, example.change))

    def undo(self, key: str, *, author: str, why: str = "", saw: int | None = None) -> Decision:
        """Take the current decision back; the one before it stands again. Raises Refused where there is none."""
        with transaction(self.database):
            example = self._unchanged(self.example(key), saw)
            if example.current is None:
                raise Refused("There is no decision to undo: nobody has decided about this example.")
            return self._add(example, "undo", Change(), author, why, undoes=example.current.id)

    def history(self, key: str) -> list[Decision]:
        """Everything that was decided about an example, the oldest first."""
        rows = self.database.execute("SELECT * FROM decisions WHERE key = ? ORDER BY id", (key,))
        return [decision_of(row) for row in rows.fetchall()]

    def _unchanged(self, example: Example, saw: int | None) -> Example:
        """The example as it is now, where nobody decided since. Raises Conflict."""
        now = self.example(example.entry.key)
        expected = example.entry.decision if saw is None else saw
        if now.entry.decision != expected:
            raise Conflict(now.current)
        return now

    def _add(
        self, example: Example, action: Act, change: Change, author: str, why: str, undoes: int | None = None
    ) -> Decision:
        entry = example.entry
        result = key_of(entry.role, changed(example.turns, change)) if change and action != "reject" else entry.key
        written = (entry.key, example.about.session, action, msgspec.json.encode(change).decode(), result, undoes)
        cursor = self.database.execute(
            "INSERT INTO decisions (key, session, action, change, result, undoes, author, decided_at, why)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*written, author, datetime.now(UTC).isoformat(" ", "seconds").replace("+00:00", " UTC"), why),
        )
        current = current_of(self.history(entry.key))
        self.database.execute(
            "UPDATE examples SET decision = ?, state = ? WHERE place = ?",
            (current.id if current else 0, state_of(current), entry.place),
        )
        added = self._decision(int(cursor.lastrowid or 0))
        assert added is not None
        return added

    def _decision(self, number: int) -> Decision | None:
        row = self.database.execute("SELECT * FROM decisions WHERE id = ?", (number,)).fetchone()
        return decision_of(row) if row else None


def _merged(action: str, change: Change, before: Change) -> Change:
    """The change that stands after a decision: of the original, all in all."""
    match action:
        case "edit":
            return Change({**before.texts, **change.texts}, before.last)
        case "trim":
            return Change(before.texts, change.last)
        case _:
            return before


def _check_does_something(action: Act, settled: Change, before: Change) -> None:
    if settled == before:
        fix = "Change a text" if action == "edit" else "Choose an earlier reply as the last"
        raise Refused(f"This {action} changes nothing. {fix}, or approve the example as it is.")


def current_of(history: Sequence[Decision]) -> Decision | None:
    """The newest decision that was not undone."""
    undone = {decision.undoes for decision in history}
    return next((one for one in reversed(history) if one.action != "undo" and one.id not in undone), None)


def entry_of(row: sqlite3.Row) -> Entry:
    return msgspec.convert({name: row[name] for name in Entry.__struct_fields__}, Entry)


def decision_of(row: sqlite3.Row) -> Decision:
    value: dict[str, Any] = dict(row)
    del value["session"]
    return msgspec.convert({**value, "change": read_change(value["change"])}, Decision)
