"""Rules of the house that a reader would otherwise have to check by hand."""

from __future__ import annotations

import ast
import functools
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
    # Strict YAML is the same for every config in configs/.
    "deploy": {"configs.strict_yaml"},
}
MODEL_LIBRARIES = {"torch", "transformers", "peft", "lm_eval", "datasets", "axolotl", "trl", "accelerate"}
# Loaded by the function that needs them, and by nothing that only starts.
HEAVY = {
    *MODEL_LIBRARIES, "huggingface_hub", "kingfisher_sdk", "awkward", "hyperscan", "detect_secrets", "ray", "numpy",
    "requests", "gigatoken", "rensa", "rapidfuzz", "sacrebleu", "tree_sitter", "tree_sitter_bash", "tree_sitter_python",
    "starlette", "uvicorn", "httpx", "prometheus_client", "onnx", "onnxruntime", "onnxruntime_genai", "openai",
    "mlx", "mlx_lm",
}  # fmt: skip


@functools.cache
def modules(room: str) -> tuple[tuple[str, ast.Module], ...]:
    paths = sorted((ROOT / room).rglob("*.py"))
    return tuple((str(path.relative_to(ROOT)), ast.parse(path.read_text("utf-8"))) for path in paths)


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


def commands(*rooms: str) -> list[str]:
    """What `python -m` runs: the modules that end with a call of their `main`, and the packages that hold one."""
    found = [path for room in rooms for path, tree in modules(room) if any(map(_is_main, tree.body))]
    return [path.removesuffix(".py").removesuffix("/__main__").replace("/", ".") for path in found]


def _is_main(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'"


def said_by(command: str) -> tuple[str, set[str]]:
    """What `python -m COMMAND` prints, and the libraries that it has loaded when it is done."""
    module, *words = command.split()
    check = (
        "import runpy, sys\n"
        f"sys.argv[1:] = {words}\n"
        "try:\n"
        f"    runpy.run_module({module!r}, run_name='__main__', alter_sys=True)\n"
        "except SystemExit as end:\n"
        "    code = end.code or 0\n"
        "print('', code, *{name.split('.')[0] for name in sys.modules}, sep='\\n')"
    )
    done = subprocess.run([sys.executable, "-c", check], cwd=ROOT, capture_output=True, text=True, check=False)
    said, _, rest = done.stdout.rpartition("\n\n")
    code, *loaded = rest.split()
    assert (done.returncode, code, done.stderr) == (0, "0", "")
    return said, {name for name in loaded if not name.startswith("_")} - sys.stdlib_module_names


# Two print, one writes what Axolotl says, one becomes the engine's process: none has anything to choose.
WITHOUT_OPTIONS = {"configs.make_schema", "eval.scenario", "eval.domain_tasks", "deploy.serve.leash"}
WITH_OPTIONS = [name for name in commands(*ROOMS, "scripts") if name not in WITHOUT_OPTIONS]


@pytest.mark.parametrize("command", [*WITH_OPTIONS, "data.pipeline explain", "data.pipeline forget"])
def test_a_command_explains_itself_without_the_libraries_that_do_its_work(command: str) -> None:
    said, loaded = said_by(f"{command} --help")
    assert said.startswith("usage: ") and "options:" in said
    assert loaded & HEAVY == set()


def test_recipes_are_checked_without_the_libraries_that_train() -> None:
    said, loaded = said_by("configs.validate")
    assert "recipes are valid" in said and loaded & HEAVY == set()


def test_the_pipeline_starts_with_two_small_libraries() -> None:
    check = "import sys, data.pipeline; print(*{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", check], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = {name for name in done.stdout.split() if not name.startswith("_")} - sys.stdlib_module_names
    # Two helpers of theirs come with them.
    assert loaded - {"data", "cython_runtime", "typing_extensions"} == {"msgspec", "yaml"}


SCRIPTS = [path for path in (ROOT / "scripts").iterdir() if path.name != "__pycache__"]


@pytest.mark.parametrize("script", sorted(path.name for path in SCRIPTS))
def test_every_script_is_run_by_a_test(script: str) -> None:
    """By its path, or by the name that a test's helper puts behind scripts/; what Python imports, by its module."""
    module = f"scripts.{script.removesuffix('.py')}"
    texts = [path.read_text("utf-8") for path in (ROOT / "tests").glob("*.py") if path != Path(__file__)]
    is_module = script.endswith(".py") or (ROOT / "scripts" / script / "__init__.py").exists()
    named = re.compile(rf"\b{re.escape(module)}\b" if is_module else rf"[\"/ ]{re.escape(script)}\b")
    assert any(named.search(text) for text in texts)


@pytest.mark.parametrize("room", [*ROOMS, "scripts"])
def test_no_function_is_longer_than_forty_lines(room: str) -> None:
    for path, tree in modules(room):
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                length = (node.end_lineno or 0) - node.lineno + 1
                assert length <= 40, f"{path}: {node.name} has {length} lines"


README = (ROOT / "README.md").read_text("utf-8")


TARGETS = set(re.findall(r"\bmake (?:-C data )?([a-z]+(?:-[a-z]+)*)", README)) - {"and"}


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_every_make_target_of_the_readme_exists(target: str) -> None:
    done = subprocess.run(
        ["make", "--dry-run", target, "REPO=you/name"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_every_module_that_the_readme_runs_is_a_command() -> None:
    assert set(re.findall(r"python -m ([a-z_.]+)", README)) <= set(commands(*ROOMS, "scripts"))


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`((?:configs|deploy|infra|scripts|eval)/[\w./-]*)`", README))))
def test_every_path_of_the_readme_exists(path: str) -> None:
    assert (ROOT / path).exists()


@pytest.mark.slow
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
