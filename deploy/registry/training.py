"""What run.json tells of a training: its rows, its recipe, and so the role that it was for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

import msgspec
import yaml

from deploy.adapter import Refusal
from deploy.card import ROW_FILE
from deploy.registry.folders import RUN_FILE


class Rows(msgspec.Struct, frozen=True):
    """A file of rows as run.json names it."""

    path: str
    sha256: str

    @property
    def name(self) -> str:
        """mayor_train.jsonl"""
        return PurePath(self.path).name


class ManifestFact(msgspec.Struct, frozen=True):
    """The dataset's manifest as run.json names it."""

    path: str
    sha256: str


class Run(msgspec.Struct, frozen=True):
    """What run.json tells of a training; `config` is the resolved recipe as text, times are ISO 8601."""

    config: str
    data: tuple[Rows, ...] = ()
    manifest: ManifestFact | None = None
    started_at: str = ""
    finished_at: str = ""

    @property
    def settings(self) -> Mapping[str, Any]:
        """The resolved recipe."""
        value = yaml.safe_load(self.config)
        return value if isinstance(value, dict) else {}


def read_run(folder: Path) -> Run | None:
    """run.json, None where the folder has none. Raises `Refusal` where it is damaged."""
    path = folder / RUN_FILE
    if not path.is_file():
        return None
    try:
        run = msgspec.json.decode(path.read_bytes(), type=Run)
        _ = run.settings
    except (OSError, msgspec.DecodeError, yaml.YAMLError) as problem:
        raise Refusal(f"{path} is not what a training leaves ({problem}). Train or fetch the adapter again.") from None
    return run


def role_of(run: Run | None) -> str | None:
    """The role whose rows were trained, `gastown` for all of them, None where that cannot be told."""
    found = {match["role"] for rows in run.data if (match := ROW_FILE.fullmatch(rows.name))} if run else set()
    return found.pop() if len(found) == 1 else None
