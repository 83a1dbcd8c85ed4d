"""Writing a town: first whole into a hidden folder beside the target, then moved into its place in one step."""

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

MARK = "oddities.json"
"""Every town has this file; a folder without it is not ours to replace."""


class NotATownError(Exception):
    """The target holds something else; the message says what to do."""


def write_town(target: Path, files: Mapping[str, bytes]) -> None:
    """Put the files into `target`, replacing an older town there. Raises NotATownError for any other content."""
    check_target(target)
    replace_folder(target, files)


def replace_folder(target: Path, files: Mapping[str, bytes]) -> None:
    """Put a folder of just these files in place of `target`, in one move. Raises OSError where that cannot be."""
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        fill_folder(fresh, files)
        take_place(fresh, target)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def check_target(target: Path) -> None:
    """Refuse a file, and a folder with content that is no sample town."""
    if target.exists() and not target.is_dir():
        raise NotATownError(f"{target} is a file. Give a folder to --out.")
    if target.is_dir() and any(target.iterdir()) and not (target / MARK).is_file():
        raise NotATownError(f"{target} is not empty and holds no sample town. Give another folder to --out.")


def fill_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write every file below the folder, with the permissions of a normal folder."""
    folder.chmod(0o755)
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def take_place(fresh: Path, target: Path) -> None:
    """Move the new folder into the place of the old one."""
    if target.is_dir() and any(target.iterdir()):
        old = Path(tempfile.mkdtemp(prefix=f".{target.name}.old.", dir=target.parent))
        target.replace(old)
        fresh.replace(target)
        shutil.rmtree(old)
        return
    fresh.replace(target)
