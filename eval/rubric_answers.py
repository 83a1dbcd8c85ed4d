"""Where the rubric's answers come from: a model that is asked, or a file of stored answers.

Both give a `Source` for the results file and the replies by domain, one per task in file order. What a model has
answered before an interruption is kept and not asked again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec

from eval.domain_tasks import Task, TaskFile
from eval.errors import BadInput, sha256
from eval.journal import Journal
from eval.models import Model, Prompt, Reply, Sampling, Settings
from eval.rubric_config import RubricConfig

Replies = Mapping[str, Sequence[Reply]]


@dataclass(frozen=True)
class Source:
    """Who answered and how, for the results file."""

    label: str
    facts: dict[str, Any]
    settings: dict[str, float | str]


class StoredAnswer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of a file of answers."""

    id: str
    answer: str


@dataclass(frozen=True)
class Questions:
    """What is asked: the files of tasks with the pack's system prompts, and how much room an answer has."""

    files: Sequence[TaskFile]
    config: RubricConfig
    settings: Settings

    def ask(self, model: Model, label: str, unfinished: Path) -> tuple[Source, Replies]:
        """Asks every task's prompt, greedily, a domain at a time; `unfinished` keeps what was answered."""
        sampling = Sampling(seed=self.settings.seed)
        source = Source(label, model.facts, asdict(self.settings) | {"temperature": sampling.temperature})
        described = asdict(source) | {
            "tasks": {file.domain: file.sha256 for file in self.files},
            "systems": systems(self.files, self.config),
        }
        unfinished.mkdir(exist_ok=True)
        ask = Journal(unfinished, described).through(0, lambda _, prompts: model.reply(prompts, sampling))
        return source, {
            file.domain: ask(number, [prompt_of(task, file.domain, self.config) for task in file.tasks])
            for number, file in enumerate(self.files)
        }


def base_of(model: Model, label: str) -> Model:
    """The loaded model without its adapter. Raises BadInput where there is none to leave out."""
    if model.base is None:
        raise BadInput(f"--base-out needs an adapter that is loaded here; {label} is none, so run --model base.")
    return model.base


def forget_unfinished(unfinished: Path) -> None:
    """Removes what was kept of a run whose results are written."""
    if unfinished.is_dir():
        Journal.discard(unfinished)
        unfinished.rmdir()


def prompt_of(task: Task, domain: str, config: RubricConfig) -> Prompt:
    """What a model sees of a task; requirements, facts and tests stay hidden."""
    system = config.systems.get(domain)
    first = ({"role": "system", "content": system},) if system else ()
    return Prompt((*first, {"role": "user", "content": task.prompt}))


def systems(files: Sequence[TaskFile], config: RubricConfig) -> dict[str, str]:
    """The hash of each domain's system prompt, "" where the pack has none."""
    found = {file.domain: config.systems.get(file.domain, "") for file in files}
    return {domain: sha256(text.encode()) if text else "" for domain, text in found.items()}


def read_answers(path: Path, files: Sequence[TaskFile]) -> tuple[Source, Replies]:
    """The stored answers of `path`; every task needs one. Raises BadInput with file and line."""
    try:
        raw = path.read_bytes()
    except OSError:
        raise BadInput(f'{path} cannot be read; it holds {{"id", "answer"}} objects, one a line.') from None
    known = [task.id for file in files for task in file.tasks]
    if twice := next((name for name in known if known.count(name) > 1), None):
        raise BadInput(f"two domains have a task {twice}; mark one --domain at a time.")
    answers = _decode_answers(raw, path, frozenset(known))
    if missing := [name for name in known if name not in answers]:
        raise BadInput(
            f"{path} has no answer for {missing[0]} and {len(missing) - 1} others; add it, or choose --domain."
        )
    replies = {file.domain: [Reply(answers[task.id]) for task in file.tasks] for file in files}
    return Source(f"answers of {path.name}", {"answers_sha256": sha256(raw)}, {}), replies


def _decode_answers(raw: bytes, path: Path, known: frozenset[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for number, line in enumerate(raw.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            one = msgspec.json.decode(line, type=StoredAnswer)
        except (msgspec.DecodeError, UnicodeDecodeError) as problem:
            raise BadInput(f'{path}:{number}: {problem}; a line is {{"id": ..., "answer": ...}}.') from None
        if one.id not in known:
            raise BadInput(
                f"{path}:{number}: there is no task {one.id}; correct the id, or add its --domain or --tasks."
            )
        if one.id in found:
            raise BadInput(f"{path}:{number}: {one.id} is answered twice; keep one of the lines.")
        found[one.id] = one.answer
    return found
