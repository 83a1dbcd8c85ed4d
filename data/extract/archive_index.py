"""What an archive of raw transcripts holds and where: the index of versions, and their bytes by hash.

An archive is a folder with `index.jsonl` (every version of every file), `objects/` (their bytes, named by hash),
`view/` (the same bytes under the names that they had, as hard links) and `folders.json` (what was archived).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import msgspec

from data.extract.unit import SourceError

INDEX = "index.jsonl"
FOLDERS = "folders.json"
TEMPORARY = "being-written-"  # begins the names of files that are not whole yet
_HASH = re.compile(r"[0-9a-f]{64}")


class ArchiveError(SourceError):
    """The archive cannot be written or read at all, in one sentence with the fix."""


class Entry(msgspec.Struct, frozen=True):
    """One version of a file: its path below the sessions folder, bytes, mtime in ns, and blake2b-256 as hex."""

    path: str
    size: int
    mtime: int
    hash: str


Known = Mapping[str, tuple[Entry, ...]]


def versions(archive_dir: Path) -> dict[str, tuple[Entry, ...]]:
    """Every file's versions, oldest first; the last one is current. Raises ArchiveError where the index is broken."""
    index = archive_dir / INDEX
    found: dict[str, list[Entry]] = {}
    try:
        lines = index.read_bytes().splitlines() if index.is_file() else []
    except OSError as error:
        raise ArchiveError(f"{index} cannot be read ({error.strerror}). Correct its permissions.") from None
    decoder = msgspec.json.Decoder(Entry)
    for number, line in enumerate(lines, 1):
        try:
            entry = decoder.decode(line)
        except (msgspec.MsgspecError, UnicodeError):
            entry = Entry("", 0, 0, "")
        if not _is_safe(entry):
            raise ArchiveError(f"{index}, line {number} is no entry. Restore or remove that line.")
        found.setdefault(entry.path, []).append(entry)
    return {path: tuple(entries) for path, entries in found.items()}


def _is_safe(entry: Entry) -> bool:
    """Whether path and hash stay inside the archive."""
    path = PurePosixPath(entry.path)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts and bool(_HASH.fullmatch(entry.hash))


def object_path(archive_dir: Path, digest: str) -> Path:
    """Where the archive keeps the bytes with this hash."""
    return archive_dir / "objects" / digest[:2] / digest


def archived_folders(archive_dir: Path) -> frozenset[str]:
    """The folders, as absolute paths, that were ever copied into an archive. Raises ArchiveError."""
    path = archive_dir / FOLDERS
    if not path.is_file():
        return frozenset()
    try:
        return msgspec.json.decode(path.read_bytes(), type=frozenset[str])
    except (OSError, msgspec.MsgspecError, UnicodeError):
        raise ArchiveError(
            f"{path} cannot be read. Remove it and run `python -m data.pipeline archive` again."
        ) from None
