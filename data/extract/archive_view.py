"""The archive as a tree of files: every version under a name, by hard links to the objects.

Readers need names: a transcript's folder is its project, and what was stored apart lies beside it. The current version
has the name that it has in the live folder, those before a name of their own beside it.
"""

from __future__ import annotations

import filecmp
import shutil
from contextlib import suppress
from pathlib import Path, PurePosixPath

from data.extract.archive_index import TEMPORARY, Entry, Known, object_path

VIEW = "view"
_LONGEST_STEM = 200  # bytes; with mark and suffix a name stays below the 255 of common file systems


def view_names(known: Known) -> dict[str, Entry]:
    """The name below `view/` of every version."""
    folders = {str(folder) for path in known for folder in PurePosixPath(path).parents}
    names: dict[str, Entry] = {}
    for path, (*earlier, current) in known.items():
        names |= {_marked(entry): entry for entry in earlier}
        names[path if path not in folders else _marked(current)] = current
    return names


def _marked(entry: Entry) -> str:
    """A name for a version beside the file's own; up to the first dot it is the same, as in copies of sessions."""
    path = PurePosixPath(entry.path)
    stem = path.stem.encode()[:_LONGEST_STEM].decode("utf-8", "ignore")
    return str(path.with_name(f"{stem}.version-{entry.hash[:16]}{path.suffix[:20]}"))


def lay_out(archive_dir: Path, known: Known) -> None:
    """Make `view/` show every version under its name, and nothing else."""
    view = archive_dir / VIEW
    view.mkdir(mode=0o700, exist_ok=True)
    names = view_names(known)
    for path in [path for path in view.rglob("*") if not path.is_dir()]:
        if path.relative_to(view).as_posix() not in names:
            path.unlink()
            _remove_empty(path.parent, view)
    for name, entry in names.items():
        _show(object_path(archive_dir, entry.hash), view / name, archive_dir)


def _remove_empty(folder: Path, top: Path) -> None:
    with suppress(OSError):  # it is not empty
        while folder != top:
            folder.rmdir()
            folder = folder.parent


def _show(content: Path, place: Path, archive_dir: Path) -> None:
    """Link an object to its place; on a file system without hard links, copy it there."""
    if place.exists() and (place.samefile(content) or filecmp.cmp(place, content, shallow=False)):
        return
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = archive_dir / f"{TEMPORARY}link"
    temporary.unlink(missing_ok=True)
    try:
        temporary.hardlink_to(content)
    except OSError:
        shutil.copy(content, temporary)
    temporary.replace(place)
