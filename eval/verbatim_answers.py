"""The answers of a results file as words, each with what its prompt said: the rubric's, or those of role_bench.

`read_side(path)` gives a `Side`. The unit is the task or the scenario, its family is the cluster, as everywhere here.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from eval.errors import BadInput
from eval.results import NAME, RoleBench, families
from eval.rubric_results import RubricRun, clusters_of
from eval.trained_text import said_texts, strings

WORD = re.compile(r"\w+")
RUNS: msgspec.json.Decoder[RoleBench | RubricRun] = msgspec.json.Decoder(RoleBench | RubricRun)


@dataclass(frozen=True)
class Answer:
    """One reply: the unit that it belongs to, a name to find it by, its pieces as words, and what it was asked."""

    unit: str
    name: str
    pieces: tuple[tuple[str, ...], ...]
    prompt: tuple[tuple[str, ...], ...]

    @property
    def size(self) -> int:
        """How many words it has."""
        return sum(map(len, self.pieces))


@dataclass(frozen=True)
class Side:
    """The answers of one model; `clusters` by unit; `is_base` where no adapter was on it."""

    path: Path
    model: str
    is_base: bool
    kind: str
    answers: tuple[Answer, ...]
    clusters: Mapping[str, str]


def words_of(text: str) -> tuple[str, ...]:
    """The words of a text in small letters; signs and spaces are nobody's words."""
    return tuple(WORD.findall(text.lower()))


def read_side(path: Path) -> Side:
    """The answers in a results file or its folder, or a sentence that says why there are none."""
    path = path / NAME if path.is_dir() else path
    try:
        run = RUNS.decode(path.read_bytes())
    except OSError as problem:
        raise BadInput(
            f"{path} cannot be read ({problem.strerror}); give results of eval.rubric or role_bench."
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        raise BadInput(f"{path} is no result of the rubric or of role_bench ({problem}); run it again.") from None
    if isinstance(run, RubricRun):
        answers, clusters, kind = tuple(_of_rubric(run)), clusters_of(run.results), "rubric"
    else:
        answers, clusters, kind = tuple(_of_bench(run)), dict(families(run.episodes)), "role_bench"
    if not answers or not all(answer.prompt for answer in answers):
        raise BadInput(f"{path} holds no answers with their prompts; run it again.")
    return Side(path, run.model, run.facts.get("adapter") is None, kind, answers, clusters)


def _of_rubric(run: RubricRun) -> Iterator[Answer]:
    for one in run.results:
        yield Answer(one.key, one.key, _pieces(one.answer), (words_of(one.prompt),) if one.prompt else ())


def _of_bench(run: RoleBench) -> Iterator[Answer]:
    """Every reply of every sample; what it was asked is all that stands before it, results of calls included."""
    for episode in run.episodes:
        before = [words_of(text) for message in episode.asked for text in _texts(message)]
        for number, step in enumerate(episode.steps, start=1):
            name = f"{episode.id}, sample {episode.sample}, reply {number}"
            yield Answer(episode.id, name, _pieces(step.answer), tuple(before))
            before += map(words_of, step.results)


def _pieces(reply: str) -> tuple[tuple[str, ...], ...]:
    return tuple(words for words in map(words_of, said_texts(reply)) if words)


def _texts(message: Mapping[str, Any]) -> Iterator[str]:
    yield from (text for key, value in message.items() if key != "role" for text in strings(value))
