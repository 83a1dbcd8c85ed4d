"""A real training with mlx-lm on a tiny model: killed, gone on with, and the same model in transformers and peft."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from configs.runs.history import Entry, read_history
from deploy.registry.store import Registry
from scripts.forge.state import look
from scripts.tiny_base.__main__ import main as make_base
from tests.conftest import ROOT

PYTHON = Path(os.environ.get("MLX_PYTHON") or ROOT / ".venv/mlx/bin/python")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PYTHON.exists(), reason="no mlx-lm in .venv/mlx: make .venv/.mlx"),
]
STEPS, EVERY = 8, 4

# What mlx-lm computes with the adapter as it left it, and without any.
LOGITS = """
import json, sys
from pathlib import Path
import mlx.core as mx
from mlx_lm.utils import load
from configs.mlx.inside import rope_of
base, adapter, ids = Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
told = []
for extra in ({"adapter_path": adapter}, {}):
    model, _ = load(str(base), model_config=rope_of(base), **extra)
    told.append(model(mx.array([ids])).astype(mx.float32)[0].tolist())
print(json.dumps(told))
"""


def row(number: int) -> dict[str, Any]:
    said = [
        ("system", "[GAS TOWN ROLE: mayor] You are the Mayor.", False),
        ("human", f"Bead pe-{number} is ready.", False),
        ("gpt", f"Slinging pe-{number} to petals.", True),
        ("human", "And then?", False),
        ("gpt", "Nothing more.", number % 2 == 0),
    ]
    turns = [{"from": who, "value": value, "train": train} for who, value, train in said]
    return {"conversations": turns, "metadata": {"tokens": 90, "trained_tokens": 30}}


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An output tree in which a mayor was trained, killed on the way and trained to the end."""
    pytest.importorskip("torch")
    root = tmp_path_factory.mktemp("mlx")
    (root / "datasets").mkdir()
    for name, numbers in (("gastown_train", range(20)), ("mayor_train", range(100, 110)), ("mayor_val", range(3))):
        lines = (json.dumps(row(number)) + "\n" for number in numbers)
        (root / f"datasets/{name}.jsonl").write_text("".join(lines), encoding="utf-8")
    (root / "datasets/manifest.json").write_text(json.dumps({"sample": True, "rows": {"train": 10}}), encoding="utf-8")
    assert make_base(["--data", str(root / "datasets"), "--out", str(root / "base"), "--steps", "2"]) == 0
    kill_after_its_first_checkpoint(root)
    done = subprocess.run(command(root), capture_output=True, text=True, check=False, env=environment())
    assert done.returncode == 0, done.stderr + done.stdout
    (root / "said").write_text(done.stdout, encoding="utf-8")
    return root


def command(root: Path) -> list[str]:
    small = {
        "base_model": str(root / "base"), "max_steps": STEPS, "save_steps": EVERY, "eval_steps": EVERY,
        "micro_batch_size": 4, "gradient_accumulation_steps": 1, "sequence_len": 256, "lora_r": 4, "lora_alpha": 16,
        "lora_dropout": 0.0,
    }  # fmt: skip
    (root / "small.yml").write_text(yaml.safe_dump(small), encoding="utf-8")
    options = ["--with", "smoke", "--with", str(root / "small.yml"), "--root", str(root), "--backend", "mlx"]
    return [str(ROOT / "scripts/train.sh"), "mayor", *options]


def environment() -> dict[str, str]:
    return {**os.environ, "HF_HUB_OFFLINE": "1", "MLX_PYTHON": str(PYTHON), "PYTHON": sys.executable}


def kill_after_its_first_checkpoint(root: Path) -> None:
    running = subprocess.Popen(
        command(root), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment(), start_new_session=True
    )
    first = root / f"checkpoints/mayor/mlx/{EVERY:07d}_adapters.safetensors"
    try:
        for _ in range(3000):
            if first.exists() or running.poll() is not None:
                break
            time.sleep(0.1)
        assert first.exists() and not (root / "adapters/mayor/run.json").exists()
    finally:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()


def history(town: Path) -> list[Entry]:
    return read_history(town / "checkpoints/mayor")


def test_a_killed_run_goes_on_at_its_last_checkpoint(town: Path) -> None:
    begun = [entry["step"] for entry in history(town) if entry["kind"] == "begin"]
    assert begun == [0, EVERY]
    assert [entry["step"] for entry in history(town) if entry["kind"] == "step"] == list(range(1, STEPS + 1))
    assert f"{EVERY} of them done" in (town / "said").read_text()


def test_it_learns_and_leaves_the_record_of_any_run(town: Path) -> None:
    record = json.loads((town / "adapters/mayor/run.json").read_text())
    assert record["backend"] == "mlx" and set(record["machine"]["mlx"]) == {"mlx", "mlx-lm"}
    assert record["outcome"]["steps"] == STEPS and record["outcome"]["last_loss"] < record["outcome"]["first_loss"]
    assert [Path(rows["path"]).name for rows in record["data"]] == ["mayor_train.jsonl", "mayor_val.jsonl"]
    (run,) = look(town).runs
    assert (run.name, run.state, run.steps) == ("mayor", "done", f"{STEPS} of {STEPS}")


def test_the_adapter_computes_the_same_in_transformers_and_peft(town: Path) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    ids = [(7 * number) % 97 + 3 for number in range(60)]
    words = [str(PYTHON), "-c", LOGITS, str(town / "base"), str(town / "checkpoints/mayor/mlx"), json.dumps(ids)]
    asked = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True, env=environment())
    with_adapter, without = (torch.tensor(one) for one in json.loads(asked.stdout.splitlines()[-1]))
    model = AutoModelForCausalLM.from_pretrained(town / "base").eval()
    with torch.no_grad():
        plain = model(torch.tensor([ids])).logits[0]
        adapted = PeftModel.from_pretrained(model, town / "adapters/mayor").eval()(torch.tensor([ids])).logits[0]
    assert (plain - without).abs().max() < 1e-3
    assert (adapted - with_adapter).abs().max() < 1e-3
    # The adapter does something, so that the line above says something.
    assert (adapted - plain).abs().max() > 0.1


def test_the_registry_takes_it(town: Path) -> None:
    with Registry.open(town) as registry:
        version = registry.register(town / "adapters/mayor")
        assert version.name == "mayor@v1" and version.base_model == str(town / "base")


def test_the_same_command_again_trains_nothing_more(town: Path) -> None:
    before = len([entry for entry in history(town) if entry["kind"] == "begin"])
    weights = (town / "adapters/mayor/adapter_model.safetensors").read_bytes()
    subprocess.run(command(town), check=True, capture_output=True, env=environment())
    assert len([entry for entry in history(town) if entry["kind"] == "begin"]) == before
    assert (town / "adapters/mayor/adapter_model.safetensors").read_bytes() == weights
