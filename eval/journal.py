"""Keeps the replies of a run round by round, so that an interrupted run goes on where it stopped.

The first line says which run it is; a run with other scenarios, settings or weights is refused. A round is the unit:
its replies are written together, and replaying them leads to the same next prompts.
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec

from eval.errors import BadInput, sha256
from eval.models import Prompt, Reply

NAME = "replies.jsonl"


class Round(msgspec.Struct, frozen=True):
    """The replies of one round of one sample, and the hash of what was asked."""

    sample: int
    round: int
    asked: str
    replies: tuple[Reply, ...]


class Journal:
    """The rounds of one run in `folder`; `run` is what must be equal to go on."""

    def __init__(self, folder: Path, run: Mapping[str, Any]) -> None:
        self.path = folder / NAME
        self._run = json.dumps(run, sort_keys=True)
        self._rounds = self._read()
        self.resumed = len(self._rounds)

    def through(
        self, sample: int, ask: Callable[[int, Sequence[Prompt]], Sequence[Reply]]
    ) -> Callable[[int, Sequence[Prompt]], Sequence[Reply]]:
        """`ask` for the rounds of one sample, answered from the journal where they are in it."""

        def answer(number: int, prompts: Sequence[Prompt]) -> Sequence[Reply]:
            asked = sha256(*(json.dumps(asdict(prompt)).encode() for prompt in prompts))
            known = self._rounds.get((sample, number))
            if known is not None and known.asked == asked:
                return known.replies
            replies = tuple(ask(number, prompts))
            self._write(Round(sample, number, asked, replies))
            return replies

        return answer

    @staticmethod
    def discard(folder: Path) -> None:
        """Removes the journal of a run whose results are written: they hold every reply."""
        (folder / NAME).unlink(missing_ok=True)

    def _read(self) -> dict[tuple[int, int], Round]:
        try:
            first, *lines = self.path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return {}
        except OSError as problem:
            raise BadInput(f"{self.path} cannot be read ({problem.strerror}); choose another --out.") from None
        if first and first.decode(errors="replace") != self._run:
            raise BadInput(
                f"{self.path.parent} holds an unfinished run of something else ({self._difference(first)}); "
                f"delete {self.path} to start anew, or choose another --out."
            )
        return _complete_rounds(lines)

    def _difference(self, first: bytes) -> str:
        """The names of what differs between the unfinished run and this one."""
        try:
            before, now = json.loads(first), json.loads(self._run)
            return "other " + ", ".join(sorted(key for key in now if before.get(key) != now[key]))
        except (ValueError, AttributeError):
            return "it is no journal"

    def _write(self, finished: Round) -> None:
        """Appends one round, whole and on the disk; a part of a line that an interruption left is dropped first."""
        if not self._rounds:
            self.path.write_text(self._run + "\n", encoding="utf-8")
        elif self.resumed:
            kept = b"".join(msgspec.json.encode(one) + b"\n" for one in self._rounds.values())
            temporary = self.path.with_suffix(".tmp")
            temporary.write_bytes(self._run.encode() + b"\n" + kept)
            temporary.replace(self.path)
            self.resumed = 0
        with self.path.open("ab") as stream:
            stream.write(msgspec.json.encode(finished) + b"\n")
            stream.flush()
            os.fsync(stream.fileno())
        self._rounds[finished.sample, finished.round] = finished


def _complete_rounds(lines: Sequence[bytes]) -> dict[tuple[int, int], Round]:
    """The rounds up to the first line that is not whole."""
    found: dict[tuple[int, int], Round] = {}
    for line in lines:
        try:
            one = msgspec.json.decode(line, type=Round)
        except (msgspec.DecodeError, UnicodeDecodeError):
            break
        found[one.sample, one.round] = one
    return found
