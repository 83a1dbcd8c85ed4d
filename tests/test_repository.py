"""Rules of the house that a reader would otherwise have to check by hand."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

ROOMS = ("data", "configs", "eval", "deploy")
# What a room may import of the others. They talk through files in output/.
ALLOWED = {
    "data": set(),
    "configs": set(),
    "eval": {"data.record", "data.validate.schema"},
    "deploy": set(),
}
MODEL_LIBRARIES = {"torch", "transformers", "peft", "lm_eval", "datasets", "axolotl", "trl", "accelerate"}
COMMANDS = ("data.pipeline", "configs.resolve", "configs.validate", "eval.role_bench", "eval.tool_use_accuracy",
            "deploy.upload_hf")  # fmt: skip


def modules(room: str) -> Iterator[tuple[str, ast.Module]]:
    for path in sorted((ROOT / room).rglob("*.py")):
        yield str(path.relative_to(ROOT)), ast.parse(path.read_text("utf-8"))


def imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_talk_through_files(room: str) -> None:
    for path, tree in modules(room):
        for name in imported(tree):
            other = name.split(".")[0]
            if other in ROOMS and other != room:
                assert name in ALLOWED[room], f"{path} imports {name}"


def test_stages_never_import_each_other() -> None:
    for path, tree in modules("data/transform"):
        own = Path(path).stem
        for name in imported(tree):
            if name.startswith("data.transform."):
                other = name.rsplit(".", 1)[1]
                # The redactor is spread over several files.
                assert other.startswith("redact") and own.startswith("redact"), f"{path} imports {name}"


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_starts_without_the_libraries_that_run_models(command: str) -> None:
    heavy = {*MODEL_LIBRARIES, "huggingface_hub", "kingfisher_sdk", "awkward"}
    check = f"import sys, {command}; print(*({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", check], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize("room", [*ROOMS, "scripts"])
def test_no_function_is_longer_than_forty_lines(room: str) -> None:
    for path, tree in modules(room):
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                length = (node.end_lineno or 0) - node.lineno + 1
                assert length <= 40, f"{path}: {node.name} has {length} lines"


README = (ROOT / "README.md").read_text("utf-8")


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\bmake (?:-C data )?([a-z]+)", README)) - {"and"}))
def test_every_make_target_of_the_readme_exists(target: str) -> None:
    done = subprocess.run(
        ["make", "--dry-run", target, "REPO=you/name"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("module", sorted(set(re.findall(r"python -m ([a-z_.]+)", README))))
def test_every_module_that_the_readme_runs_explains_itself(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", module, "--help"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and "usage" in done.stdout, done.stderr


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`((?:configs|deploy|infra|scripts|eval)/[\w./-]*)`", README))))
def test_every_path_of_the_readme_exists(path: str) -> None:
    assert (ROOT / path).exists()


def test_the_data_makefile_builds_a_dataset(tmp_path: Path) -> None:
    from tests.transcripts import Script

    script = Script()
    script.human("go and look at the parser")
    script.says("It reads one row after the other.", "m1")
    script.save(tmp_path / "sessions")
    variables = [
        f"PYTHON={sys.executable}",
        f"SESSIONS={tmp_path / 'sessions'}",
        f"OUT={tmp_path / 'out'}",
        "WORKERS=1",
    ]
    for target in ("extract", "transform", "stats", "all"):
        subprocess.run(["make", "-C", "data", target, *variables], cwd=ROOT, check=True, capture_output=True)
    assert (tmp_path / "out" / "manifest.json").is_file()
