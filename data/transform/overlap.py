"""Drops windows that share a run of words with a scenario or a task of the evaluation: what is tested is not trained.

`overlap(config.overlap)` is the stage. It looks at what people wrote and at the replies that train. A run is
`words` words. A shorter question counts as a whole. A call counts as a whole too, and only if it is that long: `gt mail
send mayor/ -s ...` is every witness's, and only the end says of what. Hyperscan looks for all runs at once.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from data.config import ConfigError, OverlapConfig, repository_path
from data.record import Assistant, Conversation, Drop, User, dropped
from data.stage import Stage

STAGE = "overlap"
LEAST_WORDS = 5  # a shorter question (`Cycle 12: beat.`) stands in any town by chance

_WORD = re.compile(r"\w+")
_DRAWN = re.compile(r"\{\{\w+\}\}")
_PHRASE = 3  # words that are looked for first; the whole run is compared where they stand
_LETTERS = 14  # of a phrase that is not everybody's


class Reason(StrEnum):
    OVERLAP = "overlaps a scenario"


class Call(msgspec.Struct, frozen=True):
    arguments: dict[str, Any]


class Turn(msgspec.Struct, frozen=True):
    role: str = "assistant"
    content: str = ""
    calls: tuple[Call, ...] = ()


class Scenario(msgspec.Struct, frozen=True):
    """What of a scenario must not be trained: what the model is asked, and a right run."""

    id: str
    messages: tuple[Turn, ...]
    gold: tuple[Turn, ...]


class Task(msgspec.Struct, frozen=True):
    """The same of a task of the rubric (eval/domains)."""

    id: str
    prompt: str
    gold_answer: str


def overlap(config: OverlapConfig) -> Stage:
    """A stage that passes a window or drops it. Raises ConfigError where the scenarios cannot be read."""
    find = finder(load_runs(config))

    def judge(conversation: Conversation) -> Iterator[Conversation | Drop]:
        found = find(trained_texts(conversation))
        yield dropped(conversation, STAGE, Reason.OVERLAP, found) if found else conversation

    return judge


def digest(config: OverlapConfig) -> str:
    """A hash of the scenarios, for whoever keeps results: other scenarios drop other windows."""
    total = sha256()
    for file in _files(config):
        total.update(file.read_bytes())
    return total.hexdigest()


def load_runs(config: OverlapConfig) -> dict[str, str]:
    """Every run of words, in lower case with one space between them, and `file:line id` of its scenario.

    Raises ConfigError, one sentence for each line that is no scenario.
    """
    runs: dict[str, str] = {}
    problems = []
    for file in _files(config):
        for number, line in enumerate(file.read_bytes().splitlines(), 1):
            if not line.strip():
                continue
            try:
                scenario = _scenario(line)
                found = list(runs_of(scenario, config.words))
            except (msgspec.MsgspecError, UnicodeError, ValueError) as error:
                problems.append(f"overlap.prompts: {file}:{number} is no scenario ({error}). Correct the line.")
                continue
            for run in found:
                runs.setdefault(run, f"{file.name}:{number} {scenario.id}")
    if problems:
        raise ConfigError("\n".join(problems))
    return runs


def _scenario(line: bytes) -> Scenario:
    """The scenario in a line, or the task as one. Raises msgspec's errors."""
    if "gold_answer" not in msgspec.json.decode(line, type=dict[str, msgspec.Raw]):
        return msgspec.json.decode(line, type=Scenario)
    task = msgspec.json.decode(line, type=Task)
    return Scenario(task.id, (Turn("user", task.prompt),), (Turn("assistant", task.gold_answer),))


def _files(config: OverlapConfig) -> list[Path]:
    """The scenario files. Raises ConfigError where the folder has none."""
    if not config.prompts:
        return []
    files = sorted(repository_path(config.prompts).glob("*.jsonl"))
    if not files:
        raise ConfigError(
            f'overlap.prompts: {config.prompts} holds no .jsonl file. Give the scenarios\' folder, or "" for no check.'
        )
    return files


def runs_of(scenario: Scenario, size: int) -> Iterator[str]:
    """The runs of a scenario: of its questions, its calls and its answers. Results are anybody's.

    A value that is drawn anew for each sample (`{{bead}}`) ends a run: what is left around it is how anybody asks.
    """
    for turn in (*scenario.messages, *scenario.gold):
        if turn.role == "tool":
            continue
        said = list(map(_words, _DRAWN.split(turn.content)))
        if turn.role == "user" and len(said) == 1 and LEAST_WORDS <= len(said[0]) < size:
            yield " ".join(said[0])
        for words in said:
            yield from (" ".join(words[at : at + size]) for at in range(len(words) - size + 1))
        yield from (" ".join(words) for words in map(_words, _commands(turn)) if len(words) >= size)


def _commands(turn: Turn) -> Iterator[str]:
    """The parts of a turn's arguments between drawn values."""
    values = (value for call in turn.calls for value in call.arguments.values() if isinstance(value, str))
    return (part for value in values for part in _DRAWN.split(value))


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def trained_texts(conversation: Conversation) -> list[str]:
    """What people wrote in a window, and the replies that train, with their calls."""
    texts = []
    for message in conversation.messages:
        if isinstance(message, User):
            texts.append(message.text)
        elif isinstance(message, Assistant) and message.train:
            # An end of line in a JSON text is no letter n before the next word.
            texts += [message.text, *(call.arguments.replace("\\n", " ") for call in message.calls)]
    return texts


def finder(runs: dict[str, str]) -> Callable[[Sequence[str]], str]:
    """A function that says with which scenario texts share a run of words: the first in order, or '' for none."""
    if not runs:
        return lambda texts: ""
    import hyperscan

    phrases = few_phrases(runs)
    candidates = list(phrases.values())
    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    database.compile(
        expressions=[rb"\W{1,9}".join(re.escape(word).encode() for word in phrase) for phrase in phrases],
        ids=list(range(len(phrases))),
        elements=len(phrases),
        flags=hyperscan.HS_FLAG_CASELESS | hyperscan.HS_FLAG_SINGLEMATCH,
    )

    def find(texts: Sequence[str]) -> str:
        hits: set[int] = set()
        whole = "\n".join(texts).encode("utf-8", "replace")
        database.scan(whole, match_event_handler=lambda hit, *_: hits.add(hit))
        if not hits:
            return ""
        plain = [f" {' '.join(_words(text))} " for text in texts]
        likely = (run for hit in sorted(hits) for run in candidates[hit])
        return next((runs[run] for run in likely if any(f" {run} " in text for text in plain)), "")

    return find


Phrase = tuple[str, ...]


def few_phrases(runs: Iterable[str]) -> dict[Phrase, list[str]]:
    """A few phrases so that one stands in every run, with the runs of each: neighbours of one text share theirs.

    Each pattern costs a millisecond in every worker.
    """
    holding: dict[Phrase, list[str]] = {}
    for run in runs:
        words = run.split()
        for phrase in {tuple(words[at : at + _PHRASE]) for at in range(max(len(words) - _PHRASE, 0) + 1)}:
            holding.setdefault(phrase, []).append(run)
    waiting = [(_rank(phrase, len(several)), phrase) for phrase, several in holding.items()]
    heapq.heapify(waiting)
    found: dict[Phrase, list[str]] = {}
    open_still = dict.fromkeys(runs)
    while open_still:
        rank, phrase = heapq.heappop(waiting)
        new = [run for run in holding[phrase] if run in open_still]
        if new and (now := _rank(phrase, len(new))) != rank:
            heapq.heappush(waiting, (now, phrase))
        elif new:
            found[phrase] = new
            for run in new:
                del open_still[run]
    return found


def _rank(phrase: Phrase, opens: int) -> tuple[bool, int]:
    """The smaller the better: an ordinary phrase, which would be found in every window, comes last."""
    return _letters(phrase) < _LETTERS, -opens


def _letters(phrase: Phrase) -> int:
    return sum(map(len, phrase))
