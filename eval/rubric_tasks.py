"""Which tasks a run of the rubric has: shipped domains, files of one's own, or those that the pack names."""

from collections.abc import Sequence
from pathlib import Path

from eval.domain_tasks import TaskFile, domain_file, load_tasks, shipped_domains
from eval.errors import BadInput
from eval.rubric_config import RubricConfig


def load_files(
    domains: Sequence[str] | None, paths: Sequence[Path] | None, config: RubricConfig
) -> tuple[TaskFile, ...]:
    """The task files of the named domains and paths.

    Where none is named: the pack's own, or all shipped ones. A single file belongs to the pack's role, so that it is
    asked with its system prompt, whatever the file is called.
    """
    if not domains and not paths and config.tasks is not None:
        paths = (config.tasks,)
    names = dict.fromkeys(domains or ([] if paths else shipped_domains()))
    own = tuple(paths or ())
    if not names and len(own) == 1:
        return (load_tasks(own[0], config.domain_of(own[0])),)
    files = tuple(load_tasks(path) for path in [*map(domain_file, names), *own])
    stems = [file.domain for file in files]
    if twice := next((stem for stem in stems if stems.count(stem) > 1), None):
        raise BadInput(f"two task files are named {twice}, which is the domain; rename one of them.")
    return files
