"""A tiny model really trains on preferences with Axolotl, a new adapter and one that goes on from the role's own."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from configs.combine import combine
from scripts.tiny_base.__main__ import main as make_base
from tests.small_build import build
from tests.test_preferences_build import write_town

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.slow
ROLE = "crew"


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset with preferences, a tiny base that has seen two batches of it, and an adapter of the role."""
    pytest.importorskip("axolotl")
    folder = tmp_path_factory.mktemp("town")
    write_town(folder)
    assert build(folder, tagger={"rules": [{"cwd": "/work$", "role": ROLE}]}, split={"val": 0.0, "test": 0.0}) == 0
    (folder / "out").rename(folder / "datasets")
    assert make_base(["--data", str(folder / "datasets"), "--out", str(folder / "base"), "--steps", "2"]) == 0
    write_adapter(folder / "base", folder / "adapters" / ROLE)
    return folder


def write_adapter(base: Path, folder: Path) -> None:
    """An adapter such as the role's recipe makes, whose weights differ from a new one's."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    recipe = combine(ROLE)
    shape = LoraConfig(
        r=recipe["lora_r"], lora_alpha=recipe["lora_alpha"], target_modules=recipe["lora_target_modules"]
    )
    torch.manual_seed(1)
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base), shape)
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            weight.data.normal_(std=0.02)
    model.save_pretrained(folder)


def train(town: Path, *overrides: str) -> dict[str, Any]:
    """The record of a run of six steps."""
    settings = {"base_model": str(town / "base"), "max_steps": 6, "gradient_accumulation_steps": 1, "save_steps": 6}
    (town / "tiny.yml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    named = [word for name in ("smoke", *overrides, str(town / "tiny.yml")) for word in ("--with", name)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    command = [str(ROOT / "scripts/train.sh"), ROLE, *named, "--root", str(town)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    run = f"{ROLE}-{overrides[0]}"
    record: dict[str, Any] = json.loads((town / "adapters" / run / "run.json").read_text(encoding="utf-8"))
    return record


def weights(folder: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    found: dict[str, Any] = load_file(folder / "adapter_model.safetensors")
    return found


def largest(one: dict[str, Any], other: dict[str, Any]) -> float:
    """The largest difference between the weights of two adapters."""
    assert set(one) == set(other)
    return max(float((one[name] - other[name]).abs().max()) for name in one)


def test_dpo_goes_on_from_the_adapter_of_the_role_and_leaves_that_alone(town: Path) -> None:
    before = (town / "adapters" / ROLE / "adapter_model.safetensors").read_bytes()
    record = train(town, "dpo", "sft")
    # The loss of a model that is its own reference is ln 2; it is not, where the reference is the base.
    assert record["outcome"]["first_loss"] == pytest.approx(0.6931, abs=2e-4)
    assert record["outcome"]["steps"] == 6
    assert record["data"][0]["path"].endswith(f"{ROLE}.dpo.train.jsonl")
    assert 0 < largest(weights(town / "adapters" / ROLE), weights(town / "adapters" / f"{ROLE}-dpo")) < 1e-3
    assert (town / "adapters" / ROLE / "adapter_model.safetensors").read_bytes() == before
    # A checkpoint that held the reference as well would go on from that.
    saved = (town / "checkpoints" / f"{ROLE}-dpo").rglob("adapter_model.safetensors")
    assert {path.parent.name for path in saved} == {f"{ROLE}-dpo", "checkpoint-6"}


def test_kto_trains_a_new_adapter_of_which_alone_is_kept(town: Path) -> None:
    record = train(town, "kto")
    assert record["outcome"]["steps"] == 6
    assert record["outcome"]["first_loss"] == pytest.approx(0.5, abs=2e-4)
    new = weights(town / "adapters" / f"{ROLE}-kto")
    assert 0 < max(float(weight.abs().max()) for name, weight in new.items() if "lora_B" in name) < 1e-3
    checkpoints, adapter = town / "checkpoints" / f"{ROLE}-kto", town / "adapters" / f"{ROLE}-kto"
    # Axolotl leaves the base beside the adapter.
    assert (checkpoints / "model.safetensors").is_file()
    assert [file.name for file in adapter.glob("*.safetensors")] == ["adapter_model.safetensors"]


def rows(town: Path, method: str) -> list[dict[str, Any]]:
    text = (town / "datasets" / f"{ROLE}.{method}.train.jsonl").read_text("utf-8")
    return [json.loads(line) for line in text.splitlines()]


def test_axolotl_shows_the_model_what_its_own_template_would(town: Path) -> None:
    """Both ways to read preferences put prompt and reply together as ordinary training does, end mark included."""
    from axolotl.prompt_strategies.dpo.chat_template import default
    from axolotl.prompt_strategies.kto.chatml import argilla_chat
    from axolotl.utils.dict import DictDefault
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(town / "base")
    read_pair, _ = default(DictDefault(combine(ROLE, ["dpo"])))
    read_judged = argilla_chat(DictDefault(combine(ROLE, ["kto"])))
    for pair in rows(town, "dpo"):
        read = read_pair(pair, tokenizer=tokenizer)
        for side in ("chosen", "rejected"):
            whole = tokenizer.apply_chat_template([*pair["messages"], pair[side]], tokenize=False)
            assert read["prompt"] + read[side] == whole.rstrip()
    for judged in rows(town, "kto"):
        whole = tokenizer.apply_chat_template(judged["completion"], tokenize=False)
        read = read_judged(judged)
        assert read["prompt"] + read["completion"] == whole.rstrip()
