"""A plan is measured with real steps of real Axolotl: on this machine without a GPU, as far as that goes."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from configs.combine import combine
from configs.plan.measure import WARM_UP, main, measure, short_recipe, summary
from configs.plan.memory import GIB
from configs.plan.recipe import read_recipe
from configs.plan.stand_in import make_tokenizer, write_full_rows
from configs.strict_yaml import ConfigError

TINY = {
    "model_type": "qwen2",
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 128,
    "vocab_size": 512,
    "tie_word_embeddings": True,
}


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("configs.plan.measure.has_gpu", lambda: False)


def test_without_a_gpu_the_recipe_that_needs_one_is_refused_with_the_way_out(
    no_gpu: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["mayor", "--gpu", "rtx4090"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("This machine has no CUDA GPU, which load_in_4bit: true, ")
    assert said.endswith("Rent one, or add `--with smoke`, which gives tokens a second alone.\n")


def test_an_unknown_card_is_told_before_anything_is_made(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["mayor", "--gpu", "rtx9090"]) == 1
    assert capsys.readouterr().err.startswith("There is no card `rtx9090` in configs/plan/gpus.yml. It knows ")


def test_the_short_run_changes_nothing_that_costs_memory_or_time(tmp_path: Path) -> None:
    config = combine("mayor")
    short = short_recipe(config, read_recipe(config), 6, tmp_path)
    before, after = read_recipe(config), read_recipe(short)
    same = [name for name in before.__slots__ if name not in ("base_model", "epochs", "max_steps", "eval_every")]
    assert {name: getattr(after, name) for name in same} == {name: getattr(before, name) for name in same}
    assert after.max_steps == 6
    assert short["plugins"][:2] == config["plugins"]
    assert "wandb_project" not in short and short["save_strategy"] == "no"


def test_the_peaks_of_all_moments_and_the_median_of_the_warm_steps_count() -> None:
    recipe = read_recipe(combine("mayor"))
    steps = [{"what": "step", "seconds": second, "tensors": 5 * GIB, "card": 7 * GIB} for second in (90, 60, 9, 8, 10)]
    seen = {"what": "evaluation", "seconds": 3, "tensors": 6 * GIB, "card": 9 * GIB}
    assert summary([seen, *steps], recipe) == {"tensors": 6.0, "card": 9.0, "speed": 2 * 4096 * 4 / 9}
    with pytest.raises(ConfigError, match="Too few steps"):
        summary(steps[:WARM_UP], recipe)


@pytest.mark.slow
def test_rows_are_as_long_as_they_say_and_never_longer(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    make_tokenizer(tmp_path)
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path)
    for wanted in (128, 1024, 4096):
        write_full_rows(tmp_path / "rows.jsonl", 2, wanted)
        row = json.loads((tmp_path / "rows.jsonl").read_text(encoding="utf-8").splitlines()[0])
        names = {"system": "system", "human": "user", "gpt": "assistant"}
        messages = [{"role": names[turn["from"]], "content": turn["value"]} for turn in row["conversations"]]
        tokens = len(tokenizer(tokenizer.apply_chat_template(messages, tokenize=False))["input_ids"])
        assert wanted - 10 <= tokens <= wanted


@pytest.mark.slow
def test_real_steps_on_random_weights_give_tokens_a_second(tmp_path: Path) -> None:
    pytest.importorskip("axolotl")
    import torch

    (tmp_path / "shape").mkdir()
    (tmp_path / "shape" / "config.json").write_text(json.dumps(TINY), encoding="utf-8")
    override = tmp_path / "tiny.yml"
    settings = {"base_model": str(tmp_path / "shape"), "micro_batch_size": 2, "sequence_len": 256}
    override.write_text(yaml.safe_dump(settings), encoding="utf-8")
    measured: dict[str, Any] = measure(combine("mayor", ("smoke", str(override))), WARM_UP + 2, tmp_path / "run")
    assert measured["speed"] > 0
    if not torch.cuda.is_available():
        assert measured["tensors"] is None and measured["card"] is None
    records = json.loads((tmp_path / "run" / "out" / "probe.json").read_text(encoding="utf-8"))
    assert [record["what"] for record in records].count("step") == WARM_UP + 2
