"""Marks a run of the rubric: the replies of a model, task by task, become a results file.

`mark_all(files, replies, config, sandbox, source)` needs a sandbox from `sandbox_for(files)` where a task has code.
"""

import importlib.metadata
from collections.abc import Sequence

from eval.domain_tasks import Task, TaskFile
from eval.marker import Marker
from eval.models import Reply, versions
from eval.rubric_answers import Replies, Source, systems
from eval.rubric_config import RubricConfig
from eval.rubric_results import Marked, RubricRun, summarize_marks
from eval.sandbox import Sandbox, choose_sandbox

MEASURES = ("sacrebleu", "rapidfuzz", "tree-sitter", "tree-sitter-python")


def sandbox_for(files: Sequence[TaskFile]) -> Sandbox | None:
    """A sandbox where a task has code to run. Raises BadInput where none works: no code is run without."""
    return choose_sandbox() if any(task.code is not None for file in files for task in file.tasks) else None


def mark_all(
    files: Sequence[TaskFile], replies: Replies, config: RubricConfig, sandbox: Sandbox | None, source: Source
) -> RubricRun:
    """Marks the replies of each domain, one per task in file order."""
    results: list[Marked] = []
    for file in files:
        marker = Marker(file, config.weights, sandbox)
        pairs = zip(file.tasks, replies[file.domain], strict=True)
        results += [_mark(marker, file.domain, task, reply) for task, reply in pairs]
    return RubricRun(
        model=source.label,
        facts=source.facts,
        settings=source.settings,
        versions=versions() | {name: importlib.metadata.version(name) for name in MEASURES},
        weights=dict(config.weights),
        tasks={file.domain: file.sha256 for file in files},
        systems=systems(files, config),
        sandbox=sandbox.name if sandbox else None,
        summary=summarize_marks(results, config.weights),
        results=tuple(results),
    )


def _mark(marker: Marker, domain: str, task: Task, reply: Reply) -> Marked:
    score = marker.mark(task, reply.text)
    return Marked(
        id=task.id,
        domain=domain,
        category=task.category,
        is_prose=task.code is None,
        total=score.total,
        parts=score.parts,
        explanation=score.explanation,
        answer=reply.text,
        truncated=reply.truncated,
        prompt_tokens=reply.prompt_tokens,
        new_tokens=reply.new_tokens,
        seconds=reply.seconds,
        family=task.family,
        held_out=task.held_out,
        prompt=task.prompt,
    )
