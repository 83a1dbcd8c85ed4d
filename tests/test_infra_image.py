"""infra/Dockerfile.train, really built on a small Debian made on the spot, and run: it trains as nobody special.

Registries are out of reach of a test: the base is not NVIDIA's, and what pip installs is a package of one line."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.test_infra_setup import write_wheel

SOURCES = Path("/etc/apt/sources.list.d/debian.sources")
MISSING = [name for name in ("buildah", "mmdebstrap") if shutil.which(name) is None]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        bool(MISSING), reason=f"{' and '.join(MISSING)} not installed: apt-get install buildah mmdebstrap"
    ),
    pytest.mark.skipif(os.geteuid() != 0, reason="making a base image needs root"),
    pytest.mark.skipif(not SOURCES.exists(), reason=f"no {SOURCES}: the base image is made of this machine's Debian"),
]


@dataclass(frozen=True)
class Images:
    """Images in a folder of their own, away from those of the machine."""

    folder: Path

    def buildah(self, *arguments: str, timeout: float = 300) -> str:
        places = ["--root", f"{self.folder}/images", "--runroot", f"{self.folder}/running", "--storage-driver", "vfs"]
        environment = {**os.environ, "BUILDAH_ISOLATION": "chroot", "TMPDIR": str(self.folder)}
        command = ["buildah", *places, *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=timeout)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        return done.stdout.strip()

    def run(self, container: str, *command: str) -> str:
        return self.buildah("run", container, "--", *command)


@pytest.fixture(scope="module")
def images() -> Iterator[Images]:
    """In memory, where there is room for the few copies that vfs makes: unpacking Debian mostly waits for a disk."""
    memory = Path("/dev/shm")
    place = memory if memory.is_dir() and shutil.disk_usage(memory).free > 6 << 30 else None
    with tempfile.TemporaryDirectory(dir=place) as folder:
        yield Images(Path(folder))


@pytest.fixture(scope="module")
def base(images: Images) -> str:
    """A Debian of the machine's own release and mirror, as localhost/base."""
    tar = images.folder / "base.tar"
    release = dict(
        line.split("=", 1) for line in Path("/etc/os-release").read_text("utf-8").splitlines() if "=" in line
    )
    options = ["--variant=apt", "--mode=root", "--dpkgopt=force-unsafe-io", '--aptopt=Acquire::Languages "none"']
    command = ["mmdebstrap", "--quiet", *options, release["VERSION_CODENAME"], str(tar), str(SOURCES)]
    done = subprocess.run(command, env={**os.environ, "TMPDIR": str(images.folder)}, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no base image could be made: {done.stderr.splitlines()[-1]}")
    container = images.buildah("from", "scratch")
    images.buildah("add", container, str(tar), "/")
    tar.unlink()
    images.buildah("commit", "--rm", container, "localhost/base")
    return "localhost/base"


@pytest.fixture(scope="module")
def container(images: Images, base: str) -> str:
    """A container of the image that the Dockerfile makes of this checkout."""
    context, wheels = images.folder / "context", images.folder / "wheels"
    wheels.mkdir()
    write_wheel(wheels / "tiny_trainer-1.0-py3-none-any.whl", "tiny_trainer", "VERSION = 1\n")
    for name in ("configs", "scripts"):
        shutil.copytree(ROOT / name, context / name)
    for name in ("pyproject.toml", "LICENSE"):
        shutil.copy(ROOT / name, context)
    (context / "requirements-light.txt").write_text(
        "tiny_trainer @ file:///wheels/tiny_trainer-1.0-py3-none-any.whl\n", encoding="utf-8"
    )
    arguments = ["--build-arg", f"BASE={base}", "--build-arg", "REQUIREMENTS=requirements-light.txt"]
    dockerfile = str(ROOT / "infra" / "Dockerfile.train")
    ignored = ["--ignorefile", f"{dockerfile}.dockerignore", "--volume", f"{wheels}:/wheels:ro"]
    images.buildah("build", *arguments, *ignored, "--file", dockerfile, "--tag", "localhost/train", str(context))
    return images.buildah("from", "localhost/train")


def test_it_runs_as_nobody_special_with_what_was_installed(images: Images, container: str) -> None:
    assert images.run(container, "id", "-u") == "10001"
    code = "import sys, tiny_trainer, configs; print(tiny_trainer.VERSION, sys.prefix, configs.__path__[0])"
    assert images.run(container, "python", "-c", code) == "1 /opt/venv /rig/configs"
    assert images.run(container, "gcc", "--version").startswith("gcc ")


def test_it_writes_where_it_has_to_and_nowhere_else(images: Images, container: str) -> None:
    images.run(container, "sh", "-c", "touch output/x $HF_HOME-x && mkdir -p $HF_HOME $TRITON_CACHE_DIR")
    said = images.run(container, "sh", "-c", "touch configs/base.yml 2>&1 || touch /opt/venv/x 2>&1 || echo refused")
    assert said.splitlines()[-1] == "refused" and said.count("Permission denied") == 2


def test_its_command_is_the_training(images: Images, container: str) -> None:
    inspected = images.buildah("inspect", "--format", "{{.OCIv1.Config.Cmd}} {{.OCIv1.Config.User}}", container)
    assert inspected == "[scripts/train.sh --help] 10001"
    assert "scripts/train.sh mayor" in images.run(container, "scripts/train.sh", "--help")


def test_nothing_private_goes_in(images: Images, container: str) -> None:
    assert images.run(container, "ls", "-A", "/rig").split() == [
        "LICENSE",
        "configs",
        "output",
        "pyproject.toml",
        "scripts",
    ]
    assert images.run(container, "ls", "-A", "output").split() in ([], ["x"])
