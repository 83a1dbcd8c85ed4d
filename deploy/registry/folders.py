"""The folders of versions, `<root>/adapters/<role>/v<N>`: made whole or not at all, and checked byte for byte.

A new training and `scripts/pull_adapter.sh` replace `<root>/adapters/<run>` under the same lock and keep the versions
in it; while they do, what was there lies in `.old-<run>`.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deploy.adapter import CONFIG, PUBLISHABLE, WEIGHTS, Refusal, check_weights, read_object

STAGED = ".v-unfinished"
REPLACED = ".old-"  # before the name of a run: its folder while another one takes its place
VERSION_FILE = "version.json"
RUN_FILE = "run.json"
RECIPE = "config.yml"
FOLDER = re.compile(r"v([1-9][0-9]*)")
# A role is the name of folders, and of models for clients.
ROLE = re.compile(r"[a-z][a-z0-9_-]{0,63}")


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Nobody else changes what lies in this folder meanwhile; a process that dies lets go of it."""
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def check_adapter(folder: Path) -> dict[str, Any]:
    """adapter_config.json of a whole adapter. Raises `Refusal`."""
    if not folder.is_dir():
        raise Refusal(f"{folder} does not exist. Train an adapter first (make train ROLE=...), or fetch one.")
    missing = [name for name in (CONFIG, WEIGHTS) if not (folder / name).is_file()]
    if missing:
        raise Refusal(f"{folder} is not an adapter folder: it has no {' and no '.join(missing)}.")
    check_weights(folder / WEIGHTS)
    return read_object(folder / CONFIG)


def stage(adapter: Path, role_folder: Path, made: Mapping[str, bytes]) -> tuple[Path, dict[str, str]]:
    """A hidden copy of what belongs to a version with the files `made` for it, on disk, and the hash of each file."""
    staged = role_folder / STAGED
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir(parents=True)
    for name in (*PUBLISHABLE, RUN_FILE):
        if (adapter / name).is_file():
            shutil.copyfile(adapter / name, staged / name)
    for name, content in made.items():
        (staged / name).write_bytes(content)
    files = sorted(staged.iterdir())
    for path in files:
        _keep(path)
    return staged, {path.name: file_sha256(path) for path in files}


def put_in_place(staged: Path, number: int, about: Mapping[str, Any]) -> Path:
    """The staged folder as v<number>; version.json is its last file, so that its presence means that it is whole."""
    path = staged / VERSION_FILE
    path.write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    _keep(path)
    _sync(staged)
    folder = staged.with_name(f"v{number}")
    staged.rename(folder)
    _sync(folder.parent)
    return folder


def _keep(path: Path) -> None:
    path.chmod(0o444)
    _sync(path)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def file_sha256(path: Path) -> str:
    """Hex digest of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def faults(folder: Path, files: Mapping[str, str]) -> Iterator[str]:
    """What is wrong with the files of a version; one phrase each."""
    there = {path.name for path in folder.iterdir()} - {VERSION_FILE} if folder.is_dir() else set()
    for name, digest in files.items():
        if name not in there:
            yield f"{name} is missing"
        elif file_sha256(folder / name) != digest:
            yield f"{name} was changed"
    yield from (f"{name} was added" for name in sorted(there - set(files)))


def numbers(role_folder: Path) -> dict[int, Path]:
    """The version folders of a role on disk."""
    found = (path for path in role_folder.glob("v*") if path.is_dir())
    return {int(match[1]): path for path in sorted(found) if (match := FOLDER.fullmatch(path.name))}


def all_versions(adapters: Path) -> Iterator[Path]:
    """The version folders of all roles; an adapter that is being put in place is none."""
    for role_folder in sorted(adapters.glob("*/")):
        if ROLE.fullmatch(role_folder.name):
            yield from numbers(role_folder).values()


def put_back(replaced: Path) -> None:
    """What a killed command left in `.old-<run>` goes back to its place, or away where the new one is there."""
    place = replaced.with_name(replaced.name.removeprefix(REPLACED))
    if place.exists():
        shutil.rmtree(replaced)
    else:
        replaced.rename(place)
