"""Puts the folder of a finished adapter in the place of the one before.

The registry (`python -m deploy.registry`) keeps versions of a role in that folder, `v1`, `v2` and so on,
and scripts/pull_adapter.sh replaces it too. All three hold the lock of the folder above it, and who replaces it links
the versions into the new one first: killed at any moment, nothing is lost. Meanwhile `.old-NAME` holds the one before.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

REPLACED: Final = ".old-"


def put_in_place(unfinished: Path, adapter: Path) -> None:
    """Make `unfinished` the adapter, with the versions that lie in the one before; all of it or nothing."""
    replaced = adapter.with_name(f"{REPLACED}{adapter.name}")
    with locked(adapter.parent):
        settle(replaced, adapter)
        for version in versions_in(adapter):
            shutil.copytree(version, unfinished / version.name, copy_function=link)
        try:
            if adapter.exists():
                adapter.rename(replaced)
            unfinished.rename(adapter)
        finally:
            settle(replaced, adapter)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Nobody else replaces what lies in this folder; a process that dies lets go of it."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def settle(replaced: Path, adapter: Path) -> None:
    """The one before goes away where the new one is in place, and back where it is not."""
    if replaced.exists() and not adapter.exists():
        replaced.rename(adapter)
    shutil.rmtree(replaced, ignore_errors=True)


def versions_in(adapter: Path) -> list[Path]:
    return sorted(path for path in adapter.glob("v[1-9]*") if path.is_dir())


def link(source: str, target: str) -> None:
    """The same file under another name; a copy where the disk knows no links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
