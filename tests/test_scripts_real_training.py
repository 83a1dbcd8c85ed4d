"""scripts/remote.sh with a real `axolotl train` of a tiny model on the other side of a real sshd.

The line is cut in the middle, the same command comes back, and the adapter that arrives is the one that was trained."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hub_double import open_hub
from tests.loopback_host import MISSING, REPOSITORY, WHY_SKIP, Rig, hashes, open_host, rig

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(MISSING), reason=WHY_SKIP),
    pytest.mark.skipif(
        importlib.util.find_spec("axolotl") is None, reason="no Axolotl: pip install -r requirements-gpu.txt"
    ),
]

# Shortens the smoke recipe; the base has random weights, so that nothing is pre-trained here.
SHORT = """base_model: {base}
max_steps: {steps}
sequence_len: 256
micro_batch_size: 4
eval_batch_size: 4
"""

MAKE_BASE = """
import sys
from pathlib import Path
from scripts.tiny_base.model import build_model, save
from scripts.tiny_base.tokenizer import train_tokenizer
out = Path(sys.argv[1])
save(build_model(train_tokenizer(sys.argv[2:], out), seed=1), out)
"""


def texts() -> list[str]:
    return [f"Bead pe-{number} is ready. Give it to petals." for number in range(800, 832)]


def write_rows(file: Path) -> None:
    """Rows in the pipeline's shape: one exchange each, the reply trained."""
    with file.open("w", encoding="utf-8") as stream:
        for number, text in enumerate(texts()):
            call = json.dumps({"name": "Bash", "arguments": {"command": f"gt sling pe-{800 + number} petals"}})
            turns = [
                {"from": "system", "value": "[GAS TOWN ROLE: mayor] You are the mayor.", "train": False},
                {"from": "human", "value": text, "train": False},
                {"from": "gpt", "value": f"<tool_call>\n{call}\n</tool_call>", "train": True},
            ]
            metadata = {"id": f"r{number}", "role": "mayor", "tokens": 120, "trained_tokens": 40}
            stream.write(json.dumps({"conversations": turns, "metadata": metadata}) + "\n")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model with random weights and a tokenizer of its own."""
    folder = tmp_path_factory.mktemp("base")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", MAKE_BASE, str(folder), *texts()]
    subprocess.run(command, cwd=REPOSITORY, env=environment, check=True)
    return folder


@pytest.fixture
def town(base: Path, tmp_path: Path) -> Iterator[Rig]:
    """A checkout with the real recipes and scripts/train.sh, and this environment as the pod's."""
    (tmp_path / "sshd").mkdir()
    train = (REPOSITORY / "scripts" / "train.sh").read_text(encoding="utf-8")
    with open_host(tmp_path / "sshd", OMP_NUM_THREADS="1", HF_HUB_OFFLINE="1") as host:
        made = rig(host, tmp_path, train)
        short = made.checkout / "configs" / "short.yml"
        short.write_text(SHORT.format(base=base, steps=30), encoding="utf-8")
        for split in ("train", "val"):
            write_rows(made.checkout / "output" / "datasets" / f"mayor_{split}.jsonl")
        nowhere = made.checkout / "configs" / "nowhere.yml"
        nowhere.write_text("base_model: ./nowhere\n", encoding="utf-8")
        subprocess.run(["git", "-C", str(made.checkout), "add", "."], check=True)
        made.remote.mkdir(parents=True)
        (made.remote / ".rig-owned").touch()
        (made.remote / ".venv").symlink_to(sys.prefix)
        yield made


def test_a_real_training_outlives_the_line_and_its_adapter_comes_home_unchanged(town: Rig, tmp_path: Path) -> None:
    arguments = ("full", "pod", "mayor", "--with", "smoke", "--with", "short")
    client = town.popen("remote.sh", *arguments, output=tmp_path / "client.log")
    wait_for_text(town.remote / ".rig/mayor/train.log", "new run in", client)
    os.killpg(client.pid, signal.SIGKILL)
    town.host.drop_connections()
    done = town.run("remote.sh", *arguments, timeout=300)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    assert "new run in" in done.stdout and "done after 30 of 30 steps" in done.stdout
    again = town.run("remote.sh", *arguments)
    assert "trained already" in again.stdout and "all equal" in again.stdout, again.stdout + again.stderr
    mine, theirs = (side / "output/adapters/mayor" for side in (town.checkout, town.remote))
    assert hashes(mine) == hashes(theirs)
    assert {"adapter_config.json", "adapter_model.safetensors", "run.json"} <= set(hashes(mine))
    assert json.loads((mine / "run.json").read_text(encoding="utf-8"))["outcome"]["steps"] == 30
    assert_publishable(mine, tmp_path)


def assert_publishable(adapter: Path, private: Path) -> None:
    """What Axolotl, PEFT and transformers really write goes up with no path of this test left in it."""
    token = "hf_" + "t" * 34
    with open_hub(**{token: {"town"}}) as hub:
        environment = {**os.environ, "HF_ENDPOINT": hub.endpoint, "HF_TOKEN": token, "HF_HUB_OFFLINE": "0"}
        command = [sys.executable, "-m", "deploy.upload_hf", str(adapter), "--repo", "town/mayor"]
        done = subprocess.run(
            [*command, "--base-model", "Qwen/Qwen2.5-7B-Instruct"],
            cwd=REPOSITORY,
            env=environment | {"HF_HUB_DISABLE_XET": "1", "HF_HOME": str(private / "hf")},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        files = hub.repositories["town/mayor"].files
    assert {"README.md", "adapter_config.json", "tokenizer.json", "chat_template.jinja"} <= set(files)
    assert not [name for name, data in files.items() if str(private.parent).encode() in data]
    assert b"| steps | 30 (" in files["README.md"] and b"| mayor_train | 32 |" in files["README.md"]


def test_a_real_training_that_cannot_start_says_why_and_returns_its_code(town: Rig) -> None:
    done = town.run("remote.sh", "full", "pod", "mayor", "--with", "nowhere", timeout=120)
    assert done.returncode == 1
    assert "./nowhere: no model there." in done.stderr and "failed on pod with exit code 1" in done.stderr
    assert not (town.checkout / "output/adapters").exists()


def wait_for_text(log: Path, text: str, client: subprocess.Popen[bytes], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not (log.exists() and text in log.read_text(encoding="utf-8")):
        assert time.monotonic() < end and client.poll() is None, f"{text!r} did not appear in {log.name}"
        time.sleep(0.2)
