"""Makes the conversation of a reflection: a question that fits it, and the reflection as the answer."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from itertools import chain
from pathlib import Path, PurePosixPath

import msgspec

from data.extract.knowledge import ROLE, located
from data.extract.vault_dates import day_of
from data.extract.vault_note import Note
from data.extract.vault_pieces import Piece, turns_of
from data.extract.vault_questions import more, question
from data.extract.vault_tags import tags_in, tags_of
from data.files import shown
from data.record import Assistant, Conversation, Message, User
from data.record import Note as Changed

STAGE = "vault"
_MOST_TAGS = 20


class Source(msgspec.Struct, frozen=True):
    """A note that reflections come from: the vault's folder, the note's path in it, and the first of the notes that it
    is tied with by embeds, which are all in one split.
    """

    root: Path
    name: PurePosixPath
    first: PurePosixPath
    role: str

    def session(self, name: PurePosixPath) -> str:
        """A note's own id: it stays the same wherever the vault lies, and whatever the note says."""
        return f"note-{_digest(self.root.name, str(name))}"


def conversation(source: Source, note: Note, piece: Piece, sign: str) -> Conversation:
    """The conversation of a piece of a note. `sign` is what marks it as a reflection."""
    day = day_of(note.front, source.name)
    file = Path(shown(source.root / source.name))
    lines = (note.first + piece.start, note.first + piece.end - 1)
    started = f"{day}T00:00:00Z" if day else ""
    origin = located(STAGE, source.session(source.name), file, *lines, started=started)
    role = source.role or ROLE
    id = f"{STAGE}:{origin.session}:{_digest(role, piece.text)}"
    asked = question(sign, _names(source, note, piece), day, id)
    return Conversation(
        id,
        msgspec.structs.replace(origin, group=source.session(source.first)),
        tuple(_messages(id, asked, piece.text, str(file), lines)),
        role=role,
        notes=(Changed(STAGE, "broken front matter"),) if note.broken else (),
        about={"source_file": shown(Path(source.name)), "tags": ", ".join(_tags(note, piece)), "date": day},
    )


def _names(source: Source, note: Note, piece: Piece) -> list[str]:
    """What the piece may be about: its headings, the note's title, and the name of its file."""
    title = note.front.get("title")
    return [*piece.headings, title if isinstance(title, str) else "", shown(Path(source.name.stem))]


def _tags(note: Note, piece: Piece) -> list[str]:
    """The tags of the note and those in the piece, each once."""
    inline = chain.from_iterable(map(tags_in, note.lines[piece.start : piece.end]))
    once = {tag.lower(): tag for tag in (*tags_of(note.front), *inline)}
    return [*once.values()][:_MOST_TAGS]


def _messages(id: str, asked: str, text: str, file: str, lines: tuple[int, int]) -> Iterator[Message]:
    """The question and the answer; one too long for one go in several turns."""
    first, last = lines
    for turn, part in enumerate(turns_of(text)):
        number = f"-{turn + 1}" if turn else ""
        yield User(more(f"{id}{turn}") if turn else asked, id=f"{id}:question{number}", file=file, line=first)
        yield Assistant(part, id=f"{id}:answer{number}", said=len(part), chars=len(part), file=file, line=last)


def _digest(*parts: str) -> str:
    return blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
