"""Which scenarios stand in the training rows, so that a pass there proves memory and no skill.

`python -m eval.contamination --rows output/datasets` prints the scenarios that are most like the rows. Runs of 13
words find long texts, the likeness of the last question finds short ones; a paraphrase is found by neither.

What a town says every day is no evidence. A run of words that many sessions share is boiler plate. In a question of
under 13 words (`Cycle 833: beat.`, `Bead pe-812 is ready.`) the numbers are what is asked: with others it is another
question, while a longer text stays the same text. Under five words behind other messages (`Go on.`) ask nothing by
themselves. And a beacon that opens many sessions counts for nothing where the answer hangs on the results that follow.
"""

import argparse
import re
import sys
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.markup import escape

from eval.errors import one_sentence
from eval.options import positive
from eval.report import make_console, make_table
from eval.results import Overlap
from eval.scenario import ROLES, Scenario, User, instance, known_role, load_scenarios
from eval.trained_text import Trained, read_trained, strings, train_files

GRAM = 13  # words; shorter runs are shared by texts that have nothing to do with each other
MOST_GRAMS = 0.30  # from this share on, a scenario counts as trained
SAME = 0.90  # from this likeness on, two questions are one
LIKE = 0.70  # below this likeness two questions have only their language in common, and it is given as 0
LEAST_WORDS = 5  # a shorter question stands in any town by chance
# Boiler plate is in more than this share of the sessions, and in as many as make it a habit.
COMMON_SHARE, COMMON_SESSIONS = 0.05, 5
SHOWN = 15

WORD = re.compile(r"\w+")
PARAGRAPH = re.compile(r"\n\s*\n")


def contaminated(scenarios: Sequence[Scenario], rows: Iterable[Path]) -> dict[str, Overlap]:
    """The scenarios that stand in the rows, by id: a likeness of .90 or more, or .30 of their 13-grams.

    `scenarios` are instances with their variables drawn; of several with one id the worst counts. `rows` are files of
    training rows, or folders of them. Raises BadInput where a file holds none.
    """
    return {key: overlap for key, overlap in overlaps(scenarios, rows).items() if is_trained(overlap)}


def is_trained(overlap: Overlap) -> bool:
    """Whether a scenario with this overlap counts as trained."""
    return overlap.ratio >= SAME or overlap.grams >= MOST_GRAMS


def overlaps(scenarios: Sequence[Scenario], rows: Iterable[Path]) -> dict[str, Overlap]:
    """How much of each scenario stands in the rows, by id in the order of `scenarios`."""
    comparison = Comparison(scenarios)
    for trained in read_trained(file for path in rows for file in train_files(path)):
        comparison.meet(trained)
    found: dict[str, Overlap] = {}
    for scenario in scenarios:
        overlap = comparison.overlap(scenario)
        if scenario.id not in found or _badness(overlap) > _badness(found[scenario.id]):
            found[scenario.id] = overlap
    return found


class Habit:
    """In how many sessions something stands. The rows of a session follow each other."""

    sessions, last = 0, ""

    def meet(self, session: str) -> None:
        self.sessions += session != self.last
        self.last = session

    def is_common(self, sessions: int) -> bool:
        """Whether so many of all sessions have it that it says nothing."""
        return self.sessions >= COMMON_SESSIONS and self.sessions > COMMON_SHARE * sessions


class Question(Habit):
    """A last question: the sessions that ask it, and the message that is most like it."""

    ratio, where = 0.0, ""

    def meet_like(self, ratio: float, trained: Trained) -> None:
        """Notes a message that is like this question, 0..1."""
        if ratio > self.ratio:
            self.ratio, self.where = ratio, trained.where
        if ratio >= SAME:
            self.meet(trained.session)


class Comparison:
    """Scenarios beside rows that pass by once: memory grows with the scenarios, not with the rows."""

    def __init__(self, scenarios: Sequence[Scenario]) -> None:
        self._grams = {gram: Habit() for scenario in scenarios for gram in _grams_of(scenario)}
        self._known = {word for gram in self._grams for word in gram.split()}
        self._questions = {text: Question() for text in sorted(map(_last_question, scenarios), key=len) if text}
        self._texts, self._lengths = [*self._questions], [*map(len, self._questions)]
        self._all = Habit()
        self._compared: set[str] = set()

    def meet(self, trained: Trained) -> None:
        """Compares one row with all scenarios."""
        if trained.session != self._all.last:
            self._compared.clear()
        self._all.meet(trained.session)
        for text in trained.asked:
            paragraphs = [_words(part) for part in PARAGRAPH.split(text)]
            whole = [word for words in paragraphs for word in words]
            self._meet_grams(whole, trained)
            for message in dict.fromkeys(" ".join(words) for words in (*paragraphs, whole) if words):
                self._compare(message, trained)
        for text in trained.answered:
            self._meet_grams(_words(text), trained)

    def overlap(self, scenario: Scenario) -> Overlap:
        """What was found of one of the scenarios."""
        telling = [g for g in _grams_of(scenario) if not self._grams[g].is_common(self._all.sessions)]
        shared = sum(self._grams[gram].sessions > 0 for gram in telling)
        question = self._questions.get(_last_question(scenario), Question())
        if scenario.steps > 1 and question.is_common(self._all.sessions):
            question = Question()
        return Overlap(shared / len(telling) if telling else 0.0, question.ratio, question.where)

    def _meet_grams(self, words: list[str], trained: Trained) -> None:
        """Notes the grams of scenarios in a text: looked for only where 13 words in a row are words of scenarios."""
        known = bytes(map(self._known.__contains__, words))
        at = known.find(b"\1" * GRAM)
        while at >= 0:
            if (habit := self._grams.get(" ".join(words[at : at + GRAM]))) is not None:
                habit.meet(trained.session)
            at = known.find(b"\1" * GRAM, at + 1)

    def _compare(self, message: str, trained: Trained) -> None:
        """Compares one message, or one paragraph of it, with the last questions; once in a session."""
        from rapidfuzz import fuzz, process

        if message in self._compared:
            return
        self._compared.add(message)
        # Texts of which one is shorter by more cannot be that like: 2 * shorter / (shorter + longer) is the most.
        shortest, longest = len(message) * LIKE / (2 - LIKE), len(message) * (2 - LIKE) / LIKE
        near = self._texts[bisect_left(self._lengths, shortest) : bisect_right(self._lengths, longest)]
        like = process.extract_iter(message, near, scorer=fuzz.ratio, score_cutoff=100 * LIKE)
        for text, percent, _ in like:
            if text.count(" ") >= GRAM - 1 or _numbers(text) <= _numbers(message):
                self._questions[text].meet_like(percent / 100, trained)


def _grams_of(scenario: Scenario) -> set[str]:
    """The 13-grams of its questions, right answers and right calls."""
    texts = [message.content for message in scenario.messages if isinstance(message, User)]
    for said in scenario.gold:
        texts += [said.content, *(text for call in said.calls for text in strings(call.arguments))]
    several = map(_words, texts)
    return {" ".join(words[at : at + GRAM]) for words in several for at in range(len(words) - GRAM + 1)}


def _last_question(scenario: Scenario) -> str:
    """Its words, or nothing where they are too few to say anything about what was asked before."""
    asked = [message for message in scenario.messages if isinstance(message, User)]
    words = _words(asked[-1].content)
    return " ".join(words) if len(words) >= LEAST_WORDS or len(scenario.messages) == 1 else ""


def _words(text: str) -> list[str]:
    return WORD.findall(text.lower())


def _numbers(text: str) -> set[str]:
    return {word for word in text.split() if not word.isalpha()}


def _badness(overlap: Overlap) -> float:
    return max(overlap.ratio / SAME, overlap.grams / MOST_GRAMS)


def contamination(argv: Sequence[str] | None = None) -> int:
    """The command line."""
    args = _arguments(argv)
    chosen = [load_scenarios(known_role(role)) for role in dict.fromkeys(args.role or ROLES)]
    scenarios = [instance(s, k, args.seed)[0] for file in chosen for s in file.scenarios for k in range(args.samples)]
    found = overlaps(scenarios, args.rows)
    _print_worst(found)
    return 0


def _print_worst(found: dict[str, Overlap]) -> None:
    table = make_table("", "scenario", "question", "13-grams", "nearest row", "")
    worst = sorted(found.items(), key=lambda item: _badness(item[1]), reverse=True)
    for key, overlap in worst[:SHOWN]:
        mark = "trained" if is_trained(overlap) else ""
        table.add_row(key, f"{overlap.ratio:.2f}", f"{overlap.grams:.2f}", escape(overlap.nearest) or "-", mark)
    console = make_console()
    console.print(table)
    trained = sum(map(is_trained, found.values()))
    console.print(f"{trained} of {len(found)} scenarios stand in the training rows.")


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m eval.contamination",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--role", action="append", help=f"one of {', '.join(ROLES)}; may be repeated; default all")
    parser.add_argument("--rows", nargs="+", type=Path, required=True, help="files of training rows, or a build")
    parser.add_argument("--samples", type=positive, default=1, help="draws of each scenario's variables; default 1")
    parser.add_argument("--seed", type=int, default=0, help="of the draws; default 0")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(one_sentence(contamination))
