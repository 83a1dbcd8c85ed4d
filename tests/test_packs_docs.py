"""docs/packs.md adds a domain from nothing: this does what it says, word for word, in an empty folder."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from configs.pack.layer import pack_names
from data.config import DataConfig, load_config
from eval.domain_tasks import load_tasks

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "packs.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w+) ?(\S*)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
FILES = {name: block for _, name, block in BLOCKS if name}
FIRST, *OTHERS = [block for kind, _, block in BLOCKS if kind == "sh"]
TOLD = re.findall(r"`(python -m configs\.pack[^`\n]*|scripts/train\.sh[^`\n]*|python -m configs\.plan[^`]*)`", PAGE)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the three files of the page and nothing else."""
    folder = tmp_path_factory.mktemp("empty")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    return folder


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A command of the page, started in the folder."""
    words = shlex.split(command, comments=True)
    assert words[:2] == ["python", "-m"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    return subprocess.run([sys.executable, *words[1:]], cwd=folder, env=environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def said(empty: Path) -> list[str]:
    """What the commands of the page print, one after the other."""
    told = []
    for command in FIRST.splitlines():
        done = run(command, empty)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        told.append(done.stdout)
    return told


def test_the_page_needs_one_pack_one_file_of_tasks_and_answers() -> None:
    assert sorted(FILES) == ["my/answers/bicycles.jsonl", "my/bicycles.jsonl", "my/bicycles.yml"]


def test_the_pack_is_checked_and_its_tasks_are_tried(said: list[str]) -> None:
    checked, attacked, *_ = said
    assert checked == "1 packs are right: bicycles.\n"
    assert re.search(r"gold +100 \(100\) 100 %", attacked)


def test_the_answers_become_rows_with_the_packs_prompt_in_all_three_splits(said: list[str], empty: Path) -> None:
    rows = {}
    for split in ("train", "val", "test"):
        file = empty / "output/packs/bicycles/datasets" / f"bicycles_{split}.jsonl"
        rows[split] = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    assert {split: len(found) for split, found in rows.items()} == {"train": 3, "val": 1, "test": 1}
    system = load_config(empty / "my/bicycles.yml").roles["bicycles"].system
    assert {row["conversations"][0]["value"] for found in rows.values() for row in found} == {system}
    asked = {json.loads(line)["input"] for line in FILES["my/answers/bicycles.jsonl"].splitlines()}
    assert {row["conversations"][1]["value"] for found in rows.values() for row in found} == asked


def test_the_recipe_trains_those_rows_as_the_pack_says(said: list[str], empty: Path) -> None:
    recipe = yaml.safe_load((empty / "output/packs/bicycles/configs/bicycles.yml").read_text("utf-8"))
    assert recipe["datasets"][0]["path"] == "output/packs/bicycles/datasets/bicycles_train.jsonl"
    assert recipe["output_dir"] == "output/packs/bicycles/checkpoints/bicycles"
    assert (recipe["lora_r"], recipe["base_model"]) == (16, "Qwen/Qwen2.5-7B-Instruct")


def test_the_other_commands_name_what_there_is() -> None:
    words = [shlex.split(line, comments=True) for block in OTHERS for line in block.splitlines()]
    words += [shlex.split(command) for command in TOLD]
    assert {tuple(found[:3]) for found in words if found[0] == "python"} >= {
        ("python", "-m", "deploy.registry"),
        ("python", "-m", "deploy.ollama"),
        ("python", "-m", "configs.plan"),
        ("python", "-m", "configs.pack"),
    }
    trained = [found[1] for found in words if found[0] == "scripts/train.sh"]
    assert set(trained) == {"my/bicycles.yml", "legal", "companion"}
    assert set(trained) - {"my/bicycles.yml"} <= set(pack_names())


def test_the_table_has_every_section_that_packs_have(root: Path) -> None:
    told = {
        name
        for line in PAGE.splitlines()
        if line.startswith("| `")
        for name in re.findall(r"`(\w+)`", line.split("|")[1])
    }
    assert told <= set(DataConfig.__struct_fields__)
    for name in pack_names():
        assert set(yaml.safe_load((root / "configs/packs" / f"{name}.yml").read_text())) - told == {"base_model"}


def test_the_task_on_the_page_is_one_of_the_rubric(empty: Path) -> None:
    file = load_tasks(empty / "my/bicycles.jsonl")
    assert (file.domain, len(file.tasks)) == ("bicycles", 1)
