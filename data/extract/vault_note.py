"""Reads one note of a vault: its front matter, and its body without what nobody said.

Code, comments, and what templates and plugins fill in are blanked line by line, so that a line of the body has the
number that it has in the file. A front matter that is no YAML is kept out of the body, and the note says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec
import yaml

from data.files import open_regular

MOST_FRONT = 65_536  # characters; a front matter is a few lines, and YAML is slow
_SHALLOW = (
    2_000  # characters, too few to be nested so deep that libyaml's loader, which calls itself, runs out of stack
)
_DEEPEST = 50


class Unread(StrEnum):
    """Why a note cannot be read at all."""

    UNREADABLE = "unreadable note"
    TOO_LARGE = "note over the size limit"
    NOT_TEXT = "not a text"


class Note(msgspec.Struct, frozen=True):
    """A note as it was written. `front` is empty and `broken` set where the front matter is no YAML mapping.

    `lines` are those of the body; `first` is the number (1-based) of the first of them in the file.
    """

    front: dict[str, Any]
    broken: bool
    lines: list[str]
    first: int


def read_text(path: Path, max_bytes: int) -> str | Unread:
    """The text of a note; bytes that are no UTF-8 become U+FFFD, and cost the reflection that holds them."""
    try:
        with open_regular(path) as file:
            raw = file.read(max_bytes + 1)
    except OSError:
        return Unread.UNREADABLE
    if len(raw) > max_bytes:
        return Unread.TOO_LARGE
    if b"\0" in raw:
        return Unread.NOT_TEXT
    return raw.decode("utf-8-sig", "replace").replace("\r\n", "\n").replace("\r", "\n")


def parse(text: str) -> Note:
    """The note in a text."""
    front, at = _split_front(text)
    values, broken = _yaml(front)
    return Note(values, broken, _without_code(_without_hidden(text[at:])).split("\n"), text.count("\n", 0, at) + 1)


_FRONT = re.compile(r"---[ \t]*\n(?:(.*?)\n)?(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)


def _split_front(text: str) -> tuple[str, int]:
    """The front matter, empty where there is none, and where the body begins."""
    match = _FRONT.match(text)
    return (match[1] or "", match.end()) if match else ("", 0)


def _yaml(front: str) -> tuple[dict[str, Any], bool]:
    """The values of a front matter, all scalars as texts, and whether it is broken."""
    if not front or len(front) > MOST_FRONT:
        return {}, bool(front)
    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    try:
        if len(front) > _SHALLOW and _depth(front, loader) > _DEEPEST:
            return {}, True
        values = yaml.load(front, loader)  # a base loader makes texts, lists and mappings, nothing else
    except (yaml.YAMLError, ValueError, RecursionError):
        return {}, True
    if values is None or values == "":
        return {}, False
    return (values, False) if isinstance(values, dict) else ({}, True)


def _depth(front: str, loader: Any) -> int:
    """How deep a front matter is nested."""
    depth = deepest = 0
    for event in yaml.parse(front, loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        deepest = max(deepest, depth)
    return deepest


# What templates, plugins and authors hide: Obsidian's comments, HTML comments, Templater; Dataview and core templates.
_PAIRS = (("%%", "%%"), ("<!--", "-->"), ("<%", "%>"))
_FILLED_IN = re.compile(r"\{\{[^{}\n]*\}\}|`(?:\$?=|dv:)[^`\n]+`")


def _without_hidden(text: str) -> str:
    for opening, closing in _PAIRS:
        if opening in text:
            text = "".join(_outside(text, opening, closing))
    return _FILLED_IN.sub("", text) if "{{" in text or "`" in text else text


def _outside(text: str, opening: str, closing: str) -> Iterator[str]:
    """What stands outside of pairs of marks, and the ends of lines in them. An opening without its end is text."""
    at = 0
    while (start := text.find(opening, at)) >= 0 and (end := text.find(closing, start + len(opening))) >= 0:
        yield text[at:start]
        yield "\n" * text.count("\n", start, end)
        at = end + len(closing)
    yield text[at:]


_FENCE = re.compile(r"[ >]*(?:[-*+] |\d+[.)] )?[ ]*(`{3,}|~{3,})([^\n]*)")
_LIST = re.compile(r"\s*(?:[-*+]|\d+[.)])\s")


def _without_code(text: str) -> str:
    if "```" not in text and "~~~" not in text and "\n    " not in text and "\n\t" not in text:
        return text
    return "\n".join(_blanked(text.split("\n")))


def _blanked(lines: list[str]) -> Iterator[str]:
    """The lines, empty where they are code: between fences, or indented after an empty line outside of a list."""
    fence, in_list, indented, empty_before = "", False, False, True
    for line in lines:
        match = _FENCE.match(line) if "```" in line or "~~~" in line else None
        if fence:
            if match and match[1].startswith(fence) and not match[2].strip():
                fence = ""
            yield ""
            continue
        if match and not ("`" in match[1] and "`" in match[2]):
            fence, line = match[1], ""
        empty = not line.strip()
        deep = line.startswith(("    ", "\t"))
        if not empty:
            indented = deep and not in_list and (indented or empty_before)
            in_list = bool(_LIST.match(line)) or (in_list and (deep or not empty_before or line.startswith("  ")))
        empty_before = empty
        yield "" if indented else line
