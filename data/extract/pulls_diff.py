"""What a change did: the files that it touched, and the diff of those that people wrote."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import IO

import msgspec

from data.extract.pulls_git import View

MAX_DIFF = 256 * 1024  # bytes; a window holds about 12 KB, so that nothing longer is learned anyway
_ATTRIBUTES = ("linguist-generated", "linguist-vendored", "diff")
_TREES = ("diff-tree", "--stdin", "-r", "-M", "--always", "--no-ext-diff", "--no-textconv", "--no-color")
_HEADER = b"diff --git "


class Left(StrEnum):
    """Why a file of a change is not shown."""

    NAMED = "file that leave_out names"
    GENERATED = "generated file"
    VENDORED = "vendored file"
    BINARY = "binary file"
    RENAMED = "renamed file without a change"
    MODE = "file with another mode alone"
    SUBMODULE = "submodule"


class File(msgspec.Struct, frozen=True):
    """A file of a change: its path, its changed lines, and what git says of it before it is looked at.

    `diffs` is how many a patch shows of it: where it became a link, one that takes it away and one that adds it.
    """

    path: str
    lines: int = 0
    left: Left | None = None
    diffs: int = 1


def files_of(view: View, commits: Sequence[tuple[str, str]]) -> Iterator[tuple[str, list[File]]]:
    """The files that each commit changed against the parent that is given with it, in git's order. Raises GitError."""
    given = "".join(f"{sha} {parent}\n" for sha, parent in commits).encode()
    known = {sha for sha, _ in commits}
    with view.stream([*_TREES, "-z", "--raw", "--numstat"], given) as said:
        commit, words = "", list[str]()
        for word in _words(said):
            if word in known:
                if commit:
                    yield commit, _files(words)
                commit, words = word, []
            else:
                words.append(word)
        if commit:
            yield commit, _files(words)


def _words(said: IO[bytes]) -> Iterator[str]:
    """What stands between zero bytes."""
    rest = b""
    while block := said.read(1 << 16):
        *whole, rest = (rest + block).split(b"\0")
        yield from (word.decode("utf-8", "replace") for word in whole)


def _files(words: Sequence[str]) -> list[File]:
    """The raw entries of a commit, then its numbers, in the same order."""
    raw: list[tuple[str, Left | None, int]] = []
    files: list[File] = []
    at = 0
    while at < len(words):
        if words[at].startswith(":"):
            entry = words[at].split(" ")
            renamed = entry[4][0] in "RC"
            raw.append((words[at + 1 + renamed], _left_by_mode(entry), 1 + (entry[4] == "T")))
            at += 2 + renamed
        else:
            added, removed, path = words[at].split("\t", 2)
            name, left, diffs = raw[len(files)]
            left = left or (Left.BINARY if added == "-" else None)
            files.append(File(name, 0 if added == "-" else int(added) + int(removed), left, diffs))
            at += 1 if path else 3
    return files


def _left_by_mode(entry: Sequence[str]) -> Left | None:
    """What the modes, the ids and the kind of a raw entry say."""
    before, after, old, new, kind = entry
    if "160000" in (before[1:], after):
        return Left.SUBMODULE
    if kind == "R100":
        return Left.RENAMED
    return Left.MODE if old == new else None


def attributes_of(view: View, tip: str, paths: Sequence[str]) -> dict[str, Left | None]:
    """Why paths are not shown by the attributes that stand in the tree of a commit. Raises GitError."""
    view.run(["read-tree", tip])  # there is no working folder that git could read them from
    given = "".join(f"{path}\0" for path in paths).encode()
    left: dict[str, Left | None] = {}
    with view.stream(["check-attr", "--cached", "--stdin", "-z", *_ATTRIBUTES], given) as said:
        words = _words(said)
        for path, attribute, value in zip(words, words, words, strict=False):
            if why := _left_by_attribute(attribute, value):
                left.setdefault(path, why)
    return left


def _left_by_attribute(attribute: str, value: str) -> Left | None:
    if attribute == "diff":
        return Left.BINARY if value == "unset" else None
    if value not in ("set", "true"):
        return None
    return Left.GENERATED if attribute == "linguist-generated" else Left.VENDORED


def diffs_of(
    view: View, commits: Sequence[tuple[str, str]], shown: Mapping[str, Sequence[bool]]
) -> Iterator[tuple[str, bytes | None]]:
    """The diff of each commit, of the files that are `shown` (in the order of `files_of`); None for one too long.

    Without the ids of the contents: nobody can know them, and a patch needs none.
    """
    given = "".join(f"{sha} {parent}\n" for sha, parent in commits).encode()
    with view.stream([*_TREES, "-p"], given) as said:
        expected = iter([*(sha.encode() for sha, _ in commits), b""])
        commit, after = "", next(expected)
        parts, size, number, fresh = list[bytes](), 0, -1, True
        while line := said.readline(MAX_DIFF + 1):
            if fresh and after and line.rstrip(b"\n") == after:
                if commit:
                    yield commit, _whole(parts, size)
                commit, after, parts, size, number = after.decode(), next(expected), [], 0, -1
                continue
            number += fresh and line.startswith(_HEADER)
            ids = fresh and line.startswith(b"index ")
            if commit and number >= 0 and shown[commit][number] and size <= MAX_DIFF and not ids:
                parts.append(line)
                size += len(line)
            fresh = line.endswith(b"\n")
        if commit:
            yield commit, _whole(parts, size)


def _whole(parts: Sequence[bytes], size: int) -> bytes | None:
    return b"".join(parts) if size <= MAX_DIFF else None
