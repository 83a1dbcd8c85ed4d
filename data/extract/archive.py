"""Keeps raw transcripts before the agent deletes them (Claude Code does after 30 days).

`python -m data.pipeline archive --sessions ~/.claude/projects --archive output/archive` copies what is new or
has changed into the archive, where nothing is ever lost again. Nothing is redacted here, so everything is readable
by its owner alone. Run it as often as you like; a cron job is a good place.
"""

from __future__ import annotations

import fcntl
import os
import stat
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, BinaryIO

import msgspec

from data.counted import counted
from data.extract.archive_index import (
    FOLDERS,
    INDEX,
    TEMPORARY,
    ArchiveError,
    Entry,
    Known,
    archived_folders,
    object_path,
    versions,
)
from data.extract.archive_view import lay_out
from data.progress import watched

EXPIRE_DAYS = 30  # cleanupPeriodDays of Claude Code, counted from a file's last change
WARN_DAYS = 7
_LOCK = "lock"
_CHUNK = 1 << 20
_SECONDS_A_DAY = 86_400


class ArchiveReport(msgspec.Struct, frozen=True):
    """What one run did. `expiring` counts files that the agent deletes within a week; `unreadable` has reasons."""

    new: int = 0
    grown: int = 0
    rewritten: int = 0
    unchanged: int = 0
    expiring: int = 0
    copied_bytes: int = 0
    unreadable: tuple[str, ...] = ()


def run(sessions: Path, archive_dir: Path, expire_days: int = EXPIRE_DAYS) -> int:
    """The command: archive, say what was done, and 1 where something could not be read. Raises ArchiveError."""
    report = archive(sessions.expanduser(), archive_dir.expanduser(), expire_days)
    for problem in report.unreadable:
        print(f"{problem}. It is not archived; correct that and run again.", file=sys.stderr)
    print(summary(report, archive_dir))
    return 1 if report.unreadable else 0


def summary(report: ArchiveReport, archive_dir: Path) -> str:
    """The run in two sentences."""
    fates = ("new", "grown", "rewritten", "unchanged")
    total = sum(getattr(report, fate) for fate in fates)
    parts = ", ".join(f"{getattr(report, fate)} {fate}" for fate in fates)
    saved = f"Archived {counted(total, 'file')} in {archive_dir} ({parts}; {report.copied_bytes / 1e6:.1f} MB copied)."
    if not report.expiring:
        return f"{saved} None of them expires within {WARN_DAYS} days."
    return f"{saved} The agent deletes {report.expiring} of them within {WARN_DAYS} days; here they stay."


def archive(
    sessions: Path, archive_dir: Path, expire_days: int = EXPIRE_DAYS, now: float | None = None
) -> ArchiveReport:
    """Copy what the archive does not have yet. A file that only grew replaces its earlier version, whose bytes it
    contains; a file that was rewritten adds a version. Raises ArchiveError."""
    if not sessions.is_dir():
        raise ArchiveError(f"{sessions} is not a folder. Give the transcripts' folder with --sessions.")
    inside = archive_dir.resolve().is_relative_to(sessions.resolve())
    if inside or sessions.resolve().is_relative_to(archive_dir.resolve()):
        raise ArchiveError(
            f"{archive_dir} and {sessions} lie in each other. Choose an archive outside of it with --archive."
        )
    try:
        if archive_dir.is_dir() and any(archive_dir.iterdir()) and not (archive_dir / _LOCK).exists():
            raise ArchiveError(f"{archive_dir} holds other files. Choose an empty or new folder with --archive.")
        with _locked(archive_dir):
            return _archive(sessions, archive_dir, expire_days, time.time() if now is None else now)
    except OSError as error:
        raise ArchiveError(
            f"{archive_dir} cannot be written ({error.strerror}). Free some space there or choose another --archive."
        ) from None


def _archive(sessions: Path, archive_dir: Path, expire_days: int, now: float) -> ArchiveReport:
    before = _open_index(archive_dir)
    known = dict(before)
    counts = dict.fromkeys(("new", "grown", "rewritten", "unchanged", "expiring", "copied_bytes"), 0)
    unreadable: list[str] = []
    try:
        files = list(_files(sessions, unreadable))
        for path, _ in watched(files, [size for _, size in files], "archiving"):
            name = os.fsencode(path.relative_to(sessions).as_posix()).decode("utf-8", "backslashreplace")
            try:
                fate, known[name] = _keep(path, name, known.get(name, ()), archive_dir)
            except _SourceGone:
                continue
            except _SourceUnreadable as error:
                unreadable.append(f"{path}: {error}")
                continue
            entry = known[name][-1]
            counts[fate] += 1
            counts["copied_bytes"] += 0 if fate == "unchanged" else entry.size
            age_days = (now - entry.mtime / 1e9) / _SECONDS_A_DAY
            counts["expiring"] += age_days >= expire_days - WARN_DAYS
    finally:  # what was copied before the disk was full, or somebody lost patience, stays
        _list(archive_dir, sessions, before, known)
    return ArchiveReport(**counts, unreadable=tuple(unreadable))


def _list(archive_dir: Path, sessions: Path, before: Known, known: Known) -> None:
    """Write down what there is now, and then remove what a longer version contains."""
    _write_index(archive_dir, known)
    _write_folders(archive_dir, sessions)
    lay_out(archive_dir, known)
    _remove_contained(archive_dir, before, known)


def _open_index(archive_dir: Path) -> dict[str, tuple[Entry, ...]]:
    """The versions so far. A new archive gets an empty index at once, so that a missing one is known to be lost."""
    if not (archive_dir / INDEX).exists():
        if next(archive_dir.glob("objects/*/*"), None):
            raise ArchiveError(f"{archive_dir / INDEX} is missing. Restore it, or choose another --archive.")
        _write_index(archive_dir, {})
    return versions(archive_dir)


class _SourceUnreadable(Exception):
    """One transcript could not be read; the others can."""


class _SourceGone(Exception):
    """One transcript was deleted since its folder was listed."""


def _files(sessions: Path, unreadable: list[str]) -> Iterator[tuple[Path, int]]:
    """Regular files below a folder with their sizes, in order of path. Links are not followed."""

    def name_it(error: OSError) -> None:
        unreadable.append(f"{error.filename}: {error.strerror}")

    for folder, folders, names in os.walk(sessions, onerror=name_it):
        folders.sort()
        for name in sorted(names):
            path = Path(folder, name)
            try:
                facts = path.lstat()
                if stat.S_ISREG(facts.st_mode):
                    yield path, facts.st_size
            except FileNotFoundError:
                continue
            except OSError as error:
                name_it(error)


def _keep(path: Path, name: str, known: tuple[Entry, ...], archive_dir: Path) -> tuple[str, tuple[Entry, ...]]:
    """What became of a file, and its versions now."""
    try:
        source = path.open("rb")
    except FileNotFoundError:
        raise _SourceGone from None
    except OSError as error:
        raise _SourceUnreadable(error.strerror) from None
    last = known[-1] if known else None
    with source:
        facts = os.fstat(source.fileno())
        if last and (last.size, last.mtime) == (facts.st_size, facts.st_mtime_ns) and _has(archive_dir, last):
            return "unchanged", known
        size, digest, beginning = _copy(source, archive_dir, last.size if last else 0)
    entry = Entry(name, size, facts.st_mtime_ns, digest)
    if last is None:
        return "new", (entry,)
    if digest == last.hash:
        return "unchanged", (*known[:-1], entry)
    earlier = known[:-1] if beginning == last.hash else known
    fate = "rewritten" if earlier is known else "grown"
    return fate, (*(version for version in earlier if version.hash != digest), entry)


def _has(archive_dir: Path, entry: Entry) -> bool:
    return object_path(archive_dir, entry.hash).is_file()


def _copy(source: BinaryIO, archive_dir: Path, beginning: int) -> tuple[int, str, str]:
    """Store the bytes under their hash. Returns their number, their hash, and the hash of the first `beginning`."""
    whole, first, size = blake2b(digest_size=32), blake2b(digest_size=32), 0
    with _temporary(archive_dir) as target:
        while chunk := _read(source):
            first.update(chunk[: max(beginning - size, 0)])
            whole.update(chunk)
            size += len(chunk)
            target.write(chunk)
        os.fchmod(target.fileno(), 0o400)
        _commit(target, object_path(archive_dir, whole.hexdigest()))
    return size, whole.hexdigest(), first.hexdigest()


def _read(source: BinaryIO) -> bytes:
    try:
        return source.read(_CHUNK)
    except OSError as error:
        raise _SourceUnreadable(error.strerror) from None


def _write_index(archive_dir: Path, known: Known) -> None:
    lines = (msgspec.json.encode(entry) + b"\n" for name in sorted(known) for entry in known[name])
    _write(archive_dir, archive_dir / INDEX, lines)


def _write_folders(archive_dir: Path, sessions: Path) -> None:
    """Remember which folder was archived: a build reads the archive of the folder that it is given, and no other."""
    before = archived_folders(archive_dir)
    folders = before | {str(sessions.resolve())}
    if folders != before:
        _write(archive_dir, archive_dir / FOLDERS, [msgspec.json.encode(sorted(folders))])


def _write(archive_dir: Path, place: Path, content: Iterable[bytes]) -> None:
    with _temporary(archive_dir) as target:
        target.writelines(content)
        _commit(target, place)


def _remove_contained(archive_dir: Path, before: Known, known: Known) -> None:
    """Remove the objects that a longer version contains, and what a killed run left, once the index is written."""
    old, new = ({entry.hash for entries in of.values() for entry in entries} for of in (before, known))
    for path in [*(object_path(archive_dir, digest) for digest in old - new), *archive_dir.glob(TEMPORARY + "*")]:
        path.unlink(missing_ok=True)


@contextmanager
def _temporary(archive_dir: Path) -> Iterator[IO[bytes]]:
    """A file that only its owner can read, and that is gone afterwards unless it was committed."""
    with NamedTemporaryFile(dir=archive_dir, prefix=TEMPORARY, delete=False) as target:
        try:
            yield target
        finally:
            Path(target.name).unlink(missing_ok=True)


def _commit(target: IO[bytes], place: Path) -> None:
    target.flush()
    os.fsync(target.fileno())
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    Path(target.name).replace(place)


@contextmanager
def _locked(archive_dir: Path) -> Iterator[None]:
    """One run at a time; a second one waits."""
    archive_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    archive_dir.chmod(0o700)
    with (archive_dir / _LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
