"""What the rows promise, Axolotl does: the same tokens, and exactly the flagged ones in the loss."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml

from data.pipeline import main
from data.sample.__main__ import main as write_town
from tests.test_tokens import CHATML, tiny_tokenizer

pytestmark = pytest.mark.slow
ROLE = "refinery"


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Path:
    """An output folder with datasets counted by a tiny base, and that base beside them."""
    folder = tmp_path_factory.mktemp("output")
    base = folder / "base"
    base.mkdir()
    tiny_tokenizer(base, CHATML)
    settings = {"model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"], "vocab_size": 512, "hidden_size": 32}
    sizes = {"intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1}
    (base / "config.json").write_text(json.dumps(settings | sizes))
    write_town(["--out", str(folder / "town")])
    config = yaml.safe_load((root / "configs" / "data.yml").read_text())
    (folder / "data.yml").write_text(yaml.safe_dump(config | {"base_model": str(base)}))
    arguments = ["--sessions", str(folder / "town" / "projects"), "--config", str(folder / "data.yml")]
    assert main(["all", *arguments, "--out", str(folder / "datasets")]) == 0
    return folder


def axolotl(root: Path, *arguments: str) -> str:
    """Run a command of the environment from the repository root; its output, or the failure with it."""
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(arguments, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def prepare(root: Path, output: Path) -> Path:
    """Axolotl's own prepared data for the role's rows, through the recipe that training uses."""
    override = output / "tiny.yml"
    override.write_text(yaml.safe_dump({"base_model": str(output / "base"), "sequence_len": 4096}))
    recipe = output / "configs" / f"{ROLE}.yml"
    with_ = ["--with", "smoke", "--with", str(override)]
    axolotl(root, sys.executable, "-m", "configs.resolve", ROLE, *with_, "--root", str(output))
    axolotl(root, "axolotl", "preprocess", str(recipe))
    return Path(yaml.safe_load(recipe.read_text())["dataset_prepared_path"])


def test_axolotl_counts_and_trains_the_tokens_that_the_rows_name(root: Path, output: Path) -> None:
    import datasets

    prepared = prepare(root, output)
    found: Counter[tuple[int, int]] = Counter()
    for info in (root / prepared).rglob("dataset_info.json"):
        for row in datasets.load_from_disk(str(info.parent)):
            found[len(row["input_ids"]), sum(label != -100 for label in row["labels"])] += 1
    promised: Counter[tuple[int, int]] = Counter()
    for split in ("train", "val"):
        for line in (output / "datasets" / f"{ROLE}_{split}.jsonl").read_text().splitlines():
            metadata = json.loads(line)["metadata"]
            promised[metadata["tokens"], metadata["trained_tokens"]] += 1
    assert found == promised


def test_a_file_over_ten_megabytes_loads(output: Path) -> None:
    import datasets

    small = (output / "datasets" / "gastown_train.jsonl").read_text()
    copies = 12_000_000 // len(small.encode()) + 1
    large = output / "large.jsonl"
    large.write_text(small * copies)
    assert len(datasets.load_dataset("json", data_files=str(large), split="train")) == small.count("\n") * copies
