"""Before a training: only the same recipe on the same rows is resumed, and what was started is noted."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from configs.runs.record import START_FILE
from configs.runs.start import WHOLE_CHECKPOINT, main, prepare

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


def checkpoint(folder: Path, step: int, missing: str | None = None) -> Path:
    target = folder / f"checkpoint-{step}"
    target.mkdir(parents=True)
    for name in WHOLE_CHECKPOINT:
        if name != missing:
            (target / name).write_text("{}", encoding="utf-8")
    return target


def noted(config: dict[str, Any]) -> dict[str, Any]:
    start: dict[str, Any] = json.loads((Path(config["output_dir"]) / START_FILE).read_text(encoding="utf-8"))
    return start


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


@pytest.mark.parametrize("written", ["optimizer.bin", "global_step10/rank_0.pt"])
def test_a_checkpoint_of_several_gpus_is_whole_with_an_optimizer_in_pieces(
    recipe: tuple[Path, dict[str, Any]], written: str
) -> None:
    file, config = recipe
    prepare(file, config)
    folder = checkpoint(Path(config["output_dir"]), 10, missing="optimizer.pt")
    (folder / written).parent.mkdir(exist_ok=True)
    (folder / written).write_text("x", encoding="utf-8")
    assert "1 checkpoints to resume from" in prepare(file, config)
    (folder / "adapter_model.safetensors").unlink()
    assert "removed checkpoint-10" in prepare(file, config)


def test_a_checkpoint_whose_state_was_cut_off_is_not_resumed(recipe: tuple[Path, dict[str, Any]]) -> None:
    file, config = recipe
    prepare(file, config)
    (checkpoint(Path(config["output_dir"]), 10) / "trainer_state.json").write_text('{"global_st', encoding="utf-8")
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
    start = noted(config)
    assert start["config"] == file.read_text(encoding="utf-8")
    assert start["data"][0]["rows"] == 1
    assert start["data"][0]["tokens"] == 10
    assert ["base_model", "Qwen/Qwen2.5-7B-Instruct", "some/base"] in start["differences"]
    assert start["manifest"] is None
    assert start["versions"].keys() >= {"axolotl", "torch", "transformers", "peft"}


def test_the_manifest_beside_the_rows_is_noted_by_its_digest(recipe: tuple[Path, dict[str, Any]]) -> None:
    file, config = recipe
    manifest = file.with_name("manifest.json")
    manifest.write_text(json.dumps({"sample": True, "sessions": 150, "files": {}}), encoding="utf-8")
    prepare(file, config)
    found = noted(config)["manifest"]
    assert (found["sample"], found["sessions"], len(found["sha256"])) == (True, 150, 64)


def test_a_missing_recipe_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "none.yml")]) == 1
    assert capsys.readouterr().err == f"{tmp_path / 'none.yml'}: no such file.\n"
