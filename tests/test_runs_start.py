"""Before a training: what is missing is said at once, and only the same recipe on the same rows is resumed."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from configs.runs import start
from configs.combine import combine
from configs.runs.start import START_FILE, WHOLE_CHECKPOINT, gpu_keys, main, obstacles, prepare

ROW = json.dumps({"conversations": [], "metadata": {"tokens": 10, "trained_tokens": 4}}) + "\n"


@pytest.fixture
def recipe(tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    """A small recipe whose rows exist."""
    rows = tmp_path / "rows.jsonl"
    rows.write_text(ROW, encoding="utf-8")
    config = {"base_model": "some/base", "datasets": [{"path": str(rows)}], "output_dir": str(tmp_path / "checkpoints")}
    file = tmp_path / "mayor.yml"
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    return file, config


def checkpoint(folder: Path, step: int, missing: str | None = None) -> None:
    target = folder / f"checkpoint-{step}"
    target.mkdir(parents=True)
    for name in WHOLE_CHECKPOINT:
        if name != missing:
            (target / name).write_text("x", encoding="utf-8")


def test_the_same_recipe_resumes_from_whole_checkpoints_only(recipe: tuple[Path, dict[str, Any]]) -> None:
    file, config = recipe
    folder = Path(config["output_dir"])
    prepare(file, config)
    started = (folder / START_FILE).read_bytes()
    checkpoint(folder, 10)
    checkpoint(folder, 20, missing="optimizer.pt")
    said = prepare(file, config)
    assert said == f"same recipe as before in {folder}: 1 checkpoints to resume from, removed checkpoint-20 (not whole)"
    assert [path.name for path in folder.glob("checkpoint-*")] == ["checkpoint-10"]
    assert (folder / START_FILE).read_bytes() == started


@pytest.mark.parametrize("missing", WHOLE_CHECKPOINT)
def test_a_checkpoint_without_any_of_its_files_is_not_resumed(
    recipe: tuple[Path, dict[str, Any]], missing: str
) -> None:
    file, config = recipe
    prepare(file, config)
    checkpoint(Path(config["output_dir"]), 10, missing=missing)
    prepare(file, config)
    assert not list(Path(config["output_dir"]).glob("checkpoint-*"))


def test_another_recipe_never_continues_an_old_run(recipe: tuple[Path, dict[str, Any]]) -> None:
    file, config = recipe
    folder = Path(config["output_dir"])
    for rank in (8, 16):
        file.write_text(yaml.safe_dump({**config, "lora_r": rank}), encoding="utf-8")
        prepare(file, config)
        checkpoint(folder, rank)
    assert (folder.with_name("checkpoints.old1") / "checkpoint-8").is_dir()
    assert [path.name for path in folder.glob("checkpoint-*")] == ["checkpoint-16"]


def test_the_start_is_noted_with_the_recipe_and_the_rows(recipe: tuple[Path, dict[str, Any]]) -> None:
    file, config = recipe
    prepare(file, config)
    noted = json.loads((Path(config["output_dir"]) / START_FILE).read_text(encoding="utf-8"))
    assert noted["config"] == file.read_text(encoding="utf-8")
    assert noted["data"][0]["rows"] == 1
    assert noted["data"][0]["tokens"] == 10


def test_every_obstacle_is_named_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(start, "find_spec", lambda name: None)
    config = {"base_model": str(tmp_path / "base"), "datasets": [{"path": str(tmp_path / "rows.jsonl")}]}
    rows, base, axolotl = obstacles(config)
    assert rows.endswith("rows.jsonl: no such file. Run `make all`, then resolve the recipe again.")
    assert base.endswith("base: no model there. `make smoke` makes the tiny base; or name another base_model.")
    assert axolotl == "Axolotl is not installed in this environment. Run `pip install -r requirements-gpu.txt`."


def test_without_a_gpu_the_real_recipe_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, recipe: tuple[Path, dict[str, Any]]
) -> None:
    monkeypatch.setattr(start, "find_spec", lambda name: name)
    monkeypatch.setattr(start, "has_gpu", lambda: False)
    config = {**combine("mayor"), "datasets": recipe[1]["datasets"], "test_datasets": []}
    (sentence,) = obstacles(config)
    assert sentence.startswith("This machine has no CUDA GPU, which load_in_4bit: true, bf16: auto, ")
    assert sentence.endswith("Rent one, or add `--with smoke`.")


def test_the_smoke_recipe_needs_no_gpu() -> None:
    assert gpu_keys(combine("mayor", ["smoke"])) == []


def test_a_missing_recipe_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "none.yml")]) == 1
    assert capsys.readouterr().err == f"{tmp_path / 'none.yml'}: no such file.\n"
