"""What the sections of a pack may say that no other room checks: model prefix, tasks, rubric weights, serving, names.

Each check yields (path of keys, sentence), so that a problem can be shown with its line.
"""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from configs.files import CONFIGS

Finding = tuple[tuple[str | int, ...], str]

# Of models, as Ollama and the gateway write them: PREFIX:latest.
PREFIX: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}")
# Of roles, in names of files and models.
NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,63}")
PARTS: Final = ("structure", "correctness", "similarity", "completeness")
# What rows of question and answer files are for where their source does not say.
OTHERWISE: Final = {"qna": "knowledge", "observers": "knowledge", "beads": "knowledge"}


@dataclass(frozen=True, slots=True)
class Range:
    """The values of a number; `least` itself is none of them where `above` is set."""

    least: float
    most: float
    whole: bool = False
    above: bool = False

    def holds(self, value: object) -> bool:
        kinds = int if self.whole else (int, float)
        if not isinstance(value, kinds) or isinstance(value, bool):
            return False
        return self.least <= value <= self.most and not (self.above and value == self.least)

    def __str__(self) -> str:
        kind = "a whole number" if self.whole else "a number"
        return f"{kind} {'above' if self.above else 'from'} {self.least:,} to {self.most:,}"


SERVING: Final = {
    "temperature": Range(0, 2),
    "top_p": Range(0, 1, above=True),
    "num_ctx": Range(256, 1_048_576, whole=True),
}


def of_names(name: str, raw: Mapping[str, Any], taken: Iterable[str]) -> Iterator[Finding]:
    """The pack's own name, and the role of that name with a source that fills it."""
    if not NAME.fullmatch(name):
        yield (), f"the file's name is the pack's: `{name}` must be a-z first, then a-z, 0-9, - and _. Rename the file."
    if name in taken:
        yield (), f"{name} is the name of a role of the town. Give the file another name."
    roles, sources = raw.get("roles"), raw.get("sources")
    if isinstance(roles, dict) and name not in roles:
        yield ("roles",), f"roles.{name} is missing. A pack trains the role of its file's name: add its system prompt."
    kinds = [one for one in sources if isinstance(one, dict)] if isinstance(sources, list) else []
    if kinds and not any((one.get("role") or OTHERWISE.get(str(one.get("kind")), name)) == name for one in kinds):
        yield ("sources", 0), f"no source is for {name}. Add `role: {name}` to the source."


def of_prefix(raw: Mapping[str, Any]) -> Iterator[Finding]:
    prefix = raw.get("model_prefix", "")
    if not isinstance(prefix, str) or not PREFIX.fullmatch(prefix):
        said = f"is {prefix!r}" if prefix else "is missing"
        yield ("model_prefix",), f"model_prefix {said}. Give up to 32 of a-z, 0-9, dot, - and _, such as forge-legal."


def of_tasks(file: Path, raw: Mapping[str, Any]) -> Iterator[Finding]:
    section = raw.get("eval", {})
    named = section.get("tasks") if isinstance(section, dict) else None
    if not isinstance(named, str) or not named:
        yield ("eval",), "eval.tasks is missing. Name the file of the rubric's tasks, such as eval/domains/legal.jsonl."
    elif not tasks_file(file, named).is_file():
        yield ("eval", "tasks"), f"eval.tasks: {named} is no file, neither beside the pack nor in the repository."


def tasks_file(pack: Path, named: str) -> Path:
    """Where a pack's tasks are: beside the pack, or below the repository."""
    beside = pack.parent / Path(named).expanduser()
    return beside if beside.is_file() else CONFIGS.parent / Path(named).expanduser()


def of_rubric(raw: Mapping[str, Any]) -> Iterator[Finding]:
    section = raw.get("rubric", {})
    if not isinstance(section, dict) or set(section) - {"weights"}:
        yield ("rubric",), f"rubric holds weights and nothing else: {{weights: {{{PARTS[0]}: 25, ...}}}}."
        return
    weights = section.get("weights", dict.fromkeys(PARTS, 1))
    if not isinstance(weights, dict):
        yield ("rubric", "weights"), f"rubric.weights must give a number for {', '.join(PARTS)}."
        return
    for part in weights:
        if part not in PARTS:
            yield ("rubric", "weights", part), f"rubric.weights.{part} is no part. The parts are {', '.join(PARTS)}."
    for part in PARTS:
        value = weights.get(part)
        if part not in weights:
            yield ("rubric", "weights"), f"rubric.weights.{part} is missing. Give all four parts, or leave rubric out."
        elif isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
            yield ("rubric", "weights", part), f"rubric.weights.{part} is {value!r}. Give a number above 0."


def of_serving(raw: Mapping[str, Any]) -> Iterator[Finding]:
    section = raw.get("serving", {})
    if not isinstance(section, dict):
        yield ("serving",), f"serving must be a mapping of {', '.join(SERVING)}."
        return
    for key, value in section.items():
        if key not in SERVING:
            near = difflib.get_close_matches(str(key), SERVING, n=1)
            fix = f"Did you mean {near[0]}?" if near else f"Known: {', '.join(SERVING)}."
            yield ("serving", key), f"serving.{key} is not a key. {fix}"
        elif not SERVING[key].holds(value):
            yield ("serving", key), f"serving.{key} is {value!r}. Give {SERVING[key]}."
