"""What a pack is, as values for machines (`summary`) and as text for people (`print_listing`, `description`)."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from textwrap import fill
from typing import Any, Final

from configs.combine import combine, differences
from configs.files import BASE_FILE, Output, shown
from configs.pack.layer import SECTION
from configs.pack.values import tasks_file
from configs.strict_yaml import load_mapping

PIPE_WIDTH: Final = 110
# What of the base recipe follows from the pack's name.
PATHS: Final = ("datasets", "test_datasets", "output_dir", "wandb_name")


def summary(file: Path) -> dict[str, Any]:
    """A pack that passes the check, in short. Raises `ConfigError`."""
    raw = load_mapping(file)
    tasks = tasks_file(file, raw["eval"]["tasks"])
    return {
        "name": file.stem,
        "file": str(shown(file)),
        "base_model": raw["base_model"],
        "model": f"{raw['model_prefix']}:latest",
        "system": raw["roles"][file.stem]["system"],
        "sources": raw["sources"],
        "quality": raw.get("quality", {}),
        "dedup": raw.get("dedup", {}),
        "split": raw.get("split", {}),
        "training": raw.get(SECTION) or {},
        "tasks": {"file": str(shown(tasks)), "count": len(list(filter(str.strip, tasks.open(encoding="utf-8"))))},
        "rubric": raw.get("rubric", {}).get("weights", {}),
        "serving": raw.get("serving", {}),
    }


def print_listing(packs: Sequence[dict[str, Any]]) -> None:
    """A table with a line for each pack."""
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    table = Table("pack", "served as", "base model", "sources", "tasks", box=SIMPLE, pad_edge=False)
    for pack in packs:
        kinds = ", ".join(dict.fromkeys(source["kind"] for source in pack["sources"]))
        table.add_row(pack["name"], pack["model"], pack["base_model"], kinds, str(pack["tasks"]["count"]))
    Console(width=None if sys.stdout.isatty() else PIPE_WIDTH, highlight=False).print(table)


def description(pack: dict[str, Any]) -> Iterator[str]:
    """A pack in lines: what it is made of, what its recipe changes, how it is built and trained."""
    name, file = pack["name"], pack["file"]
    yield f"{name}: {pack['base_model']}, served as {pack['model']}"
    yield fill(pack["system"], 100, initial_indent="  ", subsequent_indent="  ")
    yield "sources:"
    for source in pack["sources"]:
        yield f"  {source['kind']} from {source['path']}{', where there is one' if source.get('optional') else ''}"
    for section in ("quality", "dedup", "split", "serving"):
        yield f"{section}: {in_brief(pack[section])}"
    yield f"rubric: {pack['tasks']['count']} tasks in {pack['tasks']['file']}, weights {in_brief(pack['rubric'])}"
    yield "the recipe, against configs/base.yml:"
    recipe = combine(file)
    for key, before, after in differences(load_mapping(shown(BASE_FILE)), recipe):
        if key not in PATHS:
            yield f"  {key}: {'none' if before is None else before} -> {'none' if after is None else after}"
    output = Output(Path("output/packs") / name)
    yield "commands:"
    given = " --sessions PATH" if any("{sessions}" in source["path"] for source in pack["sources"]) else ""
    yield f"  python -m data.pipeline all --config {file}{given} --out {output.datasets}"
    yield f"  scripts/train.sh {name if file == f'configs/packs/{name}.yml' else file} --root {output.root}"
    results = output.root / "evals" / f"{name}.json"
    yield f"  python -m eval.rubric --config {file} --model {output.adapter(name)} --out {results}"


def in_brief(section: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in section.items()) or "as everywhere"
