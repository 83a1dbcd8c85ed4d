"""Real trainings of a tiny model with Axolotl: equal runs give equal weights, a stopped run is not taken for done."""

import json
import os
import subprocess
from pathlib import Path

import pytest
import yaml

from scripts.tiny_base.__main__ import main as make_base

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.slow


def row(number: int) -> dict[str, object]:
    said = [
        ("system", "[GAS TOWN ROLE: mayor] You are the Mayor.", False),
        ("human", f"Bead pe-{number} is ready. Give it to petals.", False),
        ("gpt", f"Slinging pe-{number} to petals.", True),
    ]
    turns = [{"from": who, "value": value, "train": train} for who, value, train in said]
    return {"conversations": turns, "metadata": {"tokens": 60, "trained_tokens": 20}}


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows of a mayor and a tiny base that has seen two batches."""
    pytest.importorskip("axolotl")
    root = tmp_path_factory.mktemp("town")
    datasets = root / "datasets"
    datasets.mkdir()
    for name, numbers in (
        ("gastown_train", range(100, 140)),
        ("mayor_train", range(100, 140)),
        ("mayor_val", range(200, 206)),
    ):
        (datasets / f"{name}.jsonl").write_text("".join(json.dumps(row(n)) + "\n" for n in numbers), encoding="utf-8")
    (datasets / "manifest.json").write_text("{}", encoding="utf-8")
    assert make_base(["--data", str(datasets), "--out", str(root / "base"), "--steps", "2"]) == 0
    return root


def train(town: Path, name: str, **changes: object) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """Run scripts/train.sh in an output tree of its own; returns the adapter's folder and what was said."""
    root = town / name
    root.mkdir()
    (root / "datasets").symlink_to(town / "datasets")
    override = root / "tiny.yml"
    settings = {"base_model": str(town / "base"), "max_steps": 6, **changes}
    override.write_text(yaml.safe_dump(settings), encoding="utf-8")
    command = [str(ROOT / "scripts/train.sh"), "mayor", "--with", "smoke", "--with", str(override), "--root", str(root)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    return root / "adapters" / "mayor", subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment
    )


def test_two_equal_runs_give_the_same_adapter(town: Path) -> None:
    adapters = []
    for name in ("first", "second"):
        adapter, said = train(town, name)
        assert said.returncode == 0, said.stdout[-2000:] + said.stderr[-2000:]
        adapters.append((adapter / "adapter_model.safetensors").read_bytes())
        record = json.loads((adapter / "run.json").read_text(encoding="utf-8"))
        assert record["outcome"]["steps"] == 6
        assert record["data"][0]["rows"] == 40
        assert len(record["outcome"]["eval_losses"]) >= 2
    assert adapters[0] == adapters[1]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"loss_watchdog_threshold": 0.01, "loss_watchdog_patience": 2}, "watchdog stop"),
        ({"sample_packing": True, "max_steps": None, "num_epochs": 1}, "zero steps"),
    ],
)
def test_axolotl_says_success_and_the_check_says_why_it_is_none(
    town: Path, changes: dict[str, object], reason: str
) -> None:
    adapter, said = train(town, reason.split()[0], **changes)
    assert "Training completed!" in said.stdout
    assert said.returncode == 1
    assert reason in said.stderr
    assert not adapter.exists()
