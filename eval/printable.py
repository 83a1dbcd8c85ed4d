"""Text of models made fit to be shown: what a terminal or browser would obey becomes a sign that is only seen.

Control characters (colours, bells, cursor moves) and the marks that turn the direction of writing are hostile in an
answer: they can hide a failure. Line breaks and tabs stay.
"""

import re

# C0 without tab and line feed, DEL and C1; bidirectional marks; line and paragraph separators; non-characters.
UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff\ufffe\uffff]"
)


def printable(text: str, most: int | None = None) -> str:
    """The text with every unseen character as its code, `⟦U+202E⟧`, cut behind `most` characters with a note."""
    if most is not None and len(text) > most:
        left = len(text) - most
        text = f"{text[:most]}\n[… {left:,} more characters stand in the results file]"
    return UNSEEN.sub(lambda found: f"⟦U+{ord(found[0]):04X}⟧", text)


def one_line(text: str, most: int = 300) -> str:
    """The same on one line, for tables and sentences."""
    words = " ".join(text.split())
    return printable(words if len(words) <= most else f"{words[: most - 1]}…")
