"""The plugin keeps Axolotl from training yesterday's rows, and writes down what it trains."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from configs.combine import combine

pytestmark = pytest.mark.slow


def registered(cfg: dict[str, Any]) -> tuple[Any, Any]:
    """(configuration, plugin) after Axolotl has registered the plugin."""
    from axolotl.utils.dict import DictDefault

    from configs.plugin import ForgePlugin

    made, plugin = DictDefault(cfg), ForgePlugin()
    plugin.register(made)
    return made, plugin


def prepared(cfg: dict[str, Any]) -> str:
    """The folder of prepared data."""
    return str(registered(cfg)[0].dataset_prepared_path)


def recipe(folder: Path, text: str) -> dict[str, Any]:
    row = {"conversations": [], "metadata": {"tokens": 3, "trained_tokens": 1, "id": text}}
    (folder / "rows.jsonl").write_text(json.dumps(row) + "\n")
    return {"datasets": [{"path": str(folder / "rows.jsonl")}], "dataset_prepared_path": "output/prepared/base"}


def test_other_rows_have_another_folder_and_the_same_rows_the_same(tmp_path: Path) -> None:
    first = prepared(recipe(tmp_path, "one"))
    assert first.startswith("output/prepared/") and not first.endswith("base")
    assert prepared(recipe(tmp_path, "two")) != first
    assert prepared(recipe(tmp_path, "one")) == first


def test_a_resolved_recipe_keeps_its_folder(tmp_path: Path) -> None:
    cfg = recipe(tmp_path, "one") | {"dataset_prepared_path": "output/prepared/0123456789abcdef"}
    assert prepared(cfg) == "output/prepared/0123456789abcdef"


def test_a_worker_of_ray_registers_a_recipe_that_is_validated_already() -> None:
    from configs.axolotl_check import validated

    given = combine("gastown", ["ray"])
    made, plugin = registered(validated(given).to_dict())
    assert yaml.safe_load(plugin.recipe)["chat_template"] == "tokenizer_default" == made.chat_template.value


def test_a_run_that_nobody_prepared_notes_its_recipe_when_it_begins(tmp_path: Path) -> None:
    """As `axolotl train configs/base.yml` is one."""
    out = tmp_path / "out"
    cfg, plugin = registered(recipe(tmp_path, "one") | {"base_model": "some/base", "output_dir": str(out)})
    cfg.axolotl_config_path = "recipe.yml"
    history, _ = plugin.add_callbacks_post_trainer(cfg, None)
    state = SimpleNamespace(is_world_process_zero=True, global_step=0, max_steps=2)
    history.on_train_begin(None, state, None)
    start = json.loads((out / "start.json").read_text(encoding="utf-8"))
    noted = yaml.safe_load(start["config"])
    assert noted["base_model"] == "some/base" and "axolotl_config_path" not in noted
    assert start["data"][0]["rows"] == 1


def test_a_step_is_timed_without_the_evaluation_after_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two steps of which the second is logged, then an evaluation."""
    from configs import plugin
    from configs.runs.history import append, read_history

    now = iter([0.0, 2.0, 10.0, 13.0])
    monkeypatch.setattr(plugin, "time", SimpleNamespace(monotonic=lambda: next(now)))
    history = plugin.History(tmp_path, "")
    append(tmp_path, "begin", 0)
    state = SimpleNamespace(is_world_process_zero=True, global_step=1)
    quiet, logged = SimpleNamespace(should_log=False), SimpleNamespace(should_log=True)
    history.on_step_begin(None, state, None)
    history.on_step_end(None, state, quiet)
    state.global_step = 2
    history.on_step_begin(None, state, None)
    history.on_step_end(None, state, logged)
    history.on_log(None, state, None, logs={"loss": 0.5, "tokens/total": 64})
    history.on_log(None, state, None, logs={"eval_loss": 0.7})
    history.on_log(None, state, None, logs={"train_runtime": 9.0})
    _, step, evaluation = read_history(tmp_path)
    assert (step["step"], step["loss"], step["seconds"], step["tokens"]) == (2, 0.5, 5.0, 64.0)
    assert step["memory"] > 0
    assert (evaluation["kind"], evaluation["eval_loss"]) == ("eval", 0.7)


def test_only_the_first_of_several_processes_writes(tmp_path: Path) -> None:
    from configs.plugin import History

    history = History(tmp_path / "out", "")
    other = SimpleNamespace(is_world_process_zero=False, global_step=1, max_steps=2)
    history.on_train_begin(SimpleNamespace(), other, None)
    history.on_log(None, other, None, logs={"loss": 1.0})
    history.on_save(None, other, None)
    history.on_train_end(None, other, None)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("step", "is_evaluated"), [(0, True), (8, False)])
def test_a_checkpoint_is_not_evaluated_again_by_the_run_that_resumes(
    tmp_path: Path, step: int, is_evaluated: bool
) -> None:
    from configs.plugin import History

    args = SimpleNamespace(eval_on_start=True)
    state = SimpleNamespace(is_world_process_zero=True, global_step=step, max_steps=20)
    History(tmp_path, "").on_train_begin(args, state, None)
    assert args.eval_on_start is is_evaluated


@pytest.mark.parametrize(("step", "trains"), [(0, True), (19, True), (20, False)])
def test_a_finished_run_that_is_started_again_trains_no_step_more(step: int, trains: bool) -> None:
    from configs.plugin import NoExtraStep

    epochs: list[int] = []
    trainer = SimpleNamespace(_run_epoch=lambda epoch: epochs.append(epoch))
    NoExtraStep(trainer).on_train_begin(None, SimpleNamespace(global_step=step, max_steps=20), None)
    trainer._run_epoch(epoch=1)
    assert epochs == [1] * trains
