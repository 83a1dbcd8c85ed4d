"""Takes decisions from a file, for scripts: one JSON object a line, each decision by itself.

A line names an example by `key` or `id` (the row's) and an `action`: approve, reject, undo, edit with `texts` (number
of the message to its new text), trim with `last` (the last message to keep); `why` and `author` as you like.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from data.curate import finding
from data.curate.change import Refused, change_from
from data.curate.store import Store
from data.curate.values import Conflict, Example
from data.validate.rows import DatasetError

ACTIONS = ("approve", "reject", "edit", "trim", "undo")


class Report(msgspec.Struct, frozen=True):
    """What became of a file: lines by action, and a sentence for each that was not taken."""

    file: str
    done: dict[str, int]
    problems: tuple[str, ...] = ()


def apply_file(store: Store, path: Path, author: str) -> Report:
    """Take the decisions of a file, in order. One that stands already is not taken twice. Raises DatasetError."""
    done: Counter[str] = Counter()
    problems = []
    for number, line in lines_of(path):
        try:
            done[apply_one(store, _object(line), author)] += 1
        except (Refused, Conflict) as problem:
            problems.append(f"{path}:{number}: {problem}")
    return Report(str(path), dict(done), tuple(problems))


def lines_of(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of a file that say something, with their numbers. Raises DatasetError where it cannot be read."""
    try:
        with path.open("rb") as file:
            yield from ((number, line) for number, line in enumerate(file, 1) if line.strip())
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror}). Give another file.") from None


def _object(line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise Refused('This is no JSON object. Write lines such as {"id": "...", "action": "approve"}.')
    return value


def apply_one(store: Store, value: dict[str, Any], author: str) -> str:
    """Take one decision, and say what was done. Raises Refused."""
    name, action = value.get("key") or value.get("id"), value.get("action")
    if not isinstance(name, str):
        raise Refused("It names no example. Add a key, or the id of a row.")
    if action not in ACTIONS:
        raise Refused(f"{action!r} is no action. Known: {', '.join(ACTIONS)}.")
    example = store.example(name)
    key, who, why = example.entry.key, str(value.get("author") or author), str(value.get("why") or "")
    if action == "undo":
        store.undo(key, author=who, why=why)
        return "undo"
    if _stands(store, example, action, value):
        return "unchanged"
    store.decide(key, action, change_from(value), author=who, why=why)
    return str(action)


def _stands(store: Store, example: Example, action: str, value: dict[str, Any]) -> bool:
    """Whether exactly this was decided last, so that a script can run twice."""
    if example.current is None or example.current.action != action:
        return False
    return action in ("approve", "reject") or store.outcome(example, action, change_from(value)) == example.change


def report(told: Report, as_json: bool) -> int:
    """Print what became of a file; 1 where a line was not taken."""
    for problem in told.problems:
        print(problem, file=sys.stderr)
    if as_json:
        print(json.dumps(msgspec.to_builtins(told)))
    else:
        said = ", ".join(f"{count} {name}" for name, count in told.done.items()) or "nothing"
        refused = f"; {len(told.problems)} not taken" if told.problems else ""
        print(f"{told.file}: {said}{refused}.")
    return int(bool(told.problems))


def status(store: Store, as_json: bool) -> int:
    """Print how much is decided."""
    counts = finding.progress(store.database)
    if as_json:
        print(json.dumps({"database": str(store.path), **counts}))
    else:
        print(", ".join(f"{count:,} {name}" for name, count in counts.items()) + ".")
    return 0
