"""What several test modules share."""

from __future__ import annotations

import functools
import os
from pathlib import Path

import pytest
from hypothesis import settings

from data.sample.disk import write_town
from tests.sample_oddities import default_town

# A test never reaches a hub, and never sends telemetry.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("AXOLOTL_DO_NOT_TRACK", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Machines differ in speed; how fast something is belongs in a benchmark, not in a property. CI tries the same
# examples every time; elsewhere new ones are tried. The quick part of the suite tries fewer of them at a time.
settings.register_profile("repository", deadline=None, derandomize="CI" in os.environ)
settings.register_profile("quick", settings.get_profile("repository"), max_examples=30)

ROOT = Path(__file__).resolve().parent.parent


def pytest_configure(config: pytest.Config) -> None:
    settings.load_profile("quick" if config.getoption("markexpr") == "not slow" else "repository")


# The files with real trainings, the longest first: none of them may start when the other worker has nothing left to do.
LONGEST = (
    "test_smoke",
    "test_scripts_real_training",
    "test_train_real",
    "test_preferences_train",
    "test_mlx_train",
    "test_infra_image",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST))


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def sample_town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample town on disk, once for a test process. Nobody writes into it."""
    folder = tmp_path_factory.mktemp("sample-town")
    write_town(folder, default_town().files)
    return folder


@pytest.fixture(scope="session")
def corpus() -> Path:
    """Real transcripts beside the checkout; tests that use them are skipped where there are none."""
    folder = ROOT.parent / "shared" / "corpus" / "projects"
    if not folder.is_dir():
        pytest.skip("no corpus of real transcripts beside the checkout")
    return folder


@pytest.fixture(scope="session")
def llama_server() -> Path:
    """The engine of the machine or of `make engine`; tests that need it are skipped, by name, where there is none."""
    from deploy.engine import find_server

    server = find_server()
    if server is None:
        pytest.skip("no llama-server here; build it once: make engine")
    return server


@functools.cache
def guards_scanner() -> object:
    import kingfisher_sdk

    return kingfisher_sdk.Scanner()


@pytest.fixture
def one_scanner(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever looks for secrets before an upload shares the compiled rules of this process."""
    compiled = guards_scanner()
    monkeypatch.setattr("kingfisher_sdk.Scanner", lambda: compiled)
