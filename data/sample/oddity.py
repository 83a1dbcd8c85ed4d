"""What an oddity of the format is in the sample town, and the table row that says who shows it.

An act is a move inside of a dialogue. A rewrite decides how a finished session lies on disk. The function's name is the
oddity's name; the sentence says what a correct reader does with it, and goes into `oddities.json`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from data.sample.transcript import Transcript

Files = Mapping[str, bytes]


@dataclass(frozen=True)
class Act:
    """A move in the middle of a session, or its last move."""

    play: Callable[[Transcript], None]
    role: str
    reader_must: str
    last: bool = False

    @property
    def name(self) -> str:
        return self.play.__name__


@dataclass(frozen=True)
class Rewrite:
    """A way to write a finished session: its files by path under the town's folder, the odd one first."""

    write: Callable[[Transcript], Files]
    role: str
    reader_must: str

    @property
    def name(self) -> str:
        return self.write.__name__


Oddity = Act | Rewrite
