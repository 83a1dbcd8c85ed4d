"""Cuts what was found in a note into answers of a size that is said in one go, and a window holds.

A long note becomes several pieces, cut at its headings; a long section stays one piece, told in several turns.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

import msgspec

from data.extract.vault_reflections import Found, plain_heading
from data.extract.vault_text import HEADING

MOST = 2_400  # characters of an answer: about 600 tokens, so that even a window of 2,048 holds two of them
_SENTENCE = re.compile(r"(?<=[.!?。！？])\s+|(?<=[。！？])")
_BULLET = re.compile(r"^(?:[-*+]|\d+[.)])\s+")
_IDEOGRAPH = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")


class Piece(msgspec.Struct, frozen=True):
    """The text of a reflection, or of a part of a long one, with the headings above it, the nearest first.

    `start` and `end` are its lines in the body (0-based, `end` is the one after the last).
    """

    text: str
    headings: tuple[str, ...]
    start: int
    end: int


def pieces_of(found: Found, lines: Sequence[str], tidy: Callable[[Sequence[str]], str]) -> Iterator[Piece]:
    """The pieces of what was found; those without a word are left out."""
    whole = tidy(lines[found.start : found.end])
    if len(whole) <= MOST:
        yield from _piece(whole, found, found.start, found.end)
        return
    start, size = found.start, 0
    for at, end in _sections(found, lines):
        more = len(tidy(lines[at:end]))
        if size and size + more > MOST:
            yield from _piece(tidy(lines[start:at]), found, start, at)
            start, size = at, 0
        size += more
    yield from _piece(tidy(lines[start : found.end]), found, start, found.end)


def _sections(found: Found, lines: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Where what was found could be cut: from each heading to the next one."""
    headings = [at for at in range(found.start + 1, found.end) if HEADING.match(lines[at])]
    return zip([found.start, *headings], [*headings, found.end], strict=True)


def _piece(text: str, found: Found, start: int, end: int) -> Iterator[Piece]:
    headings = [found.heading] if found.heading else []
    while match := HEADING.match(text.partition("\n")[0]):
        headings.insert(0, plain_heading(match[2]))
        text = text.partition("\n")[2].lstrip("\n")
    if "\n" not in text:
        text = _BULLET.sub("", text)  # one item alone is no list
    if text:
        yield Piece(text, tuple(headings), start, end)


def words_in(text: str) -> int:
    """How many words a text has; two ideographs count as one."""
    return len(text.split()) + len(_IDEOGRAPH.findall(text)) // 2


def turns_of(text: str) -> list[str]:
    """A text in parts of at most MOST characters, cut between paragraphs, else sentences. An ideograph counts three."""
    most = MOST // 3 if 2 * len(_IDEOGRAPH.findall(text)) > len(text) else MOST
    parts = [""]
    for unit, join in _units(text, most):
        if parts[-1] and len(parts[-1]) + len(join) + len(unit) > most:
            parts.append(unit)
        else:
            parts[-1] = f"{parts[-1]}{join}{unit}" if parts[-1] else unit
    return [part.strip() for part in parts if part.strip()]


def _units(text: str, most: int) -> Iterator[tuple[str, str]]:
    """What is not cut any further, each with what joins it to the one before."""
    for paragraph in text.split("\n\n"):
        join = "\n\n"
        for sentence in [paragraph] if len(paragraph) <= most else _SENTENCE.split(paragraph):
            for at in range(0, max(len(sentence), 1), most):
                yield sentence[at : at + most], join
                join = "" if at + most < len(sentence) else " "
