"""Source of a companion: the reflections in an Obsidian vault, each the answer to a question that fits it.

The source's `path` is the vault's folder, `role` what the conversations are trained for, and `vault` what counts as a
reflection (VaultConfig). Each row's metadata says in `about` which note it is from, with its tags and its day.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePosixPath

import msgspec

from data.extract.jsonl import set_aside, used
from data.extract.unit import SourceError, Unit, sized
from data.extract.vault_conversation import STAGE, Source, conversation
from data.extract.vault_embeds import Embeds
from data.extract.vault_files import batches, note_files
from data.extract.vault_links import Names
from data.extract.vault_note import Note, Unread, parse, read_text
from data.extract.vault_pieces import Piece, pieces_of, words_in
from data.extract.vault_reflections import find
from data.extract.vault_survey import Reason, Survey, survey
from data.extract.vault_text import tidy
from data.record import Conversation, Drop, Tally


def units(path: Path, role: str) -> Iterator[Unit]:
    """Units of some hundred notes. Raises SourceError where the path is no vault."""
    if not path.exists():
        raise SourceError(f"{path} does not exist. Give the folder of an Obsidian vault, or remove the source.")
    root = path.resolve()
    notes, links = note_files(root)
    for number, batch in enumerate(batches(root, notes)):
        beside = [root / link for link in links] if number == 0 else []
        yield sized("vault", str(root), tuple(root / note for note in batch), role, beside)


def read(unit: Unit) -> Iterator[Conversation | Drop]:
    """The reflections of a unit's notes, with a drop for every note and reflection that gives none."""
    root = Path(unit.name)
    notes = [PurePosixPath(os.path.relpath(file, root)) for file in unit.files]
    for link in map(Path, unit.beside):
        yield set_aside(STAGE, Reason.LINK, link)
    seen = survey(root, notes, unit.vault)
    shown = Names(note for note in notes if seen.fates.get(note) is not Reason.LEFT_OUT)
    reader = _Reader(unit, root, seen, Embeds(root, shown, unit.vault.max_bytes))
    for note in notes:
        if fate := seen.fates.get(note):
            yield set_aside(STAGE, fate, root / note)
        else:
            yield from reader.outcomes(note)


class _Reader:
    """Makes conversations of the notes of a unit."""

    def __init__(self, unit: Unit, root: Path, seen: Survey, embeds: Embeds) -> None:
        self._config, self._role = unit.vault, unit.role
        self._root = root
        self._seen = seen
        self._embeds = embeds

    def outcomes(self, name: PurePosixPath) -> Iterator[Conversation | Drop]:
        """What a note gives. It counts once: as used if any conversation is, else with the first drop."""
        path = self._root / name
        text = read_text(path, self._config.max_bytes)
        if isinstance(text, Unread):
            yield set_aside(STAGE, text, path)
            return
        note = parse(text)
        made = list(self._reflections(name, note))
        good = any(isinstance(outcome, Conversation) for outcome in made)
        if not made:
            yield set_aside(STAGE, Reason.BROKEN_FRONT if note.broken else Reason.NO_REFLECTION, path)
        elif not good and isinstance(made[0], Drop):
            made[0] = msgspec.structs.replace(made[0], records=1)
        yield from made
        yield from used(STAGE, path, int(good))

    def _reflections(self, name: PurePosixPath, note: Note) -> Iterator[Conversation | Drop]:
        source = Source(self._root, name, self._seen.ties.get(name, name), self._role)
        make = partial(tidy, embed=self._embeds.of(name, note.lines), repeated=self._seen.repeated)
        said: set[str] = set()
        for found in find(note, self._config):
            for piece in pieces_of(found, note.lines, make):
                if reason := self._why_not(piece.text, said):
                    yield self._drop(name, note, piece, reason)
                else:
                    yield conversation(source, note, piece, found.sign)
                said.add(piece.text)

    def _why_not(self, text: str, said: set[str]) -> Reason | None:
        checks = (
            (Reason.BROKEN_TEXT, "\ufffd" in text),
            (Reason.TOO_SHORT, words_in(text) < self._config.min_words),
            (Reason.REPEATED, text in said),
        )
        return next((reason for reason, holds in checks if holds), None)

    def _drop(self, name: PurePosixPath, note: Note, piece: Piece, reason: Reason) -> Drop:
        weight = Tally(conversations=1, replies=1, said=len(piece.text), chars=len(piece.text))
        drop = set_aside(STAGE, reason, self._root / name, note.first + piece.start, records=0)
        return msgspec.structs.replace(drop, tally=weight)
