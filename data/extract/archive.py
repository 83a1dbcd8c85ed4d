"""Keeps raw transcripts before the agent deletes them (Claude Code does after 30 days).

`python -m data.extract.archive --sessions ~/.claude/projects --archive output/archive` copies what is new or
has changed into `objects/`, named by content, and lists every version in `index.jsonl`. Nothing is redacted
here, so everything is readable by its owner alone. Run it as often as you like; a cron job is a good place.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, BinaryIO

import msgspec

EXPIRE_DAYS = 30  # cleanupPeriodDays of Claude Code, counted from a file's last change
WARN_DAYS = 7
INDEX = "index.jsonl"
_LOCK = "lock"
_TEMPORARY = "being-written-"
_HEX = 64  # digits of a hash
_CHUNK = 1 << 20
_SECONDS_A_DAY = 86_400


class ArchiveError(Exception):
    """The archive cannot be written or read at all, in one sentence with the fix."""


class Entry(msgspec.Struct, frozen=True):
    """One version of a file: its path below the sessions folder, bytes, mtime in ns, and blake2b-256 as hex."""

    path: str
    size: int
    mtime: int
    hash: str


class ArchiveReport(msgspec.Struct, frozen=True):
    """What one run did. `expiring` counts files that the agent deletes within a week; `unreadable` has reasons."""

    new: int = 0
    grown: int = 0
    rewritten: int = 0
    unchanged: int = 0
    expiring: int = 0
    copied_bytes: int = 0
    unreadable: tuple[str, ...] = ()


def archive(
    sessions: Path, archive_dir: Path, expire_days: int = EXPIRE_DAYS, now: float | None = None
) -> ArchiveReport:
    """Copy what the archive does not have yet. A file that only grew replaces its earlier version, whose bytes it
    contains; a file that was rewritten adds a version. Raises ArchiveError."""
    if not sessions.is_dir():
        raise ArchiveError(f"{sessions} is not a folder. Give the transcripts' folder with --sessions.")
    if archive_dir.resolve().is_relative_to(sessions.resolve()):
        raise ArchiveError(f"{archive_dir} lies in {sessions}. Choose an archive outside of it with --archive.")
    if archive_dir.is_dir() and any(archive_dir.iterdir()) and not (archive_dir / _LOCK).exists():
        raise ArchiveError(f"{archive_dir} holds other files. Choose an empty or new folder with --archive.")
    try:
        with _locked(archive_dir):
            return _archive(sessions, archive_dir, expire_days, time.time() if now is None else now)
    except OSError as error:
        raise ArchiveError(
            f"{archive_dir} cannot be written ({error.strerror}). Free some space there or choose another --archive."
        ) from None


def versions(archive_dir: Path) -> dict[str, tuple[Entry, ...]]:
    """Every file's versions, oldest first; the last one is current. Raises ArchiveError where the index is broken."""
    index = archive_dir / INDEX
    found: dict[str, tuple[Entry, ...]] = {}
    if not index.is_file():
        return found
    for number, line in enumerate(index.read_bytes().splitlines(), 1):
        try:
            entry = msgspec.json.decode(line, type=Entry)
        except msgspec.DecodeError:
            raise ArchiveError(f"{index}, line {number} is no entry. Restore or remove that line.") from None
        found[entry.path] = (*found.get(entry.path, ()), entry)
    return found


def object_path(archive_dir: Path, digest: str) -> Path:
    """Where the archive keeps the bytes with this hash."""
    return archive_dir / "objects" / digest[:2] / digest


def _archive(sessions: Path, archive_dir: Path, expire_days: int, now: float) -> ArchiveReport:
    known = versions(archive_dir)
    counts = dict.fromkeys(("new", "grown", "rewritten", "unchanged", "expiring", "copied_bytes"), 0)
    unreadable: list[str] = []
    for path in _files(sessions, unreadable):
        name = os.fsencode(path.relative_to(sessions).as_posix()).decode("utf-8", "backslashreplace")
        try:
            fate, entries = _keep(path, name, known.get(name, ()), archive_dir)
        except _SourceUnreadable as error:
            unreadable.append(f"{path}: {error}")
            continue
        known[name] = entries
        counts[fate] += 1
        counts["copied_bytes"] += 0 if fate == "unchanged" else entries[-1].size
        age_days = (now - entries[-1].mtime / 1e9) / _SECONDS_A_DAY
        counts["expiring"] += age_days >= expire_days - WARN_DAYS
    _write_index(archive_dir, known)
    _remove_unlisted(archive_dir, known)
    return ArchiveReport(**counts, unreadable=tuple(unreadable))


class _SourceUnreadable(Exception):
    """One transcript could not be read; the others can."""


def _files(sessions: Path, unreadable: list[str]) -> Iterator[Path]:
    """Regular files below a folder, in order of path. Links are not followed."""

    def name_it(error: OSError) -> None:
        unreadable.append(f"{error.filename}: {error.strerror}")

    for folder, folders, names in os.walk(sessions, onerror=name_it):
        folders.sort()
        for name in sorted(names):
            path = Path(folder, name)
            if path.is_file() and not path.is_symlink():
                yield path


def _keep(path: Path, name: str, known: tuple[Entry, ...], archive_dir: Path) -> tuple[str, tuple[Entry, ...]]:
    """What became of a file, and its versions now."""
    try:
        source = path.open("rb")
    except OSError as error:
        raise _SourceUnreadable(error.strerror) from None
    last = known[-1] if known else None
    with source:
        stat = os.fstat(source.fileno())
        if last and (last.size, last.mtime) == (stat.st_size, stat.st_mtime_ns) and _has(archive_dir, last):
            return "unchanged", known
        size, digest, beginning = _copy(source, archive_dir, last.size if last else 0)
    entry = Entry(name, size, stat.st_mtime_ns, digest)
    if last is None:
        return "new", (entry,)
    if digest == last.hash:
        return "unchanged", (*known[:-1], entry)
    if beginning == last.hash:
        return "grown", (*known[:-1], entry)
    return "rewritten", (*known, entry)


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
        _commit(target, object_path(archive_dir, whole.hexdigest()))
    return size, whole.hexdigest(), first.hexdigest()


def _read(source: BinaryIO) -> bytes:
    try:
        return source.read(_CHUNK)
    except OSError as error:
        raise _SourceUnreadable(error.strerror) from None


def _write_index(archive_dir: Path, known: dict[str, tuple[Entry, ...]]) -> None:
    with _temporary(archive_dir) as target:
        for name in sorted(known):
            target.writelines(msgspec.json.encode(entry) + b"\n" for entry in known[name])
        _commit(target, archive_dir / INDEX)


@contextmanager
def _temporary(archive_dir: Path) -> Iterator[IO[bytes]]:
    """A file that only its owner can read, and that is gone afterwards unless it was committed."""
    with NamedTemporaryFile(dir=archive_dir, prefix=_TEMPORARY, delete=False) as target:
        try:
            yield target
        finally:
            Path(target.name).unlink(missing_ok=True)


def _commit(target: IO[bytes], place: Path) -> None:
    target.flush()
    os.fsync(target.fileno())
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    Path(target.name).replace(place)


def _remove_unlisted(archive_dir: Path, known: dict[str, tuple[Entry, ...]]) -> None:
    """Remove the objects that a longer version contains, and what a killed run left, once the index is written."""
    listed = {entry.hash for entries in known.values() for entry in entries}
    for path in [*archive_dir.glob("objects/??/" + "?" * _HEX), *archive_dir.glob(_TEMPORARY + "*")]:
        if path.name not in listed:
            path.unlink()


@contextmanager
def _locked(archive_dir: Path) -> Iterator[None]:
    """One run at a time; a second one waits."""
    archive_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    archive_dir.chmod(0o700)
    with (archive_dir / _LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main(arguments: list[str] | None = None) -> int:
    """The command line. 1 where something could not be read or written, with the reason on stderr."""
    parser = argparse.ArgumentParser(prog="python -m data.extract.archive", description=__doc__)
    parser.add_argument("--sessions", type=Path, default=Path("~/.claude/projects"), help="folder with transcripts")
    parser.add_argument("--archive", type=Path, default=Path("output/archive"), help="folder that keeps them")
    parser.add_argument("--expire-days", type=int, default=EXPIRE_DAYS, help="the agent's cleanupPeriodDays")
    options = parser.parse_args(arguments)
    try:
        report = archive(options.sessions.expanduser(), options.archive.expanduser(), options.expire_days)
    except ArchiveError as error:
        print(error, file=sys.stderr)
        return 1
    for problem in report.unreadable:
        print(f"{problem}. Correct its permissions and run again.", file=sys.stderr)
    print(summary(report))
    return 1 if report.unreadable else 0


def summary(report: ArchiveReport) -> str:
    """The run in one line."""
    fates = ("new", "grown", "rewritten", "unchanged")
    total = sum(getattr(report, fate) for fate in fates)
    parts = ", ".join(f"{getattr(report, fate)} {fate}" for fate in fates)
    size = report.copied_bytes / 1e6
    return f"archived {total} files ({parts}; {size:.1f} MB copied); {report.expiring} expire within {WARN_DAYS} days"


if __name__ == "__main__":
    sys.exit(main())
