"""Marks an answer by the rubric: structure, correctness, similarity and completeness, with the reason of each.

Similarity and completeness count nothing below 25 % correctness. A part that cannot be measured is n/a, and the weights
of the others make up the whole. `Marker(file, weights, sandbox).mark(task, answer)` returns a Score.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from eval.code_answers import CodeChecks, extract_code, requirements_met, run_tests, share_of, structure_of
from eval.domain_tasks import Task, TaskFile
from eval.prose import Measured, completeness_of, coverage_of, structure_of_prose
from eval.sandbox import Sandbox
from eval.sentences import read_prose, visible
from eval.similarity import above_floor, code_floor, code_similarity, prose_floor, prose_similarity

PartName = Literal["structure", "correctness", "similarity", "completeness"]
# Below it an answer is about something else, and looking like the gold answer earns nothing.
ENOUGH_CORRECT = 0.25
WITHHELD = Measured(0.0, "withheld below 25 % correctness")


class Part(msgspec.Struct, frozen=True):
    """One part in 0..1, None where it cannot be measured, and why."""

    name: PartName
    value: float | None
    explanation: str


class Score(msgspec.Struct, frozen=True):
    """The whole in 0..1, its parts, and the reasons in a sentence."""

    total: float
    parts: tuple[Part, ...]
    explanation: str

    def part(self, name: PartName) -> float | None:
        """The value of one part."""
        return next(part.value for part in self.parts if part.name == name)


class Marker:
    """Marks the answers of one domain; keeps what is the same for all of them, the gold answers and the floors."""

    def __init__(self, file: TaskFile, weights: Mapping[str, float], sandbox: Sandbox | None = None) -> None:
        self._file = file
        self._weights = weights
        self._sandbox = sandbox
        self._floors: dict[str, float | None] = {}

    def mark(self, task: Task, answer: str) -> Score:
        """The score of a raw answer. Raises ValueError for a code task without a sandbox."""
        text = visible(answer)
        if task.code is None:
            return self._weigh(self._prose(task, text))
        return self._weigh(self._code(task, task.code, text))

    def _prose(self, task: Task, text: str) -> dict[PartName, Measured]:
        passage = read_prose(text, _known(task))
        coverage = coverage_of(passage, task.facts, task.wrong)
        form: dict[PartName, Measured] = {
            "structure": structure_of_prose(passage, read_prose(task.gold_answer, _known(task))),
            "correctness": coverage,
        }
        if not _enough(coverage):
            return {**form, "similarity": WITHHELD, "completeness": WITHHELD}
        likeness = prose_similarity(text, task.gold_answer)
        return {
            **form,
            "similarity": _above(likeness, self._floor(task), "chrF++"),
            "completeness": completeness_of(passage, task.requirements),
        }

    def _code(self, task: Task, checks: CodeChecks, text: str) -> dict[PartName, Measured]:
        if self._sandbox is None:
            raise ValueError("a code task is marked in a sandbox")
        code = extract_code(text)
        if code is None:
            nothing = Measured(0.0, "no Python code in the answer")
            return {"structure": nothing, "correctness": nothing, "similarity": WITHHELD, "completeness": WITHHELD}
        results = run_tests(code, checks, self._sandbox)
        tested = Measured(*share_of(results))
        form: dict[PartName, Measured] = {"structure": Measured(*structure_of(code, checks)), "correctness": tested}
        if not _enough(tested):
            return {**form, "similarity": WITHHELD, "completeness": WITHHELD}
        likeness = code_similarity(code, _code_of(task))
        return {
            **form,
            "similarity": _above(likeness, self._floor(task), "syntax leaves"),
            "completeness": _completeness(task, requirements_met(checks, results)),
        }

    def _floor(self, task: Task) -> float | None:
        """What the best other gold answer reaches; measured once, when it is first needed."""
        if task.id not in self._floors:
            others = [other for other in self._file.tasks if other.id != task.id]
            if task.code is None:
                floor = prose_floor(task.gold_answer, (o.gold_answer for o in others if o.code is None))
            else:
                floor = code_floor(_code_of(task), (_code_of(o) for o in others if o.code is not None))
            self._floors[task.id] = floor
        return self._floors[task.id]

    def _weigh(self, measured: Mapping[PartName, Measured]) -> Score:
        known = {name: part.value for name, part in measured.items() if part.value is not None}
        total = sum(self._weights[name] * value for name, value in known.items())
        parts = tuple(Part(name, part.value, part.explanation) for name, part in measured.items())
        return Score(total / sum(self._weights[name] for name in known), parts, _sentence(parts))


def _known(task: Task) -> tuple[str, ...]:
    return (task.prompt, *(requirement.text for requirement in task.requirements))


def _completeness(task: Task, met: Mapping[int, bool]) -> Measured:
    """Share of the requirements that the hidden tests show to be met."""
    if not met:
        return Measured(None, "no requirement can be measured")
    missing = [f'"{task.requirements[number - 1].text}"' for number, holds in met.items() if not holds]
    said = f"{len(met) - len(missing)} of {len(met)} requirements"
    return Measured(1 - len(missing) / len(met), said + (f", missing {', '.join(missing)}" if missing else ""))


def _code_of(task: Task) -> str:
    return extract_code(task.gold_answer) or task.gold_answer


def _enough(correctness: Measured) -> bool:
    return correctness.value is not None and correctness.value >= ENOUGH_CORRECT


def _above(similarity: float, floor: float | None, measure: str) -> Measured:
    if floor is None:
        return Measured(None, "no other gold answer of the domain to measure the floor by")
    value = above_floor(similarity, floor)
    return Measured(value, f"{measure} {similarity:.2f} over a floor of {floor:.2f}")


def _sentence(parts: Sequence[Part]) -> str:
    """Every part with its value and reason, in one sentence."""
    said = (f"{part.name} {_percent(part.value)} ({part.explanation.rstrip('.')})" for part in parts)
    return f"{'; '.join(said)}."


def _percent(value: float | None) -> str:
    return "n/a" if value is None else f"{100 * value:.0f} %"
