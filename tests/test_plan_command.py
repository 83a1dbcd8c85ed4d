"""`python -m configs.plan` as a person meets it: a plan in tables, or one clear sentence for each mistake."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from configs.combine import combine, override_names
from configs.plan.__main__ import main
from configs.plan.advice import others
from configs.plan.plan import Rows, Verdict, make_plan
from configs.plan.recipe import read_recipe
from configs.plan.tables import Gpu, Shape, find_shape, load_gpus, load_models
from configs.strict_yaml import ConfigError


def write_rows(root: Path, split: str, lengths: list[int], name: str = "mayor") -> Path:
    folder = root / "datasets"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.json").write_text("{}", encoding="utf-8")
    rows = [{"conversations": [], "metadata": {"tokens": count, "trained_tokens": count // 4}} for count in lengths]
    file = folder / f"{name}_{split}.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


@pytest.fixture
def town(tmp_path: Path) -> Path:
    """100 rows of 1000 tokens and 10 for validation."""
    write_rows(tmp_path, "train", [1000] * 100)
    write_rows(tmp_path, "val", [1000] * 10)
    return tmp_path


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(list(arguments)) == 0
    return " ".join(capsys.readouterr().out.split())


def test_a_plan_counts_the_rows_of_the_role(town: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = said(capsys, "mayor", "--gpu", "rtx4090", "--root", str(town))
    assert "rows 100 100,000 tokens, 25,000 of them trained" in plan
    # Eight rows of 1000 to a pack of 8192, four packs to a step, three epochs.
    assert "packs 13 of 8,192 tokens, 94% full" in plan
    assert "steps 12 3 epochs, 4 an epoch, 4 micro-batches each" in plan
    assert "11 evaluations" in plan and "FITS: " in plan and "What to change" not in plan


def test_the_moments_of_memory_stand_beside_each_other(town: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = said(capsys, "mayor", "--gpu", "rtx4090", "--root", str(town))
    assert "backward pass loss evaluation (peak)" in plan
    for part in ("weights", "adapter", "gradients", "optimizer", "activations, one layer again", "logits and loss"):
        assert f" {part} " in plan


@pytest.fixture
def large(tmp_path: Path) -> str:
    """An override that evaluates more rows at once than a card of 12 GB takes."""
    override = tmp_path / "large.yml"
    override.write_text("eval_batch_size: 2\n", encoding="utf-8")
    return str(override)


def test_a_small_card_gets_changes_in_order_until_the_run_fits(
    town: Path, large: str, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = said(capsys, "mayor", "--gpu", "rtx3060-12", "--root", str(town), "--with", large)
    assert "DOES NOT FIT: " in plan
    one, other = plan.split("What to change, one after the other")[1].split("Or instead")
    assert one.index("eval_batch_size: 1 ") < one.index("pad_to_sequence_len: false")
    assert one.count("does not fit") == 1 and one.count(" fits ") == 1
    assert "WITH=qwen3b: Qwen2.5-3B-Instruct" in other and "GPU=" in other


def test_the_number_behind_a_change_is_that_of_the_changed_recipe(
    town: Path, large: str, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ("mayor", "--gpu", "rtx3060-12", "--root", str(town))
    promised = said(capsys, *asked, "--with", large).split("eval_batch_size: 1 ")[1].split()[0]
    kept = said(capsys, *asked)
    peak = [float(word) for word in kept.split("needed ")[1].split("of 11.6")[0].split()]
    assert f"{max(peak):.1f}" == promised


ORDINARY = [name for name in override_names() if name not in ("dpo", "kto", "native", "sft", "smoke")]


@pytest.mark.parametrize("override", ORDINARY)
def test_every_override_has_a_plan(town: Path, override: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "FITS: " in said(capsys, "mayor", "--gpu", "h200", "--root", str(town), "--with", override)


def test_the_smoke_recipe_has_a_plan_for_the_model_in_a_folder(town: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sizes = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128}
    (town / "config.json").write_text(json.dumps({"model_type": "qwen2", "vocab_size": 99, **sizes}), encoding="utf-8")
    tiny = town / "tiny.yml"
    tiny.write_text(f"base_model: {town}\nsequence_len: 1024\n", encoding="utf-8")
    plan = said(capsys, "mayor", "--gpu", "h100", "--root", str(town), "--with", "smoke", "--with", str(tiny))
    assert "batches 13 of 8 rows, 100% full" in plan
    assert "steps 300 23.1 epochs, 13 an epoch" in plan


@pytest.mark.parametrize(("method", "batch"), [("dpo", 2), ("kto", 1)])
def test_preferences_put_one_or_two_replies_a_row_into_the_model(
    tmp_path: Path, method: str, batch: int, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "pairs.jsonl"
    metadata = json.dumps({"tokens": 900, "trained_tokens": 100})
    file.write_text(json.dumps({"chosen": {}, "metadata": metadata}) + "\n", encoding="utf-8")
    plan = said(capsys, "mayor", "--gpu", "h100", "--rows", str(file), "--with", method)
    assert "rows 1 900 tokens, 100 of them trained" in plan
    config = combine("mayor", (method,))
    assert read_recipe(config).replies == batch


def test_a_run_that_hangs_on_the_free_pieces_is_called_so(town: Path, capsys: pytest.CaptureFixture[str]) -> None:
    override = town / "narrow.yml"
    override.write_text("eval_batch_size: 1\npad_to_sequence_len: false\nlora_r: 88\n", encoding="utf-8")
    plan = said(capsys, "mayor", "--gpu", "rtx3060-12", "--root", str(town), "--with", str(override))
    assert "FITS BARELY: 11." in plan
    assert "only if PyTorch gives back the free pieces" in plan


def test_more_cards_share_the_rows(town: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = said(capsys, "mayor", "--gpu", "h100", "--root", str(town), "--gpus", "3")
    assert "mayor on 3 x h100" in plan
    assert "steps 3 3 epochs, 1 an epoch, 4 micro-batches each, on each of 3 cards" in plan
    assert "Memory of each card" in plan


def test_rays_workers_are_cards(town: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "mayor with ray on 2 x h100" in said(capsys, "mayor", "--gpu", "h100", "--root", str(town), "--with", "ray")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["mayor", "--gpu", "rtx9090"], "There is no card `rtx9090` in configs/plan/gpus.yml. It knows rtx4060-8, "),
        (["major", "--gpu", "h100"], "There is no role `major`."),
        (["mayor", "--gpu", "h100", "--with", "nothing"], "There is no override `nothing`."),
        (["boot", "--gpu", "h100"], "{root}/datasets: no sessions of the role boot, so no rows."),
        (["mayor", "--gpu", "h100", "--rows", "{root}/none.jsonl"], "{root}/none.jsonl: not rows of the pipeline"),
    ],
)
def test_one_mistake_is_one_sentence(
    town: Path, arguments: list[str], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    filled = [argument.format(root=town) for argument in arguments]
    assert main([*filled, "--root", str(town)]) == 1
    out = capsys.readouterr()
    assert out.out == "" and out.err.startswith(problem.format(root=town)) and out.err.count("\n") == 1


def test_an_unknown_model_names_those_that_are_known(town: Path, capsys: pytest.CaptureFixture[str]) -> None:
    override = town / "other.yml"
    override.write_text("base_model: acme/Giant-9B\n", encoding="utf-8")
    assert main(["mayor", "--gpu", "h100", "--root", str(town), "--with", str(override)]) == 1
    problem = capsys.readouterr().err
    assert problem.startswith(
        "base_model acme/Giant-9B: neither a folder with a config.json nor in configs/plan/models.yml"
    )
    assert "Qwen2.5-7B" in problem and "Llama-3.1-8B" in problem


def test_a_model_is_known_under_every_publisher_with_or_without_instruct() -> None:
    models = load_models()
    for name in ("Qwen/Qwen2.5-7B-Instruct", "unsloth/Qwen2.5-7B", "qwen2.5-7b"):
        assert find_shape(name, models) == models["Qwen2.5-7B"]


def test_a_model_in_a_folder_is_read_from_its_config(tmp_path: Path) -> None:
    sizes = {
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 128,
        "vocab_size": 99,
    }
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"model_type": "mistral", **sizes}), encoding="utf-8")
    assert find_shape(str(tmp_path), {}) == Shape("llama", 64, 2, 4, 4, 16, 128, 99, False)
    file.write_text(json.dumps({"model_type": "mamba", **sizes}), encoding="utf-8")
    with pytest.raises(ConfigError, match="model_type mamba; the plan knows qwen2, llama, mistral"):
        find_shape(str(tmp_path), {})
    file.write_text("{}", encoding="utf-8")
    with pytest.raises(ConfigError, match="not the config of a decoder"):
        find_shape(str(tmp_path), {})


def test_all_wrong_cards_of_the_table_are_named_at_once(tmp_path: Path) -> None:
    good: dict[str, Any] = {key: 1.0 for key in Gpu.__slots__ if key != "name"}
    cards = {
        "a": {**good, "colour": "green"},
        "b": {**good, "price": "cheap"},
        "c": {**good, "utilization": 60},
        "d": {key: value for key, value in good.items() if key != "tflops"},
        "free": {**good, "price": 0},
    }
    file = tmp_path / "gpus.yml"
    file.write_text(yaml.safe_dump({"gpus": cards}), encoding="utf-8")
    with pytest.raises(ConfigError) as error:
        load_gpus(file)
    wrong = [problem.split(": ")[1] for problem in error.value.problems]
    assert wrong == ["a", "b", "c", "d"]
    file.write_text("gpus: {}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="no `gpus`"):
        load_gpus(file)


def test_all_wrong_shapes_of_the_table_are_named_at_once(tmp_path: Path) -> None:
    file = tmp_path / "models.yml"
    models = {"a": ["qwen2", 1, 1, 1, 1, 1, 1, 0, True], "b": ["gpt2", 1, 1, 1, 1, 1, 1, 1, True], "c": 7}
    file.write_text(yaml.safe_dump({"columns": ["kind"], "models": models}), encoding="utf-8")
    with pytest.raises(ConfigError) as error:
        load_models(file)
    assert [problem.split(": ")[1] for problem in error.value.problems] == ["columns", "a", "b", "c"]


def test_the_cheapest_of_the_cards_that_fit_is_proposed() -> None:
    gpus, models, config = load_gpus(), load_models(), combine("mayor")
    rows = Rows([1000] * 100, [1000], 0)
    plan = make_plan(config, rows, gpus["rtx3060-12"], 1, models)
    *_, proposed = others(config, rows, plan, models, gpus)
    plans = [make_plan(config, rows, gpu, 1, models) for gpu in gpus.values()]
    assert proposed.plan.cost == min(plan.cost for plan in plans if plan.verdict is Verdict.FITS)
    dear = {**gpus, proposed.plan.gpu.name: replace(proposed.plan.gpu, price=1000.0)}
    *_, another = others(config, rows, plan, models, dear)
    assert another.plan.gpu.name != proposed.plan.gpu.name
