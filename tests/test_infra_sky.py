"""infra/sky.yml: its shell runs, what it names exists, and SkyPilot itself reads it. Nothing is rented."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from configs.strict_yaml import load_mapping
from tests.conftest import ROOT
from tests.test_infra_setup import tool

SKY = ROOT / "infra" / "sky.yml"
SKY_PYTHON = ROOT / ".venv" / "sky" / "bin" / "python"

needs_sky = pytest.mark.skipif(not SKY_PYTHON.exists(), reason="no SkyPilot in .venv/sky: make .venv/.sky")

# Stands in for scripts/train.sh: says what it was asked, and leaves an adapter.
TRAIN = """#!/bin/sh
echo "$@" "${HF_TOKEN-no token}" "${WANDB_API_KEY-no key}"
mkdir -p output/adapters/mayor
echo weights > output/adapters/mayor/adapter_model.safetensors
"""

# What SkyPilot checks without a network: keys, resources, secrets, the name, and that the mounted files exist. One line
# for each file that stands behind it.
CHECK = """
import sys
import sky
for file in sys.argv[1:]:
    try:
        task = sky.Task.from_yaml(file)
        task.expand_and_validate_file_mounts()
        task.validate_name()
        gpus = sorted(gpu for choice in task.resources for gpu in choice.accelerators)
        print(*gpus, task.resources.pop().autostop_config)
    except ValueError as error:
        print(" ".join(str(error).split()))
"""
# What is misspelt, and a word of what SkyPilot says about it.
MISTAKES = {
    "a key": ("  autostop:", "  autostopp:", "autostopp"),
    "the name": ("name: lora-forge", "name: lora forge", "lora forge"),
    "a source": ("output/datasets: output/datasets", "output/datasets: output/rows", "output/rows"),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "train.sh").write_text(TRAIN, encoding="utf-8")
    (tmp_path / "scripts" / "train.sh").chmod(0o755)
    return tmp_path


@pytest.mark.parametrize("block", ["setup", "run"])
def test_the_shell_of_each_block_is_clean(block: str, tmp_path: Path) -> None:
    script = tmp_path / f"{block}.sh"
    script.write_text(f"#!/usr/bin/env bash\n{load_mapping(SKY)[block]}", encoding="utf-8")
    done = subprocess.run([tool("shellcheck"), str(script)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_every_file_that_it_names_exists() -> None:
    text = SKY.read_text(encoding="utf-8")
    named = set(re.findall(r"\b(?:infra|scripts)/[\w.]+\w", text))
    assert named >= {"infra/runpod_setup.sh", "scripts/train.sh"}
    assert not [path for path in named if not (ROOT / path).exists()]


def test_the_image_is_the_one_of_the_dockerfile() -> None:
    dockerfile = (ROOT / "infra" / "Dockerfile.train").read_text(encoding="utf-8")
    (base,) = re.findall(r"^ARG BASE=(\S+)$", dockerfile, re.MULTILINE)
    assert load_mapping(SKY)["resources"]["image_id"] == f"docker:{base}"


def test_the_rows_are_sent_although_git_ignores_them_and_no_secret_has_a_value() -> None:
    config = load_mapping(SKY)
    for source in config["file_mounts"].values():
        done = subprocess.run(["git", "check-ignore", "-q", source], cwd=ROOT)
        assert done.returncode == 0, f"{source} goes with the working folder already"
    assert set(config["secrets"].values()) == {""}


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"WITH": "", "HF_TOKEN": "", "WANDB_API_KEY": ""}, "mayor no token no key"),
        ({"WITH": "dpo llama31", "HF_TOKEN": "t", "WANDB_API_KEY": "k"}, "mayor --with dpo --with llama31 t k"),
    ],
)
def test_the_training_gets_its_recipe_and_leaves_sums(folder: Path, variables: dict[str, str], said: str) -> None:
    command = ["bash", "-c", load_mapping(SKY)["run"]]
    environment = {**os.environ, "ROLE": "mayor", **variables}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{said}\n", "")
    check = ["sha256sum", "--check", "--strict", "SHA256SUMS"]
    checked = subprocess.run(check, cwd=folder / "output" / "adapters", capture_output=True, text=True)
    assert checked.stdout == "./mayor/adapter_model.safetensors: OK\n"


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What SkyPilot says about our file, and about one with each mistake; asked once, for it takes seconds to start."""
    folder = tmp_path_factory.mktemp("sky")
    (folder / "output" / "datasets").mkdir(parents=True)
    text = SKY.read_text(encoding="utf-8")
    texts = {"ours": text} | {name: text.replace(right, wrong) for name, (right, wrong, _) in MISTAKES.items()}
    assert len(set(texts.values())) == len(texts)
    for name, content in texts.items():
        (folder / f"{name}.yml").write_text(content, encoding="utf-8")
    environment = {**os.environ, "HOME": str(folder), "SKYPILOT_DISABLE_USAGE_COLLECTION": "1"}
    command = [str(SKY_PYTHON), "-c", CHECK, *(f"{name}.yml" for name in texts)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return dict(zip(texts, done.stdout.splitlines()[-len(texts) :], strict=True))


@pytest.mark.slow
@needs_sky
def test_skypilot_reads_it(answers: dict[str, str]) -> None:
    assert answers["ours"].startswith("A100-80GB H100 L40S ")
    assert "down=True" in answers["ours"] and "idle_minutes=60" in answers["ours"]


@pytest.mark.slow
@needs_sky
@pytest.mark.parametrize("mistake", MISTAKES)
def test_skypilot_names_a_mistake(answers: dict[str, str], mistake: str) -> None:
    assert MISTAKES[mistake][2] in answers[mistake] and "A100" not in answers[mistake]
