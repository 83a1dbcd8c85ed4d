"""What an embed says: `![[Note]]`, `![[Note#Heading]]` and `![[Note#^block]]` as the text that stands there.

Only notes of the same unit are read, in a few levels; a note that embeds itself, however far around, says nothing the
second time. A note with many embeds is an index, and each of them is its name.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from data.extract.vault_links import Names, Target, embeds_in, is_attachment, key_of, linked, target_of
from data.extract.vault_note import parse, read_text
from data.extract.vault_tags import without_tags
from data.extract.vault_text import HEADING, Embed, tidy

INDEX = 8  # embeds; with more a note shows others, and says nothing of its own by them
DEEPEST = 3  # levels of notes in notes
LONGEST = 4_000  # characters of one embed; the note itself is read from elsewhere
_KEPT = 32  # notes kept parsed

Place = tuple[PurePosixPath, str]


class Embeds:
    """The notes of a unit as others embed them. `root` is the vault's folder, a larger note than `max_bytes` is not
    read.
    """

    def __init__(self, root: Path, names: Names, max_bytes: int) -> None:
        self._root = root
        self._names = names
        self._max_bytes = max_bytes
        self._lines: OrderedDict[PurePosixPath, list[str]] = OrderedDict()

    def of(self, note: PurePosixPath, lines: Sequence[str]) -> Embed:
        """What the embeds in a note say."""
        if sum(len(embeds_in(line)) for line in lines) > INDEX:
            return lambda inner: "" if is_attachment(target_of(inner)) else linked(f"![[{inner}]]")
        return self._within(note, ((note, ""),))

    def _within(self, note: PurePosixPath, trail: tuple[Place, ...]) -> Embed:
        def embed(inner: str) -> str:
            target = target_of(inner)
            found = self._names.find(target.name, note) if target.name else note
            place = (found or note, key_of(target.part))
            if found is None or len(trail) > DEEPEST or any(_holds(place, before) for before in trail):
                return ""
            lines = part_of(self._read(found), target)
            return _shortened(tidy(lines, self._within(found, (*trail, place))))

        return embed

    def _read(self, note: PurePosixPath) -> list[str]:
        if note not in self._lines:
            text = read_text(self._root / note, self._max_bytes)
            self._lines[note] = parse(text).lines if type(text) is str else []
            if len(self._lines) > _KEPT:
                self._lines.popitem(last=False)
        return self._lines[note]


def _holds(place: Place, before: Place) -> bool:
    """Whether a place shows what is being shown already: the same part of a note, or all of it from within a part."""
    return place[0] == before[0] and (place[1] == before[1] or not place[1])


def part_of(lines: Sequence[str], target: Target) -> Sequence[str]:
    """The lines that a target means: all, those below a heading, or the paragraph with a block's mark."""
    if target.part.startswith("^"):
        return _block(lines, target.part)
    if not target.part:
        return lines
    wanted = _plain_heading(target.part)
    for index, line in enumerate(lines):
        match = HEADING.match(line)
        if match and _plain_heading(match[2]) == wanted:
            return lines[index + 1 : end_of_section(lines, index, len(match[1]))]
    return ()


def end_of_section(lines: Sequence[str], index: int, level: int) -> int:
    """Where the section of the heading at an index ends: at the next heading as high."""
    rest = range(index + 1, len(lines))
    return next((at for at in rest if (m := HEADING.match(lines[at])) and len(m[1]) <= level), len(lines))


def _plain_heading(text: str) -> str:
    """A heading as links write it, without the characters that they leave out."""
    return " ".join(re.sub(r"[^\w\s-]", " ", key_of(linked(without_tags(text)))).split())


def _block(lines: Sequence[str], mark: str) -> Sequence[str]:
    """The paragraph or the list item that ends with a mark."""
    for index, line in enumerate(lines):
        if line.rstrip().endswith(f" {mark}"):
            start = index
            while start and lines[start].lstrip()[:2] not in ("- ", "* ", "+ ") and lines[start - 1].strip():
                start -= 1
            return lines[start : index + 1]
    return ()


def _shortened(text: str) -> str:
    """A text cut to the limit, after a paragraph or at least a word."""
    if len(text) <= LONGEST:
        return text
    cut = text[:LONGEST]
    return cut[: max(cut.rfind("\n\n"), 0) or cut.rfind(" ")].rstrip()
