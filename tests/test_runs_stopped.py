"""What scripts/train.sh makes of an Axolotl that was stopped from outside: never an adapter, always a sentence."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parent.parent
ROW = json.dumps({"conversations": [], "metadata": {"tokens": 10, "trained_tokens": 4}}) + "\n"
STATE = {
    "global_step": 5,
    "max_steps": 20,
    "epoch": 1.0,
    "num_train_epochs": 3,
    "log_history": [{"loss": 2.0, "step": 5}],
}
# Stands beside the Python of a run, where train.sh finds its Axolotl; leaves a checkpoint and ends as the test says.
AXOLOTL = """#!/usr/bin/env bash
mkdir -p {checkpoints}/checkpoint-5
echo '{state}' > {checkpoints}/checkpoint-5/trainer_state.json
echo weights > {checkpoints}/adapter_model.safetensors
{end}
"""


def train(root: Path, end: str) -> subprocess.CompletedProcess[str]:
    """scripts/train.sh with an Axolotl that does what `end` says."""
    for folder in ("datasets", "base", "bin"):
        (root / folder).mkdir()
    for split in ("train", "val"):
        (root / "datasets" / f"mayor_{split}.jsonl").write_text(ROW, encoding="utf-8")
    (root / "datasets" / "manifest.json").write_text("{}", encoding="utf-8")
    (root / "base" / "config.json").write_text("{}", encoding="utf-8")
    (root / "tiny.yml").write_text(yaml.safe_dump({"base_model": str(root / "base")}), encoding="utf-8")
    axolotl = AXOLOTL.format(checkpoints=root / "checkpoints" / "mayor", state=json.dumps(STATE), end=end)
    for name, text in (("python", f'#!/bin/sh\nexec {sys.executable} "$@"\n'), ("axolotl", axolotl)):
        (root / "bin" / name).write_text(text, encoding="utf-8")
        (root / "bin" / name).chmod(0o755)
    words = [str(ROOT / "scripts/train.sh"), "mayor", "--with", "smoke", "--with", str(root / "tiny.yml")]
    return subprocess.run(
        [*words, "--root", str(root)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHON": str(root / "bin" / "python")},
    )


@pytest.mark.parametrize(
    ("end", "said"),
    [
        ("kill -TERM $$", "train: axolotl stopped with exit code 143; see {root}/checkpoints/mayor/debug.log\n"),
        ("kill -KILL $$", "train: axolotl stopped with exit code 137; see {root}/checkpoints/mayor/debug.log\n"),
        ("exit 0", "{root}/checkpoints/mayor: interrupted: stopped before its last step; the same command resumes it"),
    ],
    ids=["SIGTERM", "SIGKILL", "SIGINT, after which Axolotl exits 0"],
)
def test_a_stopped_training_leaves_no_adapter_and_a_sentence(tmp_path: Path, end: str, said: str) -> None:
    done = train(tmp_path, end)
    assert done.returncode == 1
    assert said.format(root=tmp_path) in done.stderr
    assert not (tmp_path / "adapters").exists()
