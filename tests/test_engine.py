"""Where the work is done makes no difference to what comes out."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from data.pipeline import main
from data.sample.__main__ import main as write_town


def build(town: Path, out: Path, *more: str) -> dict[str, str]:
    assert main(["all", "--sessions", str(town), "--out", str(out), "--no-cache", *more]) == 0
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in out.iterdir() if path.is_file()}


@pytest.mark.slow
def test_a_ray_cluster_gives_the_same_bytes(tmp_path: Path) -> None:
    write_town(["--out", str(tmp_path / "town"), "--sessions", "100"])
    town = tmp_path / "town" / "projects"
    here = build(town, tmp_path / "here", "--workers", "1")
    assert build(town, tmp_path / "three", "--workers", "3") == here
    assert build(town, tmp_path / "ray", "--workers", "2", "--engine", "ray") == here


def test_ray_that_is_not_installed_is_one_sentence(
    sample_town: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    arguments = ["--sessions", str(sample_town / "projects"), "--out", str(tmp_path / "out")]
    assert main(["all", *arguments, "--engine", "ray"]) == 2
    assert "pip install" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
