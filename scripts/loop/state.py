"""What is known of a round: `output/loop/<role>/<round>/state.json`, written whole after every step.

A round without an outcome is unfinished, and goes on at its first step that is not done.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import msgspec

from configs.files import write_text
from scripts.loop.errors import BadInput

FILE = "state.json"
NAME = re.compile(r"r([1-9]\d*)")
Outcome = Literal["", "promoted", "refused", "nothing", "given up"]


class Command(msgspec.Struct, frozen=True):
    """A command that was run: its words, its exit code, its seconds, and its log beside the state."""

    words: tuple[str, ...]
    code: int
    seconds: float
    log: str


class Step(msgspec.Struct, frozen=True):
    """A step that ended: what it said, in sentences, and the commands that it ran."""

    name: str
    done: bool
    started_at: str
    seconds: float
    said: tuple[str, ...] = ()
    commands: tuple[Command, ...] = ()


class Round(msgspec.Struct):
    """A round. `asked` are the words that it was begun with, `facts` what later steps need of earlier ones."""

    role: str
    name: str
    started_at: str
    asked: dict[str, Any] = {}
    steps: list[Step] = []
    facts: dict[str, Any] = {}
    seen: dict[str, int] = {}
    outcome: Outcome = ""
    reasons: tuple[str, ...] = ()
    finished_at: str = ""

    def done(self, step: str) -> bool:
        """Whether a step has been done."""
        return any(one.name == step and one.done for one in self.steps)


def now() -> str:
    """This second, as ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def folder_of(root: Path, role: str) -> Path:
    """Where the rounds of a role lie."""
    return root / "loop" / role


def save(folder: Path, state: Round) -> None:
    """Writes the state of the round in this folder."""
    write_text(folder / FILE, msgspec.json.format(msgspec.json.encode(state)).decode() + "\n")


def load(folder: Path) -> Round:
    """The state of the round in this folder. Raises `BadInput`."""
    try:
        return msgspec.json.decode((folder / FILE).read_bytes(), type=Round)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as problem:
        raise BadInput(
            f"{folder / FILE} cannot be read ({problem}). Move {folder} away; the next round does not need it."
        ) from None


def rounds(root: Path, role: str) -> list[Round]:
    """The rounds of a role, the oldest first."""
    place = folder_of(root, role)
    numbers = sorted(
        int(match[1]) for path in place.glob("r*") if (match := NAME.fullmatch(path.name)) and (path / FILE).is_file()
    )
    return [load(place / f"r{number}") for number in numbers]


def next_name(root: Path, role: str) -> str:
    """The name of the next round: no folder of it is there."""
    taken = [int(match[1]) for path in folder_of(root, role).glob("r*") if (match := NAME.fullmatch(path.name))]
    return f"r{max(taken, default=0) + 1}"
