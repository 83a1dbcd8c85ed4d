"""From Axolotl's output folder to an adapter folder: everything or nothing."""

import json
from pathlib import Path
from typing import Any

import pytest

from configs.runs.check import main
from configs.runs.record import START_FILE
from tests.test_runs_outcome import run_folder, state

CONFIG = "base_model: some/base\nloss_watchdog_threshold: 5.0\n"


def checkpoints(root: Path, at_end: dict[str, Any]) -> Path:
    folder = root / "checkpoints" / "mayor"
    folder.mkdir(parents=True)
    run_folder(folder, at_end)
    for name in ("adapter_config.json", "tokenizer.json", "chat_template.jinja", "README.md", "debug.log"):
        (folder / name).write_text(name, encoding="utf-8")
    (folder / "adapter_model.safetensors").chmod(0o600)
    start = {
        "base_model": "some/base",
        "config": CONFIG,
        "data": [{"path": "rows.jsonl", "sha256": "ab"}],
        "started_at": "now",
    }
    (folder / START_FILE).write_text(json.dumps(start), encoding="utf-8")
    return folder


def test_a_finished_run_leaves_an_adapter_that_others_can_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    adapter = tmp_path / "adapters" / "mayor"
    assert main([str(checkpoints(tmp_path, state())), "--adapter", str(adapter)]) == 0
    assert "done after 20 of 20 steps, loss 2.950 -> 1.150, best eval loss 1.500 at step 20" in capsys.readouterr().out
    assert {file.name for file in adapter.iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
        "tokenizer.json",
        "chat_template.jinja",
        "run.json",
    }
    assert (adapter / "adapter_model.safetensors").stat().st_mode & 0o777 == 0o644
    assert not [path for path in adapter.parent.iterdir() if path.name.startswith(".")]


def test_the_record_of_a_run_says_what_was_trained_and_how_it_went(tmp_path: Path) -> None:
    adapter = tmp_path / "adapter"
    main([str(checkpoints(tmp_path, state())), "--adapter", str(adapter)])
    record = json.loads((adapter / "run.json").read_text(encoding="utf-8"))
    assert record["config"] == CONFIG
    assert record["data"] == [{"path": "rows.jsonl", "sha256": "ab"}]
    assert record["outcome"]["steps"] == 20
    assert record["outcome"]["eval_losses"] == [[20, 1.5]]
    assert set(record) >= {"started_at", "finished_at", "versions"}


def test_a_run_that_was_cut_off_leaves_the_earlier_adapter_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "run.json").write_text("earlier", encoding="utf-8")
    folder = checkpoints(tmp_path, state(steps=5, max_steps=20))
    assert main([str(folder), "--adapter", str(adapter)]) == 1
    assert f"{folder}: interrupted: stopped before its last step" in capsys.readouterr().err
    assert [file.name for file in adapter.iterdir()] == ["run.json"]
    assert (adapter / "run.json").read_text(encoding="utf-8") == "earlier"


def test_a_new_adapter_replaces_the_earlier_one_whole(tmp_path: Path) -> None:
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "left_over.bin").write_text("old", encoding="utf-8")
    assert main([str(checkpoints(tmp_path, state())), "--adapter", str(adapter)]) == 0
    assert not (adapter / "left_over.bin").exists()


def test_a_missing_folder_and_an_unknown_start_are_one_sentence_each(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path / "none"), "--adapter", str(tmp_path / "adapter")]) == 1
    assert "no such folder. Train first: `scripts/train.sh none`." in capsys.readouterr().err
    folder = checkpoints(tmp_path, state())
    (folder / START_FILE).unlink()
    assert main([str(folder), "--adapter", str(tmp_path / "adapter")]) == 1
    assert "nobody knows what was trained" in capsys.readouterr().err


def test_the_versions_of_the_registry_stay_when_a_new_adapter_takes_the_place(tmp_path: Path) -> None:
    adapter = tmp_path / "adapters" / "mayor"
    kept = adapter / "v1" / "adapter_model.safetensors"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"released")
    (adapter / "vocab.json").write_text("old", encoding="utf-8")
    number = kept.stat().st_ino
    assert main([str(checkpoints(tmp_path, state())), "--adapter", str(adapter)]) == 0
    assert kept.read_bytes() == b"released" and kept.stat().st_ino == number
    assert not (adapter / "vocab.json").exists()
    assert [path.name for path in adapter.parent.iterdir()] == ["mayor"]


def test_an_adapter_that_a_killed_command_moved_aside_comes_back_before_the_next_replaces_it(tmp_path: Path) -> None:
    aside = tmp_path / "adapters" / ".old-mayor" / "v1"
    aside.mkdir(parents=True)
    (aside / "version.json").write_text("{}", encoding="utf-8")
    adapter = tmp_path / "adapters" / "mayor"
    assert main([str(checkpoints(tmp_path, state())), "--adapter", str(adapter)]) == 0
    assert (adapter / "v1" / "version.json").is_file() and (adapter / "adapter_model.safetensors").is_file()
    assert [path.name for path in adapter.parent.iterdir()] == ["mayor"]
