"""What several test modules share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# A test never reaches a hub, and never sends telemetry.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("AXOLOTL_DO_NOT_TRACK", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Machines differ in speed; how fast something is belongs in a benchmark, not in a property. CI tries the same
# examples every time; elsewhere new ones are tried.
settings.register_profile("repository", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("repository")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def corpus() -> Path:
    """Real transcripts beside the checkout; tests that use them are skipped where there are none."""
    folder = ROOT.parent / "shared" / "corpus" / "projects"
    if not folder.is_dir():
        pytest.skip("no corpus of real transcripts beside the checkout")
    return folder
