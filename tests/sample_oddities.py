"""A session of the sample town that shows an oddity, opened for the structural checks of test_sample_oddities_*.py."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from data.sample.town import Entry, Town, build_town

Row = dict[str, Any]


@cache
def default_town() -> Town:
    return build_town()


@dataclass(frozen=True)
class Odd:
    """An oddity's index entry and its files."""

    name: str
    entry: Entry
    town: Town

    @property
    def raw(self) -> bytes:
        return self.town.files[self.entry.file]

    @cached_property
    def rows(self) -> list[Row]:
        return parse(self.raw)

    @cached_property
    def others(self) -> dict[str, bytes]:
        return {path: self.town.files[path] for path in self.entry.also}

    @cached_property
    def blocks(self) -> list[tuple[int, Row]]:
        """Every content block with the index of its record; a string counts as a text block."""
        return [(i, block) for i, row in enumerate(self.rows) if "message" in row for block in blocks_of(row)]

    def of(self, kind: str) -> list[tuple[int, Row]]:
        """The blocks of one type."""
        return [(i, block) for i, block in self.blocks if block["type"] == kind]

    def texts(self, speaker: str) -> list[tuple[int, str]]:
        """The texts of user or assistant records."""
        return [(i, b["text"]) for i, b in self.of("text") if self.rows[i]["type"] == speaker]

    def starting(self, start: str) -> list[int]:
        """Records of the human side with a text that begins like this."""
        return [i for i, text in self.texts("user") if text.startswith(start)]

    def result_of(self, call_id: str) -> Row | None:
        return next((b for _, b in self.of("tool_result") if b["tool_use_id"] == call_id), None)

    def kinds(self, kind: str, **fields: Any) -> list[int]:
        """Records of one type with these fields."""
        return [i for i, r in enumerate(self.rows) if r["type"] == kind and fields.items() <= r.items()]


def parse(content: bytes) -> list[Row]:
    """One object per line; a damaged line raises."""
    return [json.loads(line) for line in content.splitlines()]


def blocks_of(row: Row) -> list[Row]:
    content = row["message"]["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def open_oddity(name: str, town: Town | None = None) -> Odd:
    town = town or default_town()
    return Odd(name, town.oddities[name], town)


@cache
def plain_sessions() -> tuple[Odd, ...]:
    """The sessions that show no oddity, read once."""
    town = default_town()
    taken = {path for entry in town.oddities.values() for path in (entry.file, *entry.also)}
    paths = [path for path in town.files if path.startswith("projects/-home-overseer-gt-") and path not in taken]
    return tuple(Odd("plain", Entry(path.split("/")[-1][:36], "", path, (), ""), town) for path in paths)


def shows(check: Callable[[Odd], bool], odd: Odd) -> bool:
    """Whether the check holds; one that does not find what it looks for does not hold."""
    try:
        return check(odd)
    except (AssertionError, IndexError, KeyError, StopIteration, ValueError):
        return False
