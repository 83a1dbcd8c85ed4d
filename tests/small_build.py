"""Builds a dataset from a few invented sessions, with some settings of configs/data.yml changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from data import pipeline

ROOT = Path(__file__).resolve().parent.parent


def build(folder: Path, roles: dict[str, Any] | None = None, **changed: object) -> int:
    """The exit code of a build of folder/projects into folder/out; `roles` are changed one by one."""
    settings = yaml.safe_load((ROOT / "configs/data.yml").read_text("utf-8"))
    settings |= {"archive": str(folder / "none"), "roles": settings["roles"] | (roles or {})} | changed
    (folder / "data.yml").write_text(yaml.safe_dump(settings), "utf-8")
    paths = ("--sessions", folder / "projects", "--out", folder / "out", "--config", folder / "data.yml")
    return pipeline.main(["all", *map(str, paths), "--workers", "1"])


def lines(folder: Path, name: str) -> list[Any]:
    """The decoded lines of a file of the build."""
    path = folder / "out" / name
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []


def rows(folder: Path) -> list[Any]:
    """All rows of the build."""
    return [row for split in ("train", "val", "test") for row in lines(folder, f"gastown_{split}.jsonl")]
