"""A build that dies at any moment leaves no half file, and the next one gives the bytes of an undisturbed one."""

from __future__ import annotations

import hashlib
import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from data.sample.__main__ import main as write_town
from tests.conftest import ROOT

KILLS = 8


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("town")
    write_town(["--out", str(folder), "--sessions", "100"])
    return folder / "projects"


def start(town: Path, out: Path, *more: str, limit: int = 0) -> subprocess.Popen[str]:
    def no_more_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    command = [sys.executable, "-m", "data.pipeline", "all", "--sessions", str(town), "--out", str(out), *more]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=no_more_room if limit else None,
    )


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir() if path.is_file()}


def assert_nothing_is_half(out: Path) -> None:
    """Every line under a final name is whole; where there is a manifest, it describes every file."""
    for path in out.glob("*.jsonl"):
        content = path.read_bytes()
        assert not content or content.endswith(b"\n"), path.name
        for line in content.splitlines():
            json.loads(line)
    if (out / "manifest.json").exists():
        files = json.loads((out / "manifest.json").read_bytes())["files"]
        found = digests(out)
        assert {name: found[name] for name in files} == {name: fact["sha256"] for name, fact in files.items()}


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
def test_killed_at_any_moment_the_next_build_gives_the_same_bytes(town: Path, tmp_path: Path, workers: str) -> None:
    begun = time.monotonic()
    assert start(town, tmp_path / "calm", "--workers", workers).wait() == 0
    duration = time.monotonic() - begun
    expected = digests(tmp_path / "calm")
    chance = random.Random(7)
    out = tmp_path / "killed"
    for _ in range(KILLS):
        process = start(town, out, "--workers", workers)
        time.sleep(duration * chance.uniform(0.3, 1.05))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if out.exists():
            assert_nothing_is_half(out)
    assert start(town, out, "--workers", workers).wait() == 0
    assert digests(out) == expected
    assert not (out / ".building").exists()


@pytest.mark.slow
def test_a_full_disk_is_one_sentence_and_leaves_the_dataset_as_it_was(town: Path, tmp_path: Path) -> None:
    assert start(town, tmp_path, "--workers", "1", "--limit", "5", "--no-cache").wait() == 0
    before = digests(tmp_path)
    for limit in (1_000, 60_000):
        process = start(town, tmp_path, "--workers", "1", limit=limit)
        _, complaint = process.communicate()
        assert process.returncode == 1
        assert len(complaint.strip().splitlines()) == 1 and "Nothing was published" in complaint
        assert digests(tmp_path) == before
    assert start(town, tmp_path, "--workers", "1", "--limit", "5").wait() == 0
    assert digests(tmp_path) == before


@pytest.mark.slow
def test_an_interrupt_says_so_and_publishes_nothing(town: Path, tmp_path: Path) -> None:
    process = start(town, tmp_path / "out", "--workers", "2")
    time.sleep(0.9)
    os.killpg(process.pid, signal.SIGINT)
    _, complaint = process.communicate()
    if process.returncode != 0:  # else it was done before
        assert process.returncode == 130
        assert "Interrupted. Nothing was published." in complaint
        assert "Traceback" not in complaint
        assert not (tmp_path / "out" / "manifest.json").exists()
