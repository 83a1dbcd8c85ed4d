"""The plugin keeps Axolotl from training yesterday's rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow


def registered(cfg: dict[str, Any]) -> str:
    """The folder of prepared data after Axolotl has registered the plugin."""
    from axolotl.utils.dict import DictDefault

    from configs.plugin import ForgePlugin

    made = DictDefault(cfg)
    ForgePlugin().register(made)
    return str(made.dataset_prepared_path)


def recipe(folder: Path, text: str) -> dict[str, Any]:
    row = {"conversations": [], "metadata": {"tokens": 3, "trained_tokens": 1, "id": text}}
    (folder / "rows.jsonl").write_text(json.dumps(row) + "\n")
    return {"datasets": [{"path": str(folder / "rows.jsonl")}], "dataset_prepared_path": "output/prepared/base"}


def test_other_rows_have_another_folder_and_the_same_rows_the_same(tmp_path: Path) -> None:
    first = registered(recipe(tmp_path, "one"))
    assert first.startswith("output/prepared/") and not first.endswith("base")
    assert registered(recipe(tmp_path, "two")) != first
    assert registered(recipe(tmp_path, "one")) == first


def test_a_resolved_recipe_keeps_its_folder(tmp_path: Path) -> None:
    cfg = recipe(tmp_path, "one") | {"dataset_prepared_path": "output/prepared/0123456789abcdef"}
    assert registered(cfg) == "output/prepared/0123456789abcdef"
