"""What stays of a run: start.json before it, run.json beside the finished adapter."""

import hashlib
import importlib.metadata
import json
import subprocess
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import yaml

from configs.combine import differences
from configs.files import BASE_FILE, CONFIGS, write_text
from configs.rows import read_rows
from configs.runs.history import Entry, peak_memory, read_history, steps_of, times_of, tokens_per_second
from configs.runs.outcome import Outcome
from configs.strict_yaml import load_mapping

START_FILE: Final = "start.json"
RUN_FILE: Final = "run.json"
MANIFEST_FILE: Final = "manifest.json"
PACKAGES: Final = (
    "axolotl",
    "torch",
    "transformers",
    "peft",
    "trl",
    "datasets",
    "bitsandbytes",
    "tokenizers",
)

Record = dict[str, Any]


def start_record(text: str, config: Mapping[str, Any], sweep: str = "") -> Record:
    """What is trained, on which rows, since when: the first half of run.json.

    `text` is the recipe as Axolotl reads it, `sweep` the file of a sweep, if it is one.
    """
    blocks = (*config["datasets"], *config.get("test_datasets", ()))
    record: Record = {
        "base_model": config["base_model"],
        "config": text,
        "differences": differences(load_mapping(BASE_FILE), config),
        "seed": config.get("seed"),
        "data": [read_rows(Path(block["path"])).as_json() for block in blocks],
        "manifest": manifest_of(Path(config["datasets"][0]["path"]).parent),
        "commit": commit_of(CONFIGS),
        "versions": versions(),
        "started_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    return {**record, "sweep": sweep} if sweep else record


def manifest_of(folder: Path) -> Record | None:
    """The digest of the manifest beside the rows, and what it says of their origin; None where there is none."""
    try:
        content = (folder / MANIFEST_FILE).read_bytes()
        told = json.loads(content)
    except (OSError, ValueError):
        return None
    known = {key: told[key] for key in ("sample", "sessions") if key in told}
    return {"path": str(folder / MANIFEST_FILE), "sha256": hashlib.sha256(content).hexdigest(), **known}


def commit_of(folder: Path) -> Record | None:
    """The git commit of the recipes, and whether a file among them was changed since; None without git."""
    try:
        commit, changes = (
            subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, check=True, timeout=30)
            for words in (["rev-parse", "HEAD"], ["status", "--porcelain", "--", "."])
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return {"sha": commit.stdout.strip(), "changed": bool(changes.stdout.strip())}


def note_start(folder: Path, text: str) -> None:
    """Write start.json of a run that nobody prepared."""
    if text and not (folder / START_FILE).is_file():
        write_record(folder / START_FILE, start_record(text, yaml.safe_load(text)))


def read_start(checkpoints: Path) -> Record:
    """What was noted before the training began. Raises `ValueError` where nothing was."""
    file = checkpoints / START_FILE
    start = read_record(file)
    if start is None:
        raise ValueError(
            f"{file}: missing or unreadable, so nobody knows what was trained. Train with scripts/train.sh."
        )
    return start


def read_record(file: Path) -> Record | None:
    """start.json or run.json; None where it cannot be read or holds no recipe."""
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) and isinstance(record.get("config"), str) else None


def run_record(start: Mapping[str, Any], outcome: Outcome, folder: Path) -> Record:
    """The whole record of a finished run in the folder of its checkpoints."""
    return {
        **start,
        "finished_at": datetime.now(UTC).isoformat(timespec="seconds"),
        # Those that finished it; a run that was resumed may have begun under others.
        "versions": versions(),
        "outcome": asdict(outcome),
        **measured(read_history(folder)),
    }


def measured(history: list[Entry]) -> Record:
    """What the history tells: the machine, times in seconds, the loss of every step, tokens per second, peak bytes."""
    steps, times = steps_of(history), times_of(history)
    begins = [entry for entry in history if entry["kind"] == "begin"]
    if times is None:
        return {}
    return {
        "machine": begins[-1].get("machine"),
        "times": {"seconds": times.seconds, "resumed": times.resumed, "lost_steps": times.lost_steps},
        "tokens_per_second": tokens_per_second(steps),
        "peak_memory": peak_memory(history),
        "losses": [(step.step, step.loss) for step in steps],
    }


def versions() -> dict[str, str | None]:
    return {name: version(name) for name in PACKAGES}


def version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def write_record(file: Path, record: Mapping[str, Any]) -> None:
    write_text(file, record_text(record))


def record_text(record: Mapping[str, Any]) -> str:
    """JSON with a line for each key: a thousand losses stay one line."""
    lines = (f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in record.items())
    return "{\n" + ",\n".join(lines) + "\n}\n"
