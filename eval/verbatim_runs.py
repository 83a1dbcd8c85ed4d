"""Finds the runs of words that answers share with trained texts, in rows that pass by once.

`Repeats(answers, words).meet(trained)` for every row, then `found()`. Memory grows with the answers and not with the
rows: kept is a hash of every run of `words` words of the answers, and the rows are looked up in it.
"""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from eval.trained_text import Trained
from eval.verbatim_answers import Answer, words_of

NOWHERE = -1


@dataclass(frozen=True)
class Found:
    """What of an answer stands in a trained text: words within such runs, and the longest run with its row.

    `text` is that run, for a person on this machine.
    """

    size: int
    covered: int
    longest: int
    where: str
    text: str


class Repeats:
    """Answers beside the rows. A run that stands in the answer's own prompt is a quotation and no repeat."""

    def __init__(self, answers: Sequence[Answer], words: int) -> None:
        self._least = words
        self._answers = answers
        self._words: list[str] = []  # of all answers, one behind the other
        self._owner = array("l")
        # Where a run begins, by its hash: the last place, and for each place the one before with the same hash.
        self._last: dict[int, int] = {}
        self._before = array("l")
        for number, answer in enumerate(answers):
            self._add(number, answer)
        self._known = set(self._words)
        self._covered = bytearray(len(self._words))
        self._best = [(0, 0, "")] * len(answers)  # length, place, row

    def meet(self, trained: Trained) -> None:
        """Looks for the answers' runs in what one row trained."""
        for text in trained.answered:
            self._meet(words_of(text), trained.where)

    def found(self) -> list[Found]:
        """What was found of each answer."""
        covered = [0] * len(self._answers)
        for owner, inside in zip(self._owner, self._covered, strict=True):
            covered[owner] += inside
        return [
            Found(answer.size, inside, length, where, " ".join(self._words[place : place + length]))
            for answer, inside, (length, place, where) in zip(self._answers, covered, self._best, strict=True)
        ]

    def _add(self, number: int, answer: Answer) -> None:
        quoted = {run for said in answer.prompt for run in _runs(said, self._least)}
        for piece in answer.pieces:
            first = len(self._words)
            self._words += piece
            self._owner.extend([number] * len(piece))
            self._before.extend([NOWHERE] * len(piece))
            for place, run in enumerate(_runs(piece, self._least), start=first):
                if run not in quoted:
                    self._before[place] = self._last.get(hash(run), NOWHERE)
                    self._last[hash(run)] = place

    def _meet(self, words: tuple[str, ...], where: str) -> None:
        """Only where so many words in a row are words of answers is a run of them looked up."""
        known, mark = bytes(map(self._known.__contains__, words)), b"\1" * self._least
        lengths: dict[int, int] = {}  # of the runs that end at the last word looked at, by where their end began
        at = known.find(mark)
        while at >= 0:
            longer = {
                place: lengths.get(place - 1, self._least - 1) + 1 for place in self._at(words[at : at + self._least])
            }
            for place, length in longer.items():
                self._note(place, length, where)
            after = known.find(mark, at + 1)
            lengths, at = longer if after == at + 1 else {}, after

    def _at(self, run: tuple[str, ...]) -> Iterator[int]:
        """The places of the answers in which a run begins; a hash alone would prove nothing."""
        place = self._last.get(hash(run), NOWHERE)
        while place != NOWHERE:
            if tuple(self._words[place : place + self._least]) == run:
                yield place
            place = self._before[place]

    def _note(self, place: int, length: int, where: str) -> None:
        # Of a run that goes on, all but the last word are marked already.
        first = place if length == self._least else place + self._least - 1
        self._covered[first : place + self._least] = b"\1" * (place + self._least - first)
        owner = self._owner[place]
        if length > self._best[owner][0]:
            self._best[owner] = length, place + self._least - length, where


def _runs(words: tuple[str, ...], least: int) -> Iterator[tuple[str, ...]]:
    return (words[at : at + least] for at in range(len(words) - least + 1))
