"""Finds the reflections in a note: what its tags, its headings and its words mark as somebody's own thinking.

A tag of the front matter, or on a line of its own above the first heading, marks the whole note; a tag in a heading,
and a heading that a journal has, its section; any other tag the text below its heading. Outside of these a paragraph
with one of the phrases is a reflection by itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

import msgspec

from data.config import VaultConfig
from data.extract.vault_embeds import end_of_section
from data.extract.vault_links import linked
from data.extract.vault_note import Note
from data.extract.vault_tags import matching, only_tags, tags_in, tags_of, without_inline_code, without_tags
from data.extract.vault_text import HEADING

JOURNAL = "journal"


class Found(msgspec.Struct, frozen=True):
    """Lines of a note (`start` to before `end`, 0-based) that are a reflection.

    `sign` is the tag, the phrase, or JOURNAL that marks it; `heading` that of its section, which is not in the lines.
    """

    start: int
    end: int
    sign: str
    heading: str = ""


class Section(msgspec.Struct, frozen=True):
    """A heading with the text directly below it, from `start` to before `end`; the first one may have no heading.

    `last` is where the sections below it end, too.
    """

    heading: str
    start: int
    end: int
    last: int
    tags: list[str]


class Signs(msgspec.Struct, frozen=True):
    """What to look for, made once. `tags` and `hints`, which are the phrases, are in lower case, for a quick look."""

    tags: tuple[str, ...]
    hints: tuple[str, ...]
    phrases: re.Pattern[str]
    journals: re.Pattern[str]


@lru_cache(maxsize=16)
def signs_of(config: VaultConfig) -> Signs:
    words = [phrase.split() for phrase in config.phrases if phrase.strip()]
    either = "|".join(r"\s+".join(map(re.escape, phrase)) for phrase in words)
    return Signs(
        tags=tuple(tag.strip("#/").lower() for tag in config.tags if tag.strip("#/")),
        hints=tuple(" ".join(phrase).lower() for phrase in words),
        phrases=re.compile(rf"\b(?:{either})(?:d|ed|s)?\b" if words else r"(?!)", re.IGNORECASE),
        journals=re.compile(config.journals),
    )


def could_reflect(text: str, config: VaultConfig) -> bool:
    """Whether a note is worth parsing: a quick look, which finds too much rather than too little."""
    signs = signs_of(config)
    if _has_one(text, (*signs.tags, *signs.hints)):
        return True
    return any(signs.journals.search(plain_heading(match[1])) for match in _ANY_HEADING.finditer(text))


def _has_one(text: str, hints: Iterable[str]) -> bool:
    plain = " ".join(text.lower().split())
    return any(hint in plain for hint in hints)


_ANY_HEADING = re.compile(r"^#{1,6}[ \t]+(.*?)[ \t#]*$", re.MULTILINE)


def find(note: Note, config: VaultConfig) -> list[Found]:
    """The reflections of a note, in order; none stands in another."""
    lines = note.lines
    sections = list(sections_of(lines))
    opening = [tag for line in lines[: sections[0].end] if only_tags(line) for tag in tags_in(line)]
    if sign := matching([*tags_of(note.front), *opening], config.tags):
        return [Found(0, len(lines), sign)]
    found: list[Found] = []
    done = 0
    for section in sections:
        if section.start >= done:
            found += _in_section(section, lines, config)
            done = max(done, found[-1].end) if found else 0
    return found


def sections_of(lines: Sequence[str]) -> Iterator[Section]:
    """The sections of a body, in order, one for what stands above the first heading."""
    headings = [(index, match) for index, line in enumerate(lines) if (match := HEADING.match(line))]
    starts = [*(index for index, _ in headings), len(lines)]
    yield Section("", 0, starts[0], starts[0], [])
    for (index, match), end in zip(headings, starts[1:], strict=True):
        last = end_of_section(lines, index, len(match[1]))
        yield Section(plain_heading(match[2]), index + 1, end, last, tags_in(match[2]))


def plain_heading(text: str) -> str:
    return linked(without_tags(text)).strip(" *_=:")


def _in_section(section: Section, lines: Sequence[str], config: VaultConfig) -> list[Found]:
    """What a section holds: all that stands below its heading, its own text, or single paragraphs."""
    own = lines[section.start : section.end]
    if sign := matching(section.tags, config.tags):
        return [Found(section.start, section.last, sign, section.heading)]
    if signs_of(config).journals.search(section.heading):
        return [Found(section.start, section.last, JOURNAL, section.heading)]
    if sign := matching((tag for line in own for tag in tags_in(line)), config.tags):
        return [Found(section.start, section.end, sign, section.heading)]
    return list(_paragraphs(section, lines, config))


def _paragraphs(section: Section, lines: Sequence[str], config: VaultConfig) -> Iterator[Found]:
    """The paragraphs with a phrase, neighbours as one. What stands in a quote was said by somebody else."""
    phrases, hints = signs_of(config).phrases, signs_of(config).hints
    if not _has_one("\n".join(lines[section.start : section.end]), hints):
        return
    last: Found | None = None
    for start, end in _blocks(lines, section.start, section.end):
        text = " ".join(map(without_inline_code, lines[start:end]))
        match = None if text.lstrip().startswith((">", "|")) else phrases.search(text)
        if match and last and not any(line.strip() for line in lines[last.end : start]):
            last = msgspec.structs.replace(last, end=end)
        else:
            if last:
                yield last
            last = Found(start, end, " ".join(match[0].split()), section.heading) if match else None
    if last:
        yield last


_ITEM = re.compile(r"(?:[-*+]|\d+[.)])\s")


def _blocks(lines: Sequence[str], start: int, end: int) -> Iterator[tuple[int, int]]:
    """Where the paragraphs of some lines are; an item of a list is one, with what is indented below it."""
    begun = -1
    for index in range(start, end):
        line = lines[index]
        if begun >= 0 and (not line.strip() or _ITEM.match(line)):
            yield begun, index
            begun = -1
        if begun < 0 and line.strip():
            begun = index
    if begun >= 0:
        yield begun, end
