"""A first look at the notes of a unit: which ones may hold a reflection, and what they have to do with each other.

Most notes of a vault are no reflections; they are read once, searched once, and never parsed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path, PurePosixPath

import msgspec

from data.config import VaultConfig
from data.extract.vault_files import ties
from data.extract.vault_links import embeds_in
from data.extract.vault_note import Unread, read_text
from data.extract.vault_reflections import could_reflect
from data.extract.vault_text import line_key

_OFTEN = 5  # notes that hold a line, and at least one of fifty: then a template wrote it
_ONE_OF = 50


class Reason(StrEnum):
    """Why a note, or a reflection in it, gave no conversation."""

    LEFT_OUT = "in a folder that is left out"
    LINK = "a link to another file"
    EMPTY = "empty note"
    BROKEN_FRONT = "broken front matter, and no reflection"
    NO_REFLECTION = "no reflection in it"
    TOO_SHORT = "reflection of few words"
    BROKEN_TEXT = "reflection with bytes that are no text"
    REPEATED = "said twice in one note"


class Survey(msgspec.Struct, frozen=True):
    """What one look at all notes of a unit found: the fate of those that need no second, which notes are tied by
    embeds, and which lines a template repeats.
    """

    fates: dict[PurePosixPath, Reason | Unread]
    ties: dict[PurePosixPath, PurePosixPath]
    repeated: frozenset[str]


def survey(root: Path, notes: Sequence[PurePosixPath], config: VaultConfig) -> Survey:
    """Look once at each note of a unit."""
    fates: dict[PurePosixPath, Reason | Unread] = {}
    embeds: list[tuple[PurePosixPath, list[str]]] = []
    keys: Counter[str] = Counter()
    copies: set[int] = set()  # a note that was copied over and over is no template
    for note in notes:
        text = Reason.LEFT_OUT if _is_left_out(note, config) else read_text(root / note, config.max_bytes)
        if isinstance(text, Reason | Unread):
            fates[note] = text
            continue
        if inners := embeds_in(text):
            embeds.append((note, inners))
        if not text.strip():
            fates[note] = Reason.EMPTY
        elif could_reflect(text, config):
            if (content := hash(text)) not in copies:
                keys.update(set(map(line_key, text.split("\n"))))
            copies.add(content)
        else:
            fates[note] = Reason.NO_REFLECTION
    often = max(_OFTEN, (len(notes) - len(fates)) // _ONE_OF)
    repeated = frozenset(key for key, count in keys.items() if key and count >= often)
    open_ones = [note for note in notes if fates.get(note) is not Reason.LEFT_OUT]
    return Survey(fates, ties(open_ones, embeds), repeated)


def _is_left_out(note: PurePosixPath, config: VaultConfig) -> bool:
    names = {name.strip("/").lower() for name in config.leave_out}
    return any(part.lower() in names for part in note.parts[:-1])
