"""Links and embeds between the notes of a vault: what a link says as text, and which note a name means.

`[[Note|alias]]` reads as its alias, `[[Folder/Note#Heading]]` as `Note > Heading`, as Obsidian shows them. A name means
the note of that path, or the nearest one of that name: in the same folder first, then the one least deep.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

import msgspec

WIKI = re.compile(r"(!?)\[\[([^\[\]\n]+)\]\]")
_MARKDOWN = re.compile(r"(!?)\[([^\[\]\n]*)\]\((?:<[^<>\n]*>|[^()\s]*(?:\([^()\s]*\)[^()\s]*)*)(?:\s+\"[^\"\n]*\")?\)")
_EMBED = re.compile(r"!\[\[([^\[\]\n]+)\]\]")
_ATTACHMENT = re.compile(r"\.(?!md$)[a-z][a-z0-9]{1,9}$", re.IGNORECASE)


class Target(msgspec.Struct, frozen=True):
    """What stands in a link: the note's name (empty: this note), the heading or `^block` in it, and the alias."""

    name: str
    part: str = ""
    alias: str = ""


def target_of(inner: str) -> Target:
    """The target in the brackets of a link. Only the last heading of a path of headings counts."""
    where, _, alias = inner.replace("\\|", "|").partition("|")
    name, _, part = where.partition("#")
    return Target(name.strip().removesuffix(".md"), part.rpartition("#")[2].strip(), alias.strip())


def is_attachment(target: Target) -> bool:
    """Whether a name looks like that of a picture, a sound or another file that is no note."""
    return bool(_ATTACHMENT.search(target.name))


def linked(line: str) -> str:
    """A line with every link as its text; pictures and other attachments in it are gone."""
    if "[" not in line:
        return line
    line = WIKI.sub(lambda match: _wiki(match[1], target_of(match[2])), line)
    return _MARKDOWN.sub(lambda match: "" if match[1] else match[2], line) if "](" in line else line


def without_links(line: str) -> str:
    """What a line says beside its links."""
    return _MARKDOWN.sub("", WIKI.sub("", line)) if "[" in line else line


def _wiki(embed: str, target: Target) -> str:
    if embed and is_attachment(target):
        return ""
    if target.alias and not embed:  # the alias of an embed is its width
        return target.alias
    name = target.name.rpartition("/")[2]
    if not target.part or (target.part.startswith("^") and name):
        return name
    return f"{name} > {target.part}" if name else target.part.lstrip("^")


def embeds_in(text: str) -> list[str]:
    """What stands in the brackets of each embed of a text, attachments too."""
    return _EMBED.findall(text) if "![[" in text else []


def key_of(name: str) -> str:
    """A name as names are compared: case does not count, nor how a letter with an accent is written."""
    return name.casefold() if name.isascii() else unicodedata.normalize("NFC", name).casefold()


class Names:
    """The notes of a vault, or some of them, by name. Of any of them, the choice is the same as among all."""

    def __init__(self, notes: Iterable[PurePosixPath]) -> None:
        self._by_stem: dict[str, list[PurePosixPath]] = {}
        for note in notes:
            self._by_stem.setdefault(key_of(note.name).removesuffix(".md"), []).append(note)

    def find(self, name: str, source: PurePosixPath) -> PurePosixPath | None:
        """The note that a name means in another note, or None where it means none of these."""
        wanted = key_of(name.strip("/"))
        candidates = self._by_stem.get(wanted.rpartition("/")[2], ())
        fitting = (note for note in candidates if f"/{key_of(str(note))}".endswith(f"/{wanted}.md"))
        return min(fitting, key=lambda note: (note.parent != source.parent, len(note.parts), str(note)), default=None)

    def embedded(self, inners: Iterable[str], source: PurePosixPath) -> Iterator[PurePosixPath]:
        """The notes that the embeds of a note mean, but for itself."""
        for inner in inners:
            target = target_of(inner)
            found = self.find(target.name, source) if target.name else None
            if found is not None and found != source:
                yield found
