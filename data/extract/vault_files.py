"""Finds the notes of a vault, and puts those into one unit that embed each other: what one shows is in the other, too.

Nothing but notes is opened, and links to other files are not followed. The notes of a folder stay together, since a
template repeats its lines in them.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from pathlib import Path, PurePosixPath

from data.extract.unit import SourceError
from data.extract.vault_embeds import INDEX
from data.extract.vault_links import Names, embeds_in
from data.files import open_regular

TOGETHER = 400  # notes of a unit, about: enough to see what repeats, few enough for several workers
_SCANNED = 5_000_000  # bytes of a note in which embeds are looked for when units are made
_SKIPPED = {".git", "node_modules"}


def note_files(root: Path) -> tuple[list[PurePosixPath], list[PurePosixPath]]:
    """The notes below a folder, relative to it and in order, and the links that are named like notes.

    Raises SourceError where it is no vault.
    """
    if not root.is_dir():
        raise SourceError(f"{root} is not a folder. Give the folder of an Obsidian vault, or remove the source.")
    notes: list[PurePosixPath] = []
    links: list[PurePosixPath] = []
    pending = [""]
    while pending:
        for entry in _entries(root / (folder := pending.pop())):
            name = f"{folder}{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                pending += [] if entry.name in _SKIPPED else [f"{name}/"]
            elif entry.name.lower().endswith(".md"):
                (links if entry.is_symlink() else notes).append(PurePosixPath(name))
    if not notes:
        raise SourceError(f"{root} holds no note (*.md). Give the folder of an Obsidian vault, or remove the source.")
    return sorted(notes), sorted(links)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """What a folder holds. One that may not be read counts as empty, like a file that vanished."""
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return []


def batches(root: Path, notes: Sequence[PurePosixPath]) -> Iterator[list[PurePosixPath]]:
    """The notes in groups of about TOGETHER, each in order: by folder, and what is tied by embeds in one of them."""
    tied = ties(notes, ((note, _embeds(root / note)) for note in notes))
    families: defaultdict[PurePosixPath, list[PurePosixPath]] = defaultdict(list)
    for note in notes:
        families[tied.get(note, note)].append(note)
    folders: defaultdict[str, list[PurePosixPath]] = defaultdict(list)
    for first in families:
        folders[first.parts[0] if len(first.parts) > 1 else ""].append(first)
    for folder in sorted(folders):
        for part in _parts(folders[folder]):
            yield sorted(note for first in part for note in families[first])


def _parts(firsts: Sequence[PurePosixPath]) -> Iterator[list[PurePosixPath]]:
    """The notes of a folder in parts by a hash of their names, so that a new note changes one part only."""
    count = 1 << max((len(firsts) - 1) // TOGETHER, 0).bit_length()
    parts: list[list[PurePosixPath]] = [[] for _ in range(count)]
    for first in firsts:
        digest = blake2b(os.fsencode(first), digest_size=8).digest()
        parts[int.from_bytes(digest, "big") % count].append(first)
    return (part for part in parts if part)


def ties(
    notes: Iterable[PurePosixPath], embeds: Iterable[tuple[PurePosixPath, Sequence[str]]]
) -> dict[PurePosixPath, PurePosixPath]:
    """For each note that embeds or is embedded the first note of all that are tied with it. An index ties nothing."""
    names = Names(notes)
    first_of: dict[PurePosixPath, PurePosixPath] = {}

    def find(note: PurePosixPath) -> PurePosixPath:
        path = [note]
        while (above := first_of.setdefault(path[-1], path[-1])) != path[-1]:
            path.append(above)
        first_of.update(dict.fromkeys(path, path[-1]))
        return path[-1]

    for note, inners in embeds:
        for other in names.embedded(inners, note) if len(inners) <= INDEX else ():
            one, two = sorted((find(note), find(other)))
            first_of[two] = one
    return {note: find(note) for note in list(first_of)}


def _embeds(path: Path) -> list[str]:
    """The embeds in a note, as far as it is read; what cannot be read has none, and its reader will name it."""
    try:
        with open_regular(path) as file:
            raw = file.read(_SCANNED)
    except OSError:
        return []
    return embeds_in(raw.decode("utf-8", "replace")) if b"![[" in raw else []
