"""The mlx backend without mlx-lm: what a row becomes, in which words a recipe is told, where a run goes on."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.combine import combine
from configs.mlx import finish, inside, limits, peft_form, recipe, rows, sittings
from configs.mlx.__main__ import main, prepare, write_data
from configs.runs.history import append
from configs.runs.outcome import Outcome, judge
from configs.runs.record import read_record
from tests.conftest import ROOT
from tests.model_files import safetensors

TURNS = st.lists(st.tuples(st.sampled_from(["human", "gpt"]), st.text(max_size=5), st.booleans()), max_size=8)


def row(turns: list[tuple[str, str, bool]]) -> dict[str, Any]:
    said = [{"from": who, "value": text, "train": train} for who, text, train in turns]
    return {"conversations": said, "metadata": {"tokens": 9, "trained_tokens": 3}}


def put(file: Path, *found: dict[str, Any]) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(one) + "\n" for one in found), encoding="utf-8")
    return file


# --- rows ------------------------------------------------------------------------------------------------------------


@given(TURNS)
def test_every_trained_reply_is_the_end_of_exactly_one_example(turns: list[tuple[str, str, bool]]) -> None:
    made = list(rows.examples(row(turns)))
    ends = [number for number, (_, _, train) in enumerate(turns) if train]
    assert [len(messages) - 1 for messages in made] == ends
    for messages in made:
        whole = [{"role": rows.ROLES[who], "content": text} for who, text, _ in turns]
        assert messages == whole[: len(messages)]


@given(st.integers(1, 40), st.integers(1, 9))
def test_nothing_is_left_out_of_the_batches(count: int, batch: int) -> None:
    lines = tuple(f"{number:03d}" for number in range(count))
    batch = min(batch, count)
    written = written_lines(rows.Examples(lines, count, 0), batch)
    assert len(written) % batch == 0 and len(written) < count + batch
    assert set(written) == set(lines)


def written_lines(found: rows.Examples, batch: int) -> list[str]:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        rows.write_batches(found, batch, Path(folder) / "train.jsonl")
        return (Path(folder) / "train.jsonl").read_text().splitlines()


def test_rows_without_a_trained_reply_are_counted(tmp_path: Path) -> None:
    file = put(tmp_path / "a.jsonl", row([("human", "a", False), ("gpt", "b", False)]), row([("gpt", "c", True)]))
    found = rows.read_examples(file)
    assert found.words == "2 rows, 1 of them without a trained reply; examples, one for each trained reply: 1"
    put(tmp_path / "b.jsonl", {"messages": []})
    with pytest.raises(ValueError, match=r"b\.jsonl:1: not a row of the pipeline"):
        rows.read_examples(tmp_path / "b.jsonl")


# --- the recipe ------------------------------------------------------------------------------------------------------


def small(**changes: Any) -> dict[str, Any]:
    return {**combine("mayor"), "num_epochs": 2, **changes}


def test_a_recipe_in_the_words_of_mlx() -> None:
    config = small(micro_batch_size=2, gradient_accumulation_steps=4, warmup_ratio=0.1)
    size = recipe.size_of(config, 41)
    assert (size.batch, size.accumulation, size.batches, size.steps) == (2, 4, 21, 11)
    told = recipe.recipe_of(config, size, "folder")
    assert told["iters"] == 44 and told["mask_prompt"] is True and told["num_layers"] == -1
    assert told["lora_parameters"] == {
        "rank": 64, "scale": 2.0, "dropout": 0.05,
        "keys": [
            "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
            "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj",
        ],
    }  # fmt: skip
    assert told["lr_schedule"] == {"name": "cosine_decay", "arguments": [2.0e-4, 9, 0.0], "warmup": 2}
    assert told["optimizer"] == "adamw" and told["optimizer_config"]["adamw"]["bias_correction"] is True
    # A tenth of 11 steps is one step of 4 batches.
    assert (told["steps_per_eval"], told["save_every"], told["steps_per_report"]) == (4, 4, 4)
    assert (told["max_seq_length"], told["grad_checkpoint"], told["seed"]) == (4096, True, 42)


@pytest.mark.parametrize(
    ("changes", "key", "iterations"),
    [
        ({"save_steps": 5}, "save_every", 20),
        ({"save_strategy": "epoch"}, "save_every", 20),
        ({"eval_steps": 0.5}, "steps_per_eval", 20),
    ],
)
def test_what_happens_now_and_then_happens_as_often(changes: dict[str, Any], key: str, iterations: int) -> None:
    config = small(micro_batch_size=2, gradient_accumulation_steps=4, **changes)
    assert recipe.recipe_of(config, recipe.size_of(config, 40), "folder")[key] == iterations


@given(st.sampled_from(limits.SCHEDULES), st.integers(2, 400), st.floats(0, 0.3), st.data())
def test_a_run_that_goes_on_begins_with_the_rate_that_it_stopped_at(
    kind: str, steps: int, warmup: float, data: st.DataObject
) -> None:
    config = {"learning_rate": 2.0e-4, "lr_scheduler": kind, "warmup_ratio": warmup}
    done = data.draw(st.integers(0, steps - 1))
    told = recipe.schedule(config, steps, done)
    rate = recipe.rate_at(config, steps, done)
    if told["warmup"]:
        assert rate <= told["arguments"][0] == 2.0e-4 and done + told["warmup"] == recipe.warmup_of(config, steps)
    else:
        assert math.isclose(told["arguments"][0], rate)
    assert recipe.rate_at(config, steps, steps) <= 2.0e-4


def test_few_rows_are_one_batch() -> None:
    size = recipe.size_of(small(micro_batch_size=8, gradient_accumulation_steps=4), 3)
    assert (size.batch, size.accumulation, size.batches) == (3, 1, 1)


# --- limits ----------------------------------------------------------------------------------------------------------

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"rl": "dpo"}, "does not learn from preferences"),
    ({"adapter": "full"}, "only lora becomes an adapter"),
    ({"lora_model_dir": "a"}, "starts from no adapter"),
    ({"deepspeed": "a.json"}, "`deepspeed`: there is no such thing"),
    ({"peft_use_dora": True}, "`peft_use_dora`: there is no such thing"),
    ({"lora_target_modules": ["q_proj", "embed_tokens"]}, "not embed_tokens"),
    ({"lora_target_modules": None}, "not lora_target_linear"),
    ({"lr_scheduler": "rex"}, "`lr_scheduler: rex`"),
    ({"datasets": [{"field_messages": "messages"}]}, "own tool format"),
]


@pytest.mark.parametrize(("changes", "sentence"), REFUSED)
def test_what_mlx_cannot_do_is_refused_with_what_to_do(changes: dict[str, Any], sentence: str) -> None:
    (problem,) = limits.problems_of(small(**changes))
    assert sentence in problem and problem.endswith(".")


def test_what_does_not_count_is_said_and_the_base_recipe_trains() -> None:
    assert list(limits.problems_of(small())) == []
    said = " ".join(limits.notes_on(small()))
    for key in ("load_in_4bit", "sample_packing", "max_grad_norm", "stopped early"):
        assert key in said


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "run.yml"
    file.write_text(json.dumps({**small(), "rl": "dpo", "lr_scheduler": "rex"}))
    assert main([str(file)]) == 1
    assert capsys.readouterr().err.count("\n") == 2


def test_without_mlx_the_command_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLX_PYTHON", str(tmp_path / "python"))
    file = tmp_path / "run.yml"
    file.write_text(json.dumps(small()))
    assert main([str(file)]) == 1
    assert capsys.readouterr().err == f"{tmp_path}/python: there is no mlx-lm. Install it: make .venv/.mlx\n"


# --- sittings --------------------------------------------------------------------------------------------------------


def checkpoint(folder: Path, name: str, cut: int = 0) -> None:
    content = safetensors(1)
    (folder / name).write_bytes(content[: len(content) - cut])


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_a_run_goes_on_at_its_newest_whole_checkpoint(tmp_path: Path) -> None:
    assert sittings.going_on(tmp_path) == (0, None)
    for number in (10, 20):
        checkpoint(tmp_path, f"{number:07d}_adapters.safetensors")
    checkpoint(tmp_path, "0000030_adapters.safetensors", cut=5)
    assert sittings.going_on(tmp_path) == (20, tmp_path / "resumed-20.safetensors")
    assert names(tmp_path) == ["resumed-20.safetensors"]
    # The next sitting counts from there; killed before it saved anything, it starts at the same place again.
    assert sittings.going_on(tmp_path) == (20, tmp_path / "resumed-20.safetensors")
    checkpoint(tmp_path, "0000010_adapters.safetensors")
    assert sittings.going_on(tmp_path) == (30, tmp_path / "resumed-30.safetensors")
    assert names(tmp_path) == ["resumed-30.safetensors"]


def test_a_sitting_that_begins_another_time_has_only_the_rest_before_it() -> None:
    config = small(micro_batch_size=2, gradient_accumulation_steps=4)
    size = recipe.size_of(config, 40)
    whole, rest = (recipe.recipe_of(config, size, "folder", done) for done in (0, 12))
    assert whole["iters"] - rest["iters"] == 12 and rest["seed"] != whole["seed"]


def test_the_same_recipe_goes_on_and_another_moves_the_old_run_aside(tmp_path: Path) -> None:
    (tmp_path / "datasets").mkdir()
    train = put(tmp_path / "datasets/mayor_train.jsonl", row([("gpt", "a", True)]))
    config = {**small(), "datasets": [{"path": str(train)}], "test_datasets": []}
    run = tmp_path / "run"
    assert prepare(run, "a: 1\n", config).startswith("new run")
    assert prepare(run, "a: 1\n", config).startswith("same recipe")
    put(train, row([("gpt", "b", True)]))
    assert "moved the old run" in prepare(run, "a: 1\n", config)
    assert "moved the old run" in prepare(run, "a: 2\n", config)
    record = read_record(run / "start.json")
    assert record is not None and record["backend"] == "mlx"


def test_axolotl_never_goes_on_with_a_run_of_mlx(tmp_path: Path) -> None:
    """The same recipe and rows, but not the text that Axolotl's start compares."""
    from configs.runs.start import prepare as prepare_axolotl

    train = put(tmp_path / "datasets/mayor_train.jsonl", row([("gpt", "a", True)]))
    file = tmp_path / "run.yml"
    config = {**small(), "datasets": [{"path": str(train)}], "test_datasets": [], "output_dir": str(tmp_path / "run")}
    file.write_text("a: 1\n")
    prepare(tmp_path / "run", file.read_text(), config)
    assert "moved the old run" in prepare_axolotl(file, config)
    assert "moved the old run" in prepare(tmp_path / "run", file.read_text(), config)


# --- what is left ----------------------------------------------------------------------------------------------------


def test_the_state_is_one_that_the_check_of_every_run_reads(tmp_path: Path) -> None:
    size = recipe.Size(2, 1, 10, 5)
    for step in range(1, 11):
        append(tmp_path, "step", step, loss=3.0 - step / 10)
    append(tmp_path, "eval", 9, eval_loss=2.5)
    (tmp_path / "adapter_model.safetensors").write_bytes(safetensors(1))
    (tmp_path / "trainer_state.json").write_text(json.dumps(finish.state_of(tmp_path, size)))
    outcome = judge(tmp_path, 100.0)
    assert isinstance(outcome, Outcome)
    assert (outcome.steps, outcome.epochs, outcome.eval_losses) == (10, 2.0, ((9, 2.5),))
    assert outcome.last_loss == pytest.approx(2.0)


def test_weights_have_the_names_of_peft() -> None:
    name = "model.layers.3.self_attn.q_proj.lora_a"
    assert peft_form.peft_name(name) == "base_model.model.model.layers.3.self_attn.q_proj.lora_A.weight"
    with pytest.raises(ValueError, match="is no weight of a LoRA adapter"):
        peft_form.peft_name("model.embed_tokens.weight")


def test_a_base_of_transformers_5_keeps_its_rope(tmp_path: Path) -> None:
    """mlx-lm reads rope_theta alone, and Qwen's own default is another one."""
    cases: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"rope_theta": 1e6}, {}),
        ({}, {}),
        ({"rope_parameters": {"rope_theta": 1e8, "rope_type": "default"}}, {"rope_theta": 1e8}),
        (
            {"rope_parameters": {"rope_theta": 5e5, "rope_type": "llama3", "factor": 8.0}},
            {"rope_theta": 5e5, "rope_scaling": {"rope_theta": 5e5, "rope_type": "llama3", "factor": 8.0}},
        ),
    ]
    for config, changes in cases:
        (tmp_path / "config.json").write_text(json.dumps(config))
        assert inside.rope_of(tmp_path) == changes


def test_nothing_to_train_is_said_before_anything_is_loaded(tmp_path: Path) -> None:
    from configs.strict_yaml import ConfigError

    train = put(tmp_path / "a.jsonl", row([("gpt", "a", False)]))
    with pytest.raises(ConfigError, match="no trained reply in it"):
        write_data({**small(), "datasets": [{"path": str(train)}]}, tmp_path / "mlx")


def test_the_script_trains_with_mlx_where_it_is_told_to() -> None:
    words = [ROOT / "scripts/train.sh", "mayor", "--backend"]
    environment = {**os.environ, "PYTHON": sys.executable}
    done = subprocess.run([*words, "mlx", "--dry-run"], capture_output=True, text=True, check=True, env=environment)
    lines = [line.split(" -m ")[-1] for line in done.stdout.splitlines()]
    assert [line.split()[0] for line in lines] == ["configs.resolve", "configs.mlx", "configs.runs.check"]
    wrong = subprocess.run([*words, "abacus"], capture_output=True, text=True, check=False, env=environment)
    assert (wrong.returncode, wrong.stderr) == (2, "train: --backend is axolotl or mlx\n")


def test_the_part_inside_imports_nothing_that_mlx_lm_does_not_bring() -> None:
    """It runs where there is no msgspec, no rich of ours, no jsonschema."""
    check = (
        "import sys; import configs.mlx.inside\n"
        "print(*{name.split('.')[0] for name in sys.modules} - set(sys.stdlib_module_names))"
    )
    done = subprocess.run([sys.executable, "-S", "-c", check], cwd=ROOT, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) <= {"configs", "__main__", "__mp_main__"}
