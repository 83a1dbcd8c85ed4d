"""Answers that were asked live, a line each, on the disk before the next is asked: nothing that was paid for is lost.

The first line says who was asked what; a file of something else is refused, and half a line of a crash is left out.
"""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from eval.errors import BadInput
from eval.people.answered import Answered, Answers
from eval.people.pair_store import append


class Head(msgspec.Struct, frozen=True, tag="answers", tag_field="kind"):
    """The first line: the model, and a hash of the questions and of how they were put."""

    model: str
    asked: str


class Stored:
    """The answers of one side in `path`, old and new. Raises BadInput where it holds answers to something else."""

    def __init__(self, path: Path, head: Head) -> None:
        self._path, self._head = path, head
        self.found: dict[str, Answered] = {}
        if path.exists():
            known, answers = _read(path)
            if known != head:
                raise BadInput(f"{path} holds answers to something else; delete it, or give another --answers.")
            self.found = dict(answers)

    def add(self, answer: Answered) -> None:
        """Write an answer down. Raises BadInput where the disk does not take it."""
        lines = [msgspec.json.encode(answer)]
        if not self._path.exists():
            lines.insert(0, msgspec.json.encode(self._head))
        try:
            append(self._path, lines)
        except OSError as problem:
            raise BadInput(f"{self._path} cannot be written ({problem.strerror}); make room and run again.") from None
        self.found[answer.id] = answer


def read_stored(path: Path) -> Answers:
    """The answers of a file, named for the version that gave them where it is one of ours."""
    head, found = _read(path)
    if not found:
        raise BadInput(f"{path} holds no answer yet; ask again.")
    served = sorted({answer.served for answer in found.values()})
    if len(served) > 1:
        versions = " and ".join(version or "an unknown version" for version in served)
        raise BadInput(f"{path} mixes answers of {versions}; ask anew with --again.")
    return Answers(served[0] or head.model, found)


def _read(path: Path) -> tuple[Head, Mapping[str, Answered]]:
    try:
        first, *lines = path.read_bytes().split(b"\n")
        head = msgspec.json.decode(first, type=Head)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        raise BadInput(f"{path} is no file of answers; delete it, or give another.") from None
    found: dict[str, Answered] = {}
    for line in lines:
        try:
            answer = msgspec.json.decode(line, type=Answered)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            continue  # the empty end, or half a line
        found[answer.id] = answer
    return head, found
