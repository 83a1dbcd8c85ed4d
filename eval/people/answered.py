"""The answers of one side to a set of tasks, as the judge's page shows them: read from a stored results file.

`read_answers(path, files)` takes results of role_bench (a file or its folder), of the rubric, or answers that
`eval.people.live` stored. Thoughts and special tokens are left out: they would say which model it is.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from eval.answer import visible
from eval.domain_tasks import TaskFile, domain_file, load_tasks, shipped_domains
from eval.errors import BadInput
from eval.judge_prompt import run_text, task_text
from eval.results import NAME, clean, read_results
from eval.rubric_results import RubricRun, read_rubric

NOTHING = "(nothing)"
_SPECIAL = re.compile(r"(?:<\|[\w-]+\|>|</s>|\s)+$")


class Answered(msgspec.Struct, frozen=True):
    """One task with what a side answered. `kind` is the task's family or category, `cluster` what is not independent.

    Times and tokens are those of the whole answer; None where nobody counted.
    """

    id: str
    kind: str
    cluster: str
    prompt: str
    text: str
    seconds: float | None = None
    prompt_tokens: int | None = None
    new_tokens: int | None = None
    served: str = ""


@dataclass(frozen=True)
class Answers:
    """All answers of a side, by task."""

    model: str
    by_task: Mapping[str, Answered]


class _Kind(msgspec.Struct):
    kind: str = ""


def read_answers(path: Path, files: Sequence[TaskFile] = ()) -> Answers:
    """The answers in `path`; results of the rubric need the tasks, which are in `files` or shipped. Raises BadInput."""
    path = path / NAME if path.is_dir() else path
    try:
        raw = path.read_bytes()
    except OSError:
        raise BadInput(f"{path} cannot be read; give a results file of role_bench or the rubric.") from None
    match _kind(raw):
        case "role_bench":
            run = read_results(path)
            return _set(path, run.model, _of_episodes(path))
        case "rubric":
            marked = read_rubric(path)
            return _set(path, marked.model, _of_marks(path, marked, files))
        case "answers":
            from eval.people.stored import read_stored

            return read_stored(path)
    raise BadInput(f"{path} holds no answers; give a results file of role_bench or the rubric.")


def shown(text: str) -> str:
    """An answer without its thoughts and the special tokens at its end."""
    return _SPECIAL.sub("", visible(text)).strip() or NOTHING


def _kind(raw: bytes) -> str:
    first = raw.split(b"\n", 1)[0]
    for part in (raw, first):
        try:
            return msgspec.json.decode(part, type=_Kind).kind
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            continue
    return ""


def _set(path: Path, model: str, answers: Iterator[Answered]) -> Answers:
    found = {answer.id: answer for answer in answers}
    if not found:
        raise BadInput(f"{path} holds no answer that is free of training rows; there is nothing to judge.")
    return Answers(model, found)


def _of_episodes(path: Path) -> Iterator[Answered]:
    """The first sample of each scenario that no training row holds."""
    for episode in clean(read_results(path)):
        if episode.sample == 0:
            asked = [step.prompt_tokens for step in episode.steps]
            said = [step.new_tokens for step in episode.steps]
            yield Answered(
                id=episode.id,
                kind=episode.family,
                cluster=f"{episode.role}/{episode.family}",
                prompt=task_text(episode.asked),
                text=_SPECIAL.sub("", run_text(episode.steps)) or NOTHING,
                seconds=sum(step.seconds for step in episode.steps),
                prompt_tokens=total(asked),
                new_tokens=total(said),
            )


def total(counts: Sequence[int | None]) -> int | None:
    """The sum; None where one was not counted."""
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def _of_marks(path: Path, run: RubricRun, files: Sequence[TaskFile]) -> Iterator[Answered]:
    known = {file.domain: file for file in files}
    for domain in run.tasks.keys() - known.keys():
        if domain in shipped_domains():
            known[domain] = load_tasks(domain_file(domain))
    for domain, digest in run.tasks.items():
        if domain not in known:
            raise BadInput(f"{path} has answers to the tasks of {domain}; give their file with --tasks.")
        if known[domain].sha256 != digest:
            raise BadInput(f"{path} answers another version of the tasks of {domain}; run the rubric again.")
    prompts = {f"{file.domain}/{task.id}": task.prompt for file in known.values() for task in file.tasks}
    for one in run.results:
        # Tasks are written one by one, so each is independent of the others (as in eval.rubric_results).
        yield Answered(
            id=one.key,
            kind=one.category,
            cluster=one.key,
            prompt=prompts[one.key],
            text=shown(one.answer),
            seconds=one.seconds,
            prompt_tokens=one.prompt_tokens,
            new_tokens=one.new_tokens,
        )
