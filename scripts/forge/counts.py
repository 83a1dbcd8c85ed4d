"""What else lies in an output tree: captures, curated examples, mined and compared pairs, votes, rounds of the loop."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

COUNTED: Final = 256 * 2**20  # bytes of a folder that are read to count its lines


def others(top: Path) -> Iterator[tuple[str, Path, Callable[[Path], dict[str, Any]]]]:
    """What else is worth a line, with what counts it."""
    yield "captures", top / "captures", jsonl
    yield "curation", top / "curation.db", curation
    yield "mined", top / "mined", jsonl
    yield "comparisons", top / "comparisons", jsonl
    yield "votes", top / "votes.db", votes
    yield "loop", top / "loop", loop


def jsonl(folder: Path) -> dict[str, Any]:
    """Files, bytes and lines of a folder; lines only as long as counting them takes no time worth mentioning."""
    files = sorted(folder.glob("*.jsonl"))
    size = sum(file.stat().st_size for file in files)
    counted = {"files": len(files), "bytes": size}
    return {**counted, "lines": sum(map(lines, files))} if size <= COUNTED else counted


def lines(file: Path) -> int:
    with file.open("rb") as content:
        return sum(part.count(b"\n") for part in iter(lambda: content.read(2**20), b""))


def curation(file: Path) -> dict[str, Any]:
    """Examples by what was decided of them."""
    states = asked(file, "SELECT state, count(*) FROM examples GROUP BY state ORDER BY state")
    return {str(state): int(count) for state, count in states}


def votes(file: Path) -> dict[str, Any]:
    """Those that nobody took back."""
    taken = "SELECT takes_back FROM vote WHERE takes_back IS NOT NULL"
    counted = f"SELECT count(*) FROM vote WHERE choice NOT IN ('skip', 'undo') AND number NOT IN ({taken})"
    ((count,),) = asked(file, counted)
    return {"votes": int(count)}


def asked(file: Path, question: str) -> list[tuple[Any, ...]]:
    """The rows of a query on a database that somebody else may be writing to."""
    database = sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True, timeout=5)
    try:
        return database.execute(question).fetchall()
    finally:
        database.close()


def loop(folder: Path) -> dict[str, Any]:
    """The last round of each role, and how many there were."""
    told: dict[str, Any] = {}
    for role in sorted(folder.glob("*/")):
        states = sorted(role.glob("r*/state.json"), key=lambda file: int(file.parent.name[1:]))
        if states:
            last = json.loads(states[-1].read_text("utf-8"))
            told[role.name] = {"rounds": len(states), "last": last["name"], "outcome": last["outcome"] or "unfinished"}
    return told
