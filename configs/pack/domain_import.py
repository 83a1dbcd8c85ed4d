"""Makes a pack's file of a domain's JSON, whole and checked, or none: `import_domain(file, folder)`."""

import json
import tempfile
from pathlib import Path
from textwrap import fill
from typing import Any, Final

import yaml

from configs.files import CONFIGS, shown, write_text
from configs.pack.check import problems_of_packs
from configs.pack.domain import Domain, translate
from configs.strict_yaml import ConfigError

MAX_BYTES: Final = 1_000_000  # of a domain's file; one has some kilobytes


def import_domain(
    file: Path, folder: Path, base_model: str = "", tasks: str = "", force: bool = False
) -> tuple[Path, tuple[str, ...]]:
    """Write the pack of a domain; where it lies, and what has no counterpart in it. Raises `ConfigError`."""
    domain = translate(read(file), base_model)
    target = folder / f"{domain.name}.yml"
    if target.exists() and not force:
        raise ConfigError([f"{shown(target)} is there already. Give --force to replace it, or the domain another id."])
    named = in_repository(Path(tasks)) if tasks else tasks_of(domain, file)
    text = written(domain, named, file)
    with tempfile.TemporaryDirectory() as place:
        draft = Path(place) / target.name
        draft.write_text(text, encoding="utf-8")
        if problems := problems_of_packs([draft]):
            raise ConfigError(
                f"{file} would be a wrong pack: {one.replace(str(draft), draft.name)}" for one in problems
            )
    write_text(target, text)
    return target, domain.notes


def read(file: Path) -> Any:
    try:
        if file.stat().st_size > MAX_BYTES:
            raise ConfigError([f"{file} has more than {MAX_BYTES:,} bytes: no domain. Give the JSON of one domain."])
        return json.loads(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError([f"{file}: cannot be read ({error.strerror})."]) from None
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError([f"{file}: not the JSON of a domain ({reason}). Correct it."]) from None


def tasks_of(domain: Domain, file: Path) -> str:
    """The tasks that the domain names, from its own place, or those of the repository. Raises `ConfigError`."""
    beside = file.parent / domain.tasks if domain.tasks else None
    if beside and beside.is_file():
        return in_repository(beside)
    ours = f"eval/domains/{domain.name}.jsonl"
    for known in filter(None, (domain.tasks, ours)):
        if (CONFIGS.parent / known).is_file():
            return known
    raise ConfigError([f"{domain.name} has no tasks. Write {ours} (docs/packs.md), or name a file: --tasks FILE."])


def in_repository(file: Path) -> str:
    """A path as a pack names it: relative to the repository where it lies there."""
    whole = file.resolve()
    return str(whole.relative_to(CONFIGS.parent) if whole.is_relative_to(CONFIGS.parent) else whole)


def written(domain: Domain, tasks: str, file: Path) -> str:
    """The pack's file. What the domain says and a pack does not stands above it as comments."""
    pack = {key: value for key, value in domain.pack.items() if value != {}} | {"eval": {"tasks": tasks}}
    about = f"Pack: {domain.title}. {domain.about}".replace("\n", " ").strip()
    left = ["Of the domain's file:", *domain.notes] if domain.notes else []
    how = f"Imported from {file.name} by `python -m configs.pack import`; docs/packs.md says what each key means."
    head = [about, how, *left]
    comment = "\n".join(fill(line, 118, initial_indent="# ", subsequent_indent="#   ") for line in head)
    return f"{comment}\n\n{yaml.safe_dump(pack, sort_keys=False, allow_unicode=True, width=110)}"
