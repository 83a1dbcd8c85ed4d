"""The sources of a domain's JSON as sources of a pack: files of questions and answers, vaults, logs, repositories."""

from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

from configs.pack import domain_words as words
from configs.pack.domain_section import Section, plain

Source = dict[str, Any]


def sources_of(data: Section, role: str) -> list[Source]:
    """Each source that there is here; without one, what is given with --sessions. The others are said."""
    place, given = data.take(words.SOURCES)
    entries = given if isinstance(given, list) else [] if given is None else [given]
    found = [source for number, entry in enumerate(entries) for source in one(entry, f"{place}[{number}]", role, data)]
    if not found:
        data.notes.append(
            'no source could be taken over: the pack reads the answers given with --sessions ("{sessions}").'
        )
        return [{"kind": "qna", "path": "{sessions}", "role": role}]
    return found


def one(entry: Any, place: str, role: str, data: Section) -> Iterator[Source]:
    """A source: a path, or an object with a path and perhaps a kind."""
    section = Section.of(place, {"path": entry} if isinstance(entry, str) else entry, data.notes)
    said, path = section.take(words.KIND)[1], section.text(words.PLACES)
    wanted = plain(str(said)) if said else "file"
    kind = next((kind for kind, names in words.KINDS.items() if wanted in names), None)
    tags = section.take(words.TAGS)[1] if kind == "vault" else None
    data.notes.extend(section.left())
    if kind is None or not path or "://" in path:
        what = f"of the kind {said}" if kind is None else f"at {path}" if path else "without a path"
        data.notes.append(
            f"{place}: a source {what} has no counterpart. Put its answers into a .jsonl file, and name that."
        )
        return
    source = {"kind": kind, "path": without_pattern(path, place, data), "role": role}
    yield source | ({"vault": {"tags": tags}} if tags else {})


def without_pattern(path: str, place: str, data: Section) -> str:
    """A folder in place of `folder/*.jsonl`: a source reads every file below it."""
    parts = PurePath(path).parts
    solid = next((number for number, part in enumerate(parts) if set(part) & set("*?[")), None)
    if solid is None:
        return path
    folder = str(PurePath(*parts[:solid]))
    data.notes.append(f"{place}: {path} is the folder {folder} here, with every file in it.")
    return folder
