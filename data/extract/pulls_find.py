"""Finds git repositories, and the exported pull requests beside them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from data.files import open_regular

DEPTH = 2  # folders below the given one: repositories are kept as name, or as owner/name
MAX_EXPORT = 256 * 2**20  # bytes


class Found(msgspec.Struct, frozen=True):
    """A repository: its name below the source, its folder, and the file that makes it one.

    That is `.git/HEAD`, the file `.git` of a further worktree, or `HEAD` of a bare one.
    """

    name: str
    folder: Path
    mark: Path

    @property
    def git_dir(self) -> Path:
        return git_dir(self.mark)


class Commit(msgspec.Struct, frozen=True):
    oid: str = ""


class Pull(msgspec.Struct, frozen=True):
    """A pull request as `gh pr list --json number,title,body,mergeCommit` or GitHub's REST interface writes it."""

    number: int = 0
    title: str = ""
    body: str | None = None
    merge_commit_sha: str | None = None
    merge_commit: Commit | None = msgspec.field(name="mergeCommit", default=None)

    @property
    def sha(self) -> str:
        return self.merge_commit_sha or (self.merge_commit.oid if self.merge_commit else "")


def git_dir(mark: Path) -> Path:
    """What git takes as --git-dir."""
    return mark.parent if mark.name == "HEAD" else mark


def repositories(path: Path) -> list[Found]:
    """The repository at a path, or those in the folder there, by name."""
    if mark := _mark(path):
        return [Found(path.resolve().name, path, mark)]
    return list(_below(path, path, DEPTH))


def _below(top: Path, folder: Path, depth: int) -> Iterator[Found]:
    for child in sorted(folder.iterdir()) if folder.is_dir() else ():
        if child.name.startswith(".") or not child.is_dir():
            continue
        if mark := _mark(child):
            yield Found(child.relative_to(top).as_posix(), child, mark)
        elif depth > 1:
            yield from _below(top, child, depth - 1)


def _mark(folder: Path) -> Path | None:
    for mark in (folder / ".git" / "HEAD", folder / ".git", folder / "HEAD"):
        if mark.is_file() and (mark.name != "HEAD" or (mark.parent / "objects").is_dir()):
            return mark
    return None


def exports(found: Found) -> list[Path]:
    """The files with pull requests: pulls.json and *.pulls.json in the repository, NAME.pulls.json beside it."""
    inside = [found.folder / "pulls.json", *sorted(found.folder.glob("*.pulls.json"))]
    beside = found.folder.resolve().parent / f"{found.folder.resolve().name.removesuffix('.git')}.pulls.json"
    return [path for path in (*inside, beside) if path.is_file()]


def read_export(path: Path) -> list[Pull]:
    """The pull requests of a file. Raises ValueError or OSError where it is none."""
    with open_regular(path) as file:
        content = file.read(MAX_EXPORT + 1)
    if len(content) > MAX_EXPORT:
        raise ValueError(f"it is over {MAX_EXPORT // 2**20} MiB")
    try:
        return msgspec.json.decode(content, type=list[Pull])
    except msgspec.MsgspecError as error:
        raise ValueError(str(error)) from None
