"""Makes lines of a note readable: links as their text, callouts without their frame, and no boilerplate.

What is left out is what an editor or a habit put there: checkbox lists, habit tables, lines of links, fields of
plugins, headings without text, lines that a template repeats in many notes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from itertools import groupby

from data.extract.vault_links import WIKI, linked, without_links
from data.extract.vault_tags import only_tags, without_tags

Embed = Callable[[str], str]

HEADING = re.compile(r"(#{1,6})[ \t]+(.*?)[ \t#]*$")
_LEFT_OUT = re.compile(
    r"(?:[-*+]|\d+[.)])\s+\[[^\[\]]\](?:\s.*)?$"  # a checkbox
    r"|(?:[-*+]|\d+[.)])$"  # a bullet without text
    r"|(?:[-*_][ \t]*){3,}$"  # a rule
    r"|\[\^[^\]]+\]:"  # a footnote
    r"|(?:[-*+]\s+)?\*{0,2}[^\W\d_][\w -]{0,40}\*{0,2}::\s*(?:\S+\s*){0,5}$"  # a field of Dataview
)
_FIELD = re.compile(r"[ \t]*[\[(][^\W\d_][\w -]{0,40}::[^\[\]()\n]*[\])]")
_BLOCK_ID = re.compile(r"\s\^[\w-]+\s*$")
_FOOTNOTE = re.compile(r"\[\^[^\]\s]+\]")
_MARKED = re.compile(r"==([^=\n]+)==")
_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
_CALLOUT = re.compile(r"\s*(?:>\s*)+\[!([\w-]+)[^\]\n]*\][+-]?\s*(.*)$")
_QUOTE = re.compile(r"\s*(?:>\s?)+")
_ONLY_EMBED = re.compile(r"(?:>\s*)*(?:[-*+]\s+)?!\[\[([^\[\]\n]+)\]\]$")
_WAY = re.compile(
    r"\b(?:prev(?:ious)?|next|up|down|back|home|index|start|yesterday|today|tomorrow|parent|week|month|year|day|daily"
    r"|weekly|monthly|related|see also|links?|moc|notes?)\b",
    re.IGNORECASE,
)
_ROW = re.compile(r"\s*\|.*\|\s*$")
_RULER = re.compile(r"[\s|:-]+$")
_TICK = re.compile(r"[\s\d.,:/%✓✔✅❌☑☐⬜🟩🟥⭐★☆xX✗✘\-–—]*(?:\[[ xX]\])?(?:yes|no|done|n/a)?\s*", re.IGNORECASE)
_NO_LETTERS = {code: None for code in range(128) if not chr(code).isalpha()}
_SPACES = re.compile(r"(?<=\S)[ \t]{2,}(?=\S)")
MOST_KEY = 160  # characters; no template has a longer line, but a note and its copies do
LEAST_KEY = 4  # letters; a shorter line is anybody's


def tidy(lines: Sequence[str], embed: Embed, repeated: Container[str] = ()) -> str:
    """The text of some lines of a body. `embed` gives what an embedded part says, `repeated` are `line_key`s."""
    made = [line for raw in _without_habits(_unframed(lines)) for line in _tidied(raw, embed, repeated)]
    return "\n".join(_collapsed(_with_text_below(made))).strip()


def line_key(line: str) -> str:
    """What makes a line the same as one in another note: its letters. '' for a heading, a paragraph, hardly a word."""
    if line.startswith("#") or len(line) > MOST_KEY:
        return ""
    key = line.translate(_NO_LETTERS).lower()
    return key if len(key) >= LEAST_KEY else ""


def _unframed(lines: Iterable[str]) -> Iterator[str]:
    """The lines of a callout without their marks, its title in bold; other quotes stay quotes."""
    inside = False
    for line in lines:
        quote = _QUOTE.match(line) if ">" in line else None
        if not quote:
            inside = False
            yield line
        elif callout := _CALLOUT.match(line):
            inside = True
            if callout[2]:
                yield f"**{callout[2].strip()}**"
        else:
            yield line[quote.end() :] if inside else line


def _without_habits(lines: Iterable[str]) -> Iterator[str]:
    """The lines without tables of ticks and numbers."""
    for is_table, group in groupby(lines, lambda line: "|" in line and bool(_ROW.match(line))):
        rows = list(group)
        if not (is_table and _is_habits(rows)):
            yield from rows


def _is_habits(rows: Sequence[str]) -> bool:
    """Whether at least half of the cells below the head and right of the names are ticks, numbers or empty."""
    body = [row for row in rows[1:] if not _RULER.match(row)]
    cells = [cell for row in body for cell in row.strip().strip("|").split("|")[1:]]
    return 2 * sum(bool(_TICK.fullmatch(cell)) for cell in cells) >= len(cells)


def _tidied(raw: str, embed: Embed, repeated: Container[str]) -> Iterator[str]:
    line = raw.strip()
    if only := _ONLY_EMBED.match(line):
        yield from ("", embed(only[1]), "")
    elif line and not is_boilerplate(line, repeated):
        indent = raw[: len(raw) - len(raw.lstrip())]
        text = _plain(line)
        yield f"{indent}{text}" if text.strip("-*+>#. \t") else ""
    else:
        yield ""


def is_boilerplate(line: str, repeated: Container[str]) -> bool:
    """Whether nobody said a line, or it leads elsewhere and says nothing itself."""
    if _LEFT_OUT.match(line) or ("#" in line and only_tags(line)):
        return True
    if "](" in line or WIKI.search(line):
        beside = _WAY.sub("", without_links(line))
        if not any(character.isalnum() for character in beside):
            return True
    return bool(repeated) and line_key(line) in repeated


def _plain(line: str) -> str:
    line = _BLOCK_ID.sub("", line) if "^" in line else line
    line = _FIELD.sub("", line) if "::" in line else line
    line = linked(_FOOTNOTE.sub("", without_tags(line)))
    line = _MARKED.sub(r"\1", line) if "==" in line else line
    line = _BREAK.sub("\n", line) if "<" in line else line
    return _SPACES.sub(" ", line).rstrip()


def _with_text_below(lines: Sequence[str]) -> list[str]:
    """The lines without headings that have no text before the next heading that is as high."""
    kept: list[str] = []
    below = [False] * 8  # whether text stands below, seen from the end, before a heading of this level or a higher one
    for line in reversed(lines):
        match = HEADING.match(line)
        if not match:
            kept.append(line)
            below = [True] * 8 if line.strip() else below
        elif below[level := len(match[1])]:
            kept.append(line)
            below[level:] = [False] * (8 - level)
    return kept[::-1]


def _collapsed(lines: Iterable[str]) -> Iterator[str]:
    """The lines with one empty line where there were several."""
    empty = True
    for line in lines:
        if line.strip() or not empty:
            yield line
        empty = not line.strip()
