"""lm-eval in the version that is installed and in a newer one, for tests that must hold on both."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.conftest import ROOT

NEWER = "0.4.13"


@functools.cache
def newer_lm_eval() -> Path:
    """A folder with lm-eval 0.4.13 and nothing else; what it needs is installed beside 0.4.11."""
    folder = Path(tempfile.mkdtemp(prefix="lm-eval-newer-"))
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile", "--target", str(folder)]
    done = subprocess.run([*install, f"lm_eval=={NEWER}"], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no registry has lm_eval {NEWER}: {done.stderr.strip()[-200:]}")
    return folder


def run_module(module: str, *arguments: object, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """`python -m module` in the repository, with the packages in `folder` before those installed."""
    environment = os.environ | {"PYTHONPATH": str(folder or ""), "HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1"}
    return subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
