"""Real trainings of a tiny model with Axolotl: a run that was killed and interrupted ends like one that was not, and
nothing that was stopped is taken for done.

The trainings share one output tree under names of their own, so that the rows are prepared once.
"""

import json
import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import yaml

from configs.runs.history import Entry, read_history
from configs.runs.listing import main as list_runs
from configs.runs.report import main as report
from scripts.tiny_base.__main__ import main as make_base

ROOT = Path(__file__).parent.parent
STEPS, EVERY = 24, 8
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
    """An output tree with rows of a mayor, beside a tiny base that has seen two batches."""
    pytest.importorskip("axolotl")
    root = tmp_path_factory.mktemp("town")
    datasets = root / "datasets"
    datasets.mkdir()
    files = {}
    for name, numbers in (
        ("gastown_train", range(100, 140)),
        ("mayor_train", range(100, 140)),
        ("mayor_val", range(200, 206)),
    ):
        content = "".join(json.dumps(row(n)) + "\n" for n in numbers).encode()
        (datasets / f"{name}.jsonl").write_bytes(content)
        files[f"{name}.jsonl"] = {"sha256": sha256(content).hexdigest(), "bytes": len(content)}
    (datasets / "manifest.json").write_text(json.dumps({"sample": True, "files": files}), encoding="utf-8")
    assert make_base(["--data", str(datasets), "--out", str(root / "base"), "--steps", "2"]) == 0
    return root


def command(town: Path, run: str, *words: str, **changes: object) -> list[str]:
    """scripts/train.sh, or sweep.sh where the words name a file, with a small recipe."""
    override = town / f"{run}.yml"
    small = {"base_model": str(town / "base"), "max_steps": STEPS, "eval_steps": EVERY, "save_steps": EVERY}
    sizes = {"sequence_len": 256, "micro_batch_size": 4, "eval_batch_size": 4}
    override.write_text(yaml.safe_dump({**small, **sizes, **changes}), encoding="utf-8")
    script = "sweep.sh" if words and words[0].endswith(".yml") else "train.sh"
    options = ["--with", str(override), "--run", run, "--root", str(town)]
    return [str(ROOT / "scripts" / script), "mayor", "--with", "smoke", *options, *words]


def environment(town: Path) -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TRACKIO_DIR": str(town / "trackio")}


def finish(town: Path, run: str, *words: str, **changes: object) -> subprocess.CompletedProcess[str]:
    words_of_run = command(town, run, *words, **changes)
    return subprocess.run(words_of_run, capture_output=True, text=True, check=False, env=environment(town))


def stop(town: Path, run: str, sitting: int, at_step: int, how: signal.Signals) -> tuple[int, str]:
    """Start a run, send a signal to all its processes once it has done a step, and return what came of it."""
    log = town / f"{run}.log"
    with log.open("w") as said:
        started = subprocess.Popen(
            command(town, run), stdout=said, stderr=subprocess.STDOUT, env=environment(town), start_new_session=True
        )
    wait_until(lambda: in_sitting(read_history(town / "checkpoints" / run), sitting, at_step), started, log)
    os.killpg(started.pid, how)
    return started.wait(timeout=60), log.read_text(encoding="utf-8")


def in_sitting(entries: list[Entry], sitting: int, at_step: int) -> bool:
    begun = sum(entry["kind"] == "begin" for entry in entries)
    return begun == sitting and any(entry["kind"] == "step" and entry["step"] >= at_step for entry in entries)


def wait_until(seen: Callable[[], bool], process: subprocess.Popen[bytes], log: Path, seconds: float = 240) -> None:
    end = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < end and process.poll() is None, log.read_text(encoding="utf-8")[-2000:]
        time.sleep(0.01)


@pytest.fixture(scope="module")
def undisturbed(town: Path) -> Path:
    """The adapter of a run that nobody disturbed; trackio watched it."""
    said = finish(town, "undisturbed", "--with", "trackio")
    assert said.returncode == 0, said.stdout[-2000:] + said.stderr[-2000:]
    return town / "adapters" / "undisturbed"


def record(adapter: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((adapter / "run.json").read_text(encoding="utf-8"))
    return told


def test_the_record_of_a_real_run_is_complete(undisturbed: Path) -> None:
    told = record(undisturbed)
    assert told["outcome"]["steps"] == STEPS
    assert [step for step, _ in told["outcome"]["eval_losses"]] == [0, EVERY, 2 * EVERY, STEPS]
    assert [step for step, _ in told["losses"]] == list(range(1, STEPS + 1))
    assert told["data"][0]["rows"] == 40 and told["manifest"]["sample"] is True
    assert told["machine"]["gpus"] == [] and told["machine"]["cpus"] >= 1
    assert told["times"]["seconds"] > 0 and told["times"]["resumed"] == 0
    assert told["tokens_per_second"] > 0 and told["peak_memory"] > 100_000_000
    assert told["seed"] == 42 and told["versions"]["axolotl"] == "0.19.0"
    assert "max_steps" in [key for key, _, _ in told["differences"]]


def test_trackio_has_the_curve_under_the_name_of_the_run(town: Path, undisturbed: Path) -> None:
    with sqlite3.connect(town / "trackio" / "lora-forge.db") as database:
        logged = [
            json.loads(text)
            for (text,) in database.execute("select metrics from metrics where run_name = 'undisturbed'")
        ]
    losses = [entry["train/loss"] for entry in logged if "train/loss" in entry]
    assert losses == pytest.approx([loss for _, loss in record(undisturbed)["losses"]])


def test_a_run_that_was_killed_and_interrupted_ends_like_one_that_was_not(
    town: Path, undisturbed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoints, adapter = town / "checkpoints" / "stopped", town / "adapters" / "stopped"
    code, _ = stop(town, "stopped", 1, 2 * EVERY + 1, signal.SIGKILL)
    assert code == -signal.SIGKILL
    # As a kill in the middle of writing leaves it.
    (checkpoints / f"checkpoint-{2 * EVERY}" / "optimizer.pt").unlink()
    code, said = stop(town, "stopped", 2, 2 * EVERY + 1, signal.SIGINT)
    assert f"1 checkpoints to resume from, removed checkpoint-{2 * EVERY} (not whole)" in said
    assert code != 0 and not adapter.exists()
    list_runs(["--root", str(town)])
    assert any(line.startswith("stopped") and "interrupted" in line for line in capsys.readouterr().out.splitlines())
    done = finish(town, "stopped")
    assert done.returncode == 0, done.stderr[-2000:]
    assert "2 checkpoints to resume from" in done.stdout
    ours, theirs = record(adapter), record(undisturbed)
    assert ours["losses"] == theirs["losses"]
    assert ours["outcome"]["eval_losses"] == theirs["outcome"]["eval_losses"]
    assert ours["times"]["resumed"] == 2 and ours["times"]["lost_steps"] > EVERY
    weights = "adapter_model.safetensors"
    assert (adapter / weights).read_bytes() == (undisturbed / weights).read_bytes()
    # And once it is done, the same command leaves it as it is.
    assert finish(town, "stopped").returncode == 0
    assert record(adapter)["losses"] == theirs["losses"]
    assert (adapter / weights).read_bytes() == (undisturbed / weights).read_bytes()


def test_the_page_of_a_real_run_names_its_best_checkpoint(town: Path, undisturbed: Path, tmp_path: Path) -> None:
    out = tmp_path / "run.html"
    assert report(["undisturbed", "--root", str(town), "--out", str(out)]) == 0
    page = out.read_text(encoding="utf-8")
    assert "Best checkpoint: step" in page and "and the adapter is this one." in page
    assert all(title in page for title in ("Learning rate", "Gradient norm", "Tokens a second", "Memory"))


def test_axolotl_says_success_and_the_check_says_why_it_is_none(town: Path) -> None:
    said = finish(town, "empty", sample_packing=True, max_steps=None, num_epochs=1, micro_batch_size=16)
    assert "Training completed!" in said.stdout
    assert said.returncode == 1
    assert "zero steps" in said.stderr
    assert not (town / "adapters" / "empty").exists()


def test_a_sweep_judges_each_of_its_runs(town: Path) -> None:
    """One of the two is stopped by Axolotl's watchdog, after which Axolotl exits 0."""
    values = town / "thresholds.yml"
    values.write_text("loss_watchdog_threshold: [100.0, 0.01]\n", encoding="utf-8")
    said = finish(town, "limits", str(values), max_steps=8, loss_watchdog_patience=2)
    assert said.returncode == 1, said.stderr[-2000:]
    head, best, worst, advice = said.stdout.splitlines()[-4:]
    assert head.split()[:3] == ["run", "loss_watchdog_threshold", "steps"]
    assert best.split()[1:3] == ["100.0", "8"] and best.endswith("at step 8  done")
    assert worst.split()[1] == "0.01" and "watchdog stop" in worst
    assert (
        advice == f"best: {best.split()[0]}. To train so, put this into an override: {{loss_watchdog_threshold: 100.0}}"
    )
    assert f"1 of 2 runs failed: {worst.split()[0]}." in said.stderr
