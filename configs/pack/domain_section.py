"""A part of a domain's JSON, from which known keys are taken one by one: what stays has no counterpart in a pack."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from configs.pack.domain_words import Spellings

_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def plain(key: str) -> str:
    """`maxSeqLength` and `max-seq-length` are `max_seq_length`."""
    return _HUMP.sub("_", key).lower().replace("-", "_").replace(" ", "_")


@dataclass
class Section:
    """`values` by their plain keys; `said` are the keys as written, `notes` what a person should know."""

    name: str
    values: dict[str, Any]
    notes: list[str]
    said: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, name: str, raw: Any, notes: list[str]) -> "Section":
        """A section; what is no mapping is an empty one, and said."""
        if raw is not None and not isinstance(raw, Mapping):
            notes.append(f"{name} is no object, so nothing of it was taken.")
        given = raw if isinstance(raw, Mapping) else {}
        return cls(name, {plain(k): v for k, v in given.items()}, notes, {plain(k): k for k in given})

    def place(self, key: str) -> str:
        written = self.said.get(key, key)
        return f"{self.name}.{written}" if self.name else written

    def take(self, spellings: Spellings) -> tuple[str, Any]:
        """The place and the value of the first spelling that is there; an empty place where none is."""
        for key in spellings:
            if self.values.get(key) is not None:
                return self.place(key), self.values.pop(key)
        return "", None

    def number(self, spellings: Spellings) -> float | int | None:
        """A number, also one that was written as text."""
        place, value = self.take(spellings)
        if not place:
            return None
        try:
            number = float(value) if not isinstance(value, bool) else float("nan")
        except (TypeError, ValueError):
            number = float("nan")
        if number != number or abs(number) == float("inf"):
            self.notes.append(f"{place} is {value!r}, which is no number, and was left out.")
            return None
        return int(number) if number.is_integer() and "." not in str(value) else number

    def text(self, spellings: Spellings) -> str:
        place, value = self.take(spellings)
        if place and not isinstance(value, str):
            self.notes.append(f"{place} is no text and was left out.")
        return value.strip() if isinstance(value, str) else ""

    def section(self, spellings: Spellings) -> "Section":
        """A section in this one, empty where there is none."""
        place, value = self.take(spellings)
        return Section.of(place or ".".join(filter(None, (self.name, spellings[0]))), value, self.notes)

    def left(self) -> Iterator[str]:
        """A sentence for each key that nothing took."""
        for key, value in self.values.items():
            if value is not None:
                yield f"{self.place(key)} has no counterpart in a pack and was left out."
