"""The archive and the live folder as one: which archived files a build reads beside those that are still there.

A version is left out where the live file begins with all its bytes, so that everything is read, and most of it once.
Copies of a record in two versions of a file are united by the reader of sessions, like all other copies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from data.extract.archive_index import ArchiveError, Entry, archived_folders, object_path, versions
from data.extract.archive_view import VIEW, view_names

_CHUNK = 1 << 20


class Archived(msgspec.Struct, frozen=True):
    """What only the archive holds: a folder in the layout of the live one, and the files in it that are to be read."""

    folder: Path = Path()
    files: frozenset[Path] = frozenset()

    def pick(self, find: Callable[[Path], Iterable[Path]]) -> list[Path]:
        """Those of the files that a source finds in the folder."""
        return [path for path in find(self.folder) if path in self.files] if self.files else []


NOTHING = Archived()


def only_archived(live: Path, archive_dir: Path) -> Archived:
    """The archived versions that a live folder lacks. An archive of other folders has nothing to do with this one.

    Raises ArchiveError where the archive is damaged.
    """
    if str(live.resolve()) not in archived_folders(archive_dir):
        return NOTHING
    known = versions(archive_dir)
    view = archive_dir / VIEW
    lacking = {
        view / name: entry
        for name, entry in view_names(known).items()
        if not _holds(live / entry.path, entry, entry is known[entry.path][-1], archive_dir)
    }
    for path, entry in lacking.items():
        if not path.is_file() or path.stat().st_size != entry.size:
            raise ArchiveError(f"{path} is missing or damaged. `python -m data.pipeline archive` lays it out again.")
    return Archived(view, frozenset(lacking))


def _holds(path: Path, entry: Entry, is_current: bool, archive_dir: Path) -> bool:
    """Whether a live file is a version, or a version with more at its end."""
    try:
        facts = path.stat()
        if is_current and (facts.st_size, facts.st_mtime_ns) == (entry.size, entry.mtime):
            return path.is_file()
        return facts.st_size >= entry.size and _begins_with(path, object_path(archive_dir, entry.hash))
    except OSError:
        return False


def _begins_with(path: Path, beginning: Path) -> bool:
    with path.open("rb") as whole, beginning.open("rb") as part:
        while chunk := part.read(_CHUNK):
            if whole.read(len(chunk)) != chunk:
                return False
    return True
