"""Goes through the commits of a branch: what each was for, which files it changed, and the diff that answers.

Every commit on the branch is one change against its first parent: a merge, a squashed pull request, an ordinary commit.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

import msgspec
from msgspec.structs import replace

from data.extract.knowledge import located, pair
from data.extract.pulls_diff import File, Left, attributes_of, diffs_of, files_of
from data.extract.pulls_find import Pull
from data.extract.pulls_git import View
from data.extract.pulls_text import is_bot, is_revert, is_test, read_message, reverted_by, task_of_pull
from data.extract.unit import Unit
from data.files import shown
from data.record import Conversation, Drop
from data.signals.facts import Fact

STAGE = "pulls"
FILES = "files of pulls"  # the stage of drops whose records are files
REVERTS = 2000  # commits above a part in which one of it can be taken back
MAX_FILES = 2000  # of a commit that is looked at more closely
ASKED = "Write the change as a unified diff."
_FENCE = re.compile(r"`{3,}")
_FORMAT = "--format=%H%x1f%P%x1f%ct%x1f%an%x1f%B"


class Reason(StrEnum):
    """Why a commit is no example."""

    FIRST = "first commit"
    BOT = "by a bot"
    REVERT = "takes another change back"
    REVERTED = "taken back later"
    NO_TEXT = "merge without a description"
    FEW_WORDS = "message of too few words"
    NO_CHANGE = "no file changed"
    NOT_WRITTEN = "only files that nobody wrote"
    MANY_FILES = "too many files"
    MANY_LINES = "too many changed lines"
    TOO_LONG = "diff too long"
    NOT_UTF8 = "diff that is not UTF-8"
    UNREADABLE = "git cannot read it"
    BROKEN_EXPORT = "file of pull requests that cannot be read"


class Commit(msgspec.Struct, frozen=True):
    """A commit on the branch, its first parent, and what it was for once that is known."""

    sha: str
    parent: str
    time: int
    author: str
    message: str
    task: str = ""
    number: int = 0


class Miner:
    """Goes through the commits of a unit: first what was asked for, then which files changed, then the diffs."""

    def __init__(self, view: View, unit: Unit, pulls: Sequence[Pull]) -> None:
        self._view = view
        self._unit = unit
        self._config = unit.pulls
        self._name, _, self._tip = unit.name.rpartition("@")
        self._by_sha = {pull.sha: pull for pull in pulls if pull.sha}
        self._by_number = {pull.number: pull for pull in pulls if pull.number}

    def changes(self, since: int) -> Iterator[Conversation | Drop]:
        asked: dict[str, Commit] = {}
        for item in self._asked(since):
            if isinstance(item, Commit):
                asked[item.sha] = item
            else:
                yield item
        chosen: dict[str, list[File]] = {}
        for sha, files, why in self._judged(asked):
            yield from self._left(sha, files)
            if why:
                yield drop_of(self._unit, why, sha, _counted(files))
            else:
                chosen[sha] = files
        visible = {
            sha: [file.left is None for file in files for _ in range(file.diffs)] for sha, files in chosen.items()
        }
        for sha, diff in diffs_of(self._view, _with_parents(asked, chosen), visible):
            yield self._made(asked[sha], chosen[sha], diff)

    def _asked(self, since: int) -> Iterator[Commit | Drop]:
        """The commits of the unit of which it is known what they were for."""
        skip, count, _ = self._unit.part
        above = max(skip - REVERTS, 0)
        reverted = tuple(
            sha for commit in self._log(above, skip - above + count) for sha in reverted_by(commit.message)
        )
        for commit in self._log(skip, count):
            if commit.time < since:
                continue
            read = read_message(commit.message)
            pull = self._by_sha.get(commit.sha) or self._by_number.get(read.number)
            task = task_of_pull(pull) if pull else read.task
            known = replace(commit, task=task, number=pull.number if pull else read.number)
            if why := self._why_not(known, read.merge, reverted):
                yield drop_of(self._unit, why, commit.sha)
            else:
                yield known

    def _log(self, skip: int, count: int) -> Iterator[Commit]:
        words = [
            "log",
            "-z",
            "--first-parent",
            f"--skip={skip}",
            f"--max-count={count}",
            "--no-patch",
            _FORMAT,
            self._tip,
        ]
        with self._view.stream(words) as said:
            for text in said.read().decode("utf-8", "replace").split("\0"):
                sha, parents, time, author, message = (*text.strip("\n").split("\x1f", 4), *[""] * 5)[:5]
                if sha:
                    yield Commit(sha, parents.split(" ")[0], int(time), author, message)

    def _why_not(self, commit: Commit, merge: bool, reverted: tuple[str, ...]) -> Reason | None:
        words = len(commit.task.split())
        checks = (
            (Reason.FIRST, not commit.parent),
            (Reason.BOT, is_bot(commit.author)),
            (Reason.REVERT, is_revert(commit.message)),
            (Reason.REVERTED, any(commit.sha.startswith(sha) for sha in reverted)),
            (Reason.NO_TEXT, merge and not words),
            (Reason.FEW_WORDS, words < self._config.min_words),
        )
        return next((why for why, holds in checks if holds), None)

    def _judged(self, asked: Mapping[str, Commit]) -> Iterator[tuple[str, list[File], Reason | None]]:
        """The files of each commit with why they are not shown, and why the commit is no example."""
        touched = {
            sha: files for sha, files in files_of(self._view, _with_parents(asked, asked)) if len(files) <= MAX_FILES
        }
        paths = {file.path for files in touched.values() for file in files if file.left is None}
        named = [re.compile(pattern) for pattern in self._config.leave_out]
        left: dict[str, Left | None] = dict(attributes_of(self._view, self._tip, sorted(paths)) if paths else {})
        left |= {path: Left.NAMED for path in paths if any(pattern.search(path) for pattern in named)}
        for sha in asked:
            if sha not in touched:
                yield sha, [], Reason.MANY_FILES
                continue
            files = [file if file.left else replace(file, left=left.get(file.path)) for file in touched.pop(sha)]
            yield sha, files, self._why_not_files(files)

    def _why_not_files(self, files: Sequence[File]) -> Reason | None:
        written = [file for file in files if file.left is None]
        checks = (
            (Reason.NO_CHANGE, not files),
            (Reason.NOT_WRITTEN, not written),
            (Reason.MANY_FILES, len(written) > self._config.max_files),
            (Reason.MANY_LINES, sum(file.lines for file in written) > self._config.max_lines),
        )
        return next((why for why, holds in checks if holds), None)

    def _left(self, sha: str, files: Sequence[File]) -> Iterator[Drop]:
        """The files of a commit that are not shown, by reason."""
        for why in Left:
            if paths := [file.path for file in files if file.left is why]:
                detail = f"{', '.join(paths[:3])}{', ...' if len(paths) > 3 else ''}"
                yield replace(drop_of(self._unit, why, sha, detail, len(paths)), stage=FILES)

    def _made(self, commit: Commit, files: Sequence[File], diff: bytes | None) -> Conversation | Drop:
        if diff is None:
            return drop_of(self._unit, Reason.TOO_LONG, commit.sha)
        try:
            text = diff.decode("utf-8")
        except UnicodeDecodeError:
            return drop_of(self._unit, Reason.NOT_UTF8, commit.sha)
        fence = "`" * max([3, *(len(run) + 1 for run in _FENCE.findall(text))])
        started = datetime.fromtimestamp(commit.time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        origin = located(STAGE, commit.sha, Path(_folder(self._unit)), 0, started=started)
        made = pair(
            f"{commit.task}\n\n{ASKED}",
            f"{fence}diff\n{text}{fence}",
            origin=origin,
            key=self._key(),
            role=self._unit.role,
        )
        return replace(made, facts=(Fact.MERGE.value,), about=self._about(commit, files))

    def _key(self) -> str:
        """Tells the copies of a commit in several clones apart."""
        return ":".join(filter(None, (self._name, self._unit.role, str(self._unit.copy or ""))))

    def _about(self, commit: Commit, files: Sequence[File]) -> dict[str, str]:
        written = [file.path for file in files if file.left is None]
        about = {"commit": commit.sha, "repository": self._name, "files": ", ".join(written)}
        about["tests"] = "touched" if any(map(is_test, written)) else "not touched"
        return about | ({"pull_request": str(commit.number)} if commit.number else {})


def _with_parents(asked: Mapping[str, Commit], shas: Mapping[str, object]) -> list[tuple[str, str]]:
    return [(sha, asked[sha].parent) for sha in shas]


def _counted(files: Sequence[File]) -> str:
    """How many files a commit touched, and how many of them are not shown for which reason."""
    why = Counter(file.left.value for file in files if file.left)
    lines = sum(file.lines for file in files if file.left is None)
    return "; ".join(
        [f"{len(files)} files, {lines} lines written", *(f"{n} {name}" for name, n in sorted(why.items()))]
    )


def _folder(unit: Unit) -> str:
    """The folder of the repository: where .git is, or the bare repository itself."""
    mark = Path(unit.files[0])
    return str(mark.parent.parent if mark.parent.name == ".git" else mark.parent)


def drop_of(unit: Unit, reason: str, sha: str, detail: str = "", records: int = 1) -> Drop:
    return Drop(STAGE, str(reason), sha, detail, shown(Path(_folder(unit))), records=records)
