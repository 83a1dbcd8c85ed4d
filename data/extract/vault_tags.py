"""The tags of a note: those of its front matter and those in its text, nested ones such as `work/review` too.

A tag in the text begins with `#` after white space or at the start of a line. `# ` opens a heading, `page#part` is an
address, and what stands in code is no tag.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

_TAG = re.compile(r"(?:(?<=\s)|^)#(?=[\w/-]*[^\W\d])([\w/-]+)")
_CODE = re.compile(r"(`{1,3})[^`\n].*?\1")
_APART = re.compile(r"[,\s]+")
_ONE = r"#(?=[\w/-]*[^\W\d])[\w/-]+"
_AT_START = re.compile(rf"^(?P<mark>\s*(?:>\s*)*(?:[-*+]\s+|\d+[.)]\s+)?)(?:{_ONE}\s+)+")
_AT_END = re.compile(rf"(?:(?:\s|^){_ONE}[.,;]?)+\s*$")
_LONGEST = 10_000  # characters of a line that people write; looking for its last tags may take the square of that


def tags_of(front: Mapping[str, Any]) -> list[str]:
    """The tags of a front matter, which may be a list, or a text with commas or spaces."""
    found: list[str] = []
    for key, value in front.items():
        if str(key).lower() in ("tags", "tag"):
            found += _listed(value)
    return list(dict.fromkeys(found))


def _listed(value: Any) -> Iterator[str]:
    for part in value if isinstance(value, list) else [value]:
        if isinstance(part, str):
            yield from (tag for word in _APART.split(part) if (tag := word.strip("#\"'/")))


def tags_in(line: str) -> list[str]:
    """The tags in a line of text."""
    if "#" not in line:
        return []
    return [tag for found in _TAG.findall(without_inline_code(line)) if (tag := found.strip("/"))]


def without_inline_code(line: str) -> str:
    return _CODE.sub("`code`", line) if "`" in line else line


def only_tags(line: str) -> bool:
    """Whether a line says nothing but tags: such a line speaks for all that it opens."""
    return bool(tags_in(line)) and not without_tags(line).strip(" -*>")


def without_tags(line: str) -> str:
    """A line without the tags that it begins or ends with; a tag within a sentence is a word of it."""
    if "#" not in line or len(line) > _LONGEST or not tags_in(line):
        return line
    line = _AT_END.sub("", _AT_START.sub(r"\g<mark>", line))
    return _TAG.sub(r"\1", line)


def matching(tags: Iterable[str], wanted: Iterable[str]) -> str:
    """The first of the tags that is wanted or nested below one, as it was wanted; '' for none. Case does not count."""
    names = {name.lower(): name for name in (given.strip("#/") for given in wanted)}
    for tag in tags:
        parts = tag.lower().split("/")
        for size in range(len(parts), 0, -1):
            if (name := "/".join(parts[:size])) in names:
                return names[name]
    return ""
