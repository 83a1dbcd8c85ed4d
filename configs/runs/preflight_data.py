"""Are the rows those of a finished dataset that is newer than its configuration?

A folder of rows with no manifest.json is taken as it is, with a note: nobody can say whether it is whole.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from configs.files import CONFIGS, shown
from configs.runs.record import MANIFEST_FILE

DATA_CONFIG: Final = "data.yml"


def data_obstacles(config: Mapping[str, Any]) -> Iterator[str]:
    """Rows that are missing, older than their configuration, or not those that the manifest describes."""
    found = row_files(config)
    for file in found:
        if not file.is_file():
            yield f"{file}: no such file. Run `make all`, then resolve the recipe again."
    for folder in dict.fromkeys(file.parent for file in found):
        manifest = read_manifest(folder)
        if manifest is None:
            continue
        yield from stale(folder)
        for file in found:
            if file.parent == folder and file.is_file() and is_changed(file, manifest):
                yield (
                    f"{file}: not the rows that {MANIFEST_FILE} beside it describes: the file was changed after the "
                    "build, or the build did not finish. Run `make all` again."
                )


def row_files(config: Mapping[str, Any]) -> list[Path]:
    return [Path(block["path"]) for block in (*config["datasets"], *config.get("test_datasets", ()))]


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """What manifest.json says of each file; None where there is no manifest, empty where it says nothing."""
    try:
        manifest = json.loads((folder / MANIFEST_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    files = manifest.get("files") if isinstance(manifest, dict) else None
    return files if isinstance(files, dict) else {}


def stale(folder: Path) -> Iterator[str]:
    """The dataset is older than what it is made by: the data.yml of its own output tree, else that of the project."""
    own = folder.parent / DATA_CONFIG
    made_by = own if own.is_file() else CONFIGS / DATA_CONFIG
    manifest = folder / MANIFEST_FILE
    if made_by.is_file() and made_by.stat().st_mtime > manifest.stat().st_mtime:
        yield (
            f"{folder}: older than {shown(made_by)}. Run `make all`, or `touch {manifest}` if the change does not "
            "concern these rows."
        )


def is_changed(file: Path, manifest: Mapping[str, Any]) -> bool:
    """Whether a file differs from its entry in the manifest, by size where that is enough."""
    entry = manifest.get(file.name)
    if not isinstance(entry, dict):
        return False
    if entry.get("bytes", file.stat().st_size) != file.stat().st_size:
        return True
    with file.open("rb") as content:
        return entry.get("sha256") != hashlib.file_digest(content, "sha256").hexdigest()


def data_notes(config: Mapping[str, Any]) -> Iterator[str]:
    """Which rows nobody vouches for."""
    for file in row_files(config):
        manifest = read_manifest(file.parent)
        if manifest is None:
            yield f"{file}: no {MANIFEST_FILE} beside it, so whether it is whole and current was not checked."
        elif file.name not in manifest:
            yield f"{file}: not in {MANIFEST_FILE} beside it, so whether it is whole and current was not checked."
