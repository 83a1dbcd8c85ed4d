"""The votes, in SQLite (output/votes.db): a row for each key that somebody pressed, and none is ever changed.

Taking a vote back is a row of its own. Several people may vote at the same time, in one process or in several.
"""

import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

from eval.errors import BadInput
from eval.people.endpoint import Side
from eval.people.match import Choice, Match, Pairing
from eval.people.vote_records import Costs, StoredMatch, Task, Vote

WAIT_SECONDS = 10.0  # for another process that is writing
APPLICATION = 0x666F7267  # "forg": whose file it is
TABLES = Path(__file__).with_suffix(".sql")
STANDING = """
SELECT number, at, author, task, first, choice FROM vote WHERE match = ? AND choice <> 'undo'
AND number NOT IN (SELECT takes_back FROM vote WHERE match = ? AND takes_back IS NOT NULL)
"""


class Votes:
    """The file of the votes. Raises BadInput where it cannot be used."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            self._base = sqlite3.connect(path, WAIT_SECONDS, isolation_level=None, check_same_thread=False)
            self._set_up()
        except (OSError, sqlite3.Error):
            raise BadInput(f"{path} is no file of votes that can be written; move it away, or give --votes.") from None

    def close(self) -> None:
        self._base.close()

    def _set_up(self) -> None:
        known = self._base.execute("PRAGMA application_id").fetchone()[0]
        if known != APPLICATION and self._base.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            raise sqlite3.DatabaseError("somebody else's")
        # WAL lets people read while one votes; FULL: a vote that was taken survives a power cut.
        self._base.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;")
        with self._writing():
            if self._base.execute("PRAGMA application_id").fetchone()[0] == APPLICATION:
                return
            for statement in _statements(TABLES.read_text("utf-8")):
                self._base.execute(statement)
            self._base.execute(f"PRAGMA application_id = {APPLICATION}")

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """One transaction, of one thread and one process at a time."""
        with self._lock:
            self._base.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._base.execute("ROLLBACK")
                raise
            self._base.execute("COMMIT")

    def add_match(self, match: Match) -> None:
        """Write down what is judged; a match that is known stays as it is."""
        with self._writing():
            if self._base.execute("SELECT 1 FROM match WHERE id = ?", (match.id,)).fetchone():
                return
            row = (match.id, _now(), match.local, match.strong, match.seed)
            self._base.execute("INSERT INTO match VALUES (?, ?, ?, ?, ?)", row)
            rows = [_row(match.id, pairing) for pairing in match.pairings]
            self._base.executemany(f"INSERT INTO task VALUES ({', '.join('?' * 12)})", rows)

    def cast(self, author: str, match: str, task: str, first: Side, choice: Choice) -> bool:
        """Add a vote; False where this author's vote on the task stands already, as from a second tab."""
        with self._writing():
            if any(vote.task == task for vote in self._standing(match, author)):
                return False
            self._insert(author, match, task, first, choice, None)
            return True

    def undo(self, author: str, match: str) -> str | None:
        """Take back the author's last vote that stands; its task, or None where there is none."""
        with self._writing():
            last = max(self._standing(match, author), key=lambda vote: vote.number, default=None)
            if last is None:
                return None
            self._insert(author, match, last.task, last.first, "undo", last.number)
            return last.task

    def standing(self, match: str, author: str | None = None) -> list[Vote]:
        """The votes that stand, of one author or of all, in the order in which they came."""
        with self._lock:
            return self._standing(match, author)

    def matches(self) -> list[StoredMatch]:
        """Every match there is, the newest first."""
        with self._lock:
            rows = self._base.execute("SELECT id, at, local, strong FROM match ORDER BY at DESC, id").fetchall()
            return [StoredMatch(key, at, local, strong, self._tasks(key)) for key, at, local, strong in rows]

    def _tasks(self, match: str) -> tuple[Task, ...]:
        names = "id, kind, cluster, same, local_seconds, local_prompt_tokens, local_new_tokens"
        names += ", strong_seconds, strong_prompt_tokens, strong_new_tokens"
        rows = self._base.execute(f"SELECT {names} FROM task WHERE match = ? ORDER BY rowid", (match,))
        return tuple(Task(r[0], r[1], r[2], bool(r[3]), Costs(*r[4:7]), Costs(*r[7:10])) for r in rows)

    def _standing(self, match: str, author: str | None = None) -> list[Vote]:
        one = (" AND author = ?", (author,)) if author is not None else ("", ())
        rows = self._base.execute(f"{STANDING}{one[0]} ORDER BY number", (match, match, *one[1]))
        return [Vote(r[0], r[1], r[2], r[3], Side(r[4]), r[5]) for r in rows]

    def _insert(self, author: str, match: str, task: str, first: Side, choice: str, back: int | None) -> None:
        names = "at, author, match, task, first, choice, takes_back"
        row = (_now(), author, match, task, first.value, choice, back)
        self._base.execute(f"INSERT INTO vote ({names}) VALUES (?, ?, ?, ?, ?, ?, ?)", row)


def _row(match: str, pairing: Pairing) -> tuple[object, ...]:
    """The row of a task in the table `task`."""
    local, strong = pairing.local, pairing.strong
    costs = ((one.seconds, one.prompt_tokens, one.new_tokens) for one in (local, strong))
    facts = (match, pairing.id, local.kind, local.cluster, pairing.first.value, pairing.same)
    return (*facts, *chain(*costs))


def _statements(script: str) -> Sequence[str]:
    """The statements of a script; executescript would end the transaction."""
    found, rest = [], ""
    for line in script.splitlines():
        rest += f"{line}\n"
        if sqlite3.complete_statement(rest):
            found.append(rest)
            rest = ""
    return found


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
