"""Which tasks are judged, with which system prompts: those of a pack, of a shipped domain, or a file of one's own."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from eval.config import DEFAULT
from eval.domain_tasks import TaskFile, domain_file, load_tasks
from eval.errors import BadInput
from eval.rubric_config import RubricConfig, load_rubric_config

PACKS = Path("configs/packs")

Tasks = tuple[TaskFile, RubricConfig]


def tasks_of(domains: Sequence[str], paths: Sequence[Path], config: Path | None) -> list[Tasks]:
    """The files of tasks that are named, each with its config; without a name those of the config. Raises BadInput."""
    found = [_of_domain(name, config) for name in dict.fromkeys(domains)]
    if paths or (config and not domains):
        given = load_rubric_config(config or DEFAULT)
        own = paths or ([given.tasks] if given.tasks else [])
        found += [(load_tasks(path, given.domain_of(path)), given) for path in own]
    names = [file.domain for file, _ in found]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise BadInput(f"two files of tasks are for {twice}; name one of them, or rename its file.")
    return found


def pack_of(names: Sequence[str]) -> Path:
    """The config of the first name that has a pack, else the shared one."""
    return next(_packs(names), DEFAULT)


def _of_domain(name: str, config: Path | None) -> Tasks:
    """A pack's own tasks come before the shipped ones of that name."""
    settings = load_rubric_config(config or pack_of([name]))
    if settings.tasks is not None and settings.domain_of(settings.tasks) == name:
        return load_tasks(settings.tasks, name), settings
    return load_tasks(domain_file(name)), settings


def _packs(names: Sequence[str]) -> Iterator[Path]:
    for name in names:
        if (path := PACKS / f"{name}.yml").is_file():
            yield path
