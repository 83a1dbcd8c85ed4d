"""scripts/phases.sh: the order of its steps, what it does not do again, whom it leaves out, what it refuses."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PHASES = ROOT / "scripts" / "phases.sh"
# Leaves behind what a real training leaves: one that ends well, or, for too few rows, one without a step.
AXOLOTL = """#!{python}
import json, pathlib, sys, yaml
config = yaml.safe_load(open(sys.argv[2]))
rows = len(open(config["datasets"][0]["path"]).readlines())
steps = 2 if rows > 1 else 0
out = pathlib.Path(config["output_dir"])
losses = [{{"loss": 2.0 - step}} for step in range(steps)]
state = {{"global_step": steps, "max_steps": 2, "epoch": 1.0, "num_train_epochs": 1, "log_history": losses}}
(out / "trainer_state.json").write_text(json.dumps(state))
(out / "adapter_config.json").write_text("{{}}")
(out / "adapter_model.safetensors").write_bytes(b"weights")
"""
# Everything runs as it is but the evaluation, which says how it was called.
PYTHON = """#!/bin/sh
case "$*" in *eval.phases*) echo "$@"; exit 0 ;; esac
exec {python} "$@"
"""


def phases(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(PHASES), *arguments], capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )


def rows(folder: Path, **numbers: int) -> None:
    """A finished dataset with so many rows of each role."""
    (folder / "datasets").mkdir(parents=True)
    for name, number in numbers.items():
        row = {"conversations": [], "metadata": {"tokens": 60, "trained_tokens": 20}}
        text = "".join(json.dumps({**row, "number": n}) + "\n" for n in range(number))
        (folder / "datasets" / f"{name}_train.jsonl").write_text(text)
    (folder / "datasets" / "manifest.json").write_text("{}")


def test_the_script_is_shellcheck_clean() -> None:
    shellcheck = ROOT / ".venv" / "bin" / "shellcheck"
    command = [str(shellcheck) if shellcheck.exists() else "shellcheck", str(PHASES)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout


def test_all_roles_come_first_then_each_role_then_the_table(tmp_path: Path) -> None:
    arguments = ("--roles", "mayor crew", "--with", "smoke", "--with-all", "long.yml", "--root", str(tmp_path))
    said = phases(*arguments, "--samples", "5", "--dry-run", "--", "--seed", "7").stdout.splitlines()
    commands = [line for line in said if "train.sh" in line or "eval.phases" in line]
    assert commands[:3] == [
        f"scripts/train.sh gastown --root {tmp_path} --with smoke --with long.yml",
        f"scripts/train.sh mayor --root {tmp_path} --with smoke",
        f"scripts/train.sh crew --root {tmp_path} --with smoke",
    ]
    (table,) = commands[3:]
    assert table.partition(" ")[2] == (
        f"-m eval.phases --role=mayor --role=crew --adapters {tmp_path}/adapters --rows {tmp_path}/datasets "
        f"--evals {tmp_path}/evals --out {tmp_path}/evals/phases --samples 5 --seed 7"
    )
    assert list(tmp_path.iterdir()) == []


def test_without_roles_those_with_rows_and_scenarios_are_taken(tmp_path: Path) -> None:
    rows(tmp_path, mayor=2, dog=2, witness=2, crew=0)
    said = phases("--root", str(tmp_path), "--dry-run").stdout
    assert [line.split()[1] for line in said.splitlines() if "train.sh" in line] == ["gastown", "mayor", "witness"]
    said = phases("--root", str(tmp_path), "--dry-run", "--scenarios", "scripts/smoke_scenarios").stderr
    assert said.startswith(
        f"phases: {tmp_path}/datasets has rows of no role with scenarios in scripts/smoke_scenarios."
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--fast",), "phases: there is no option --fast; options of the evaluation stand behind --, see --help"),
        (("--roles",), "phases: --roles needs names"),
        (("--with",), "phases: --with needs the name of an override"),
        (("--with-all",), "phases: --with-all needs the name of an override"),
        (("--root",), "phases: --root needs a folder"),
        (("--samples",), "phases: --samples needs a value"),
    ],
)
def test_a_wrong_call_is_one_sentence_and_exit_code_2(arguments: tuple[str, ...], sentence: str) -> None:
    answer = phases(*arguments)
    assert answer.returncode == 2
    assert answer.stderr.startswith(sentence)


def test_without_a_dataset_nothing_is_trained(tmp_path: Path) -> None:
    answer = phases("--root", str(tmp_path))
    assert answer.returncode == 1
    assert answer.stderr.endswith("Run `make all`, or give --roles.\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("role", "sentence"), [("dog", "has no scenarios in eval/prompts"), ("crew", "has no rows in")]
)
def test_a_role_that_could_not_be_compared_is_refused_before_the_first_training(
    tmp_path: Path, role: str, sentence: str
) -> None:
    rows(tmp_path, mayor=2, dog=2, crew=0)
    answer = phases("--root", str(tmp_path), "--roles", f"mayor {role}")
    assert answer.returncode == 1
    assert answer.stderr.startswith(f"phases: {role} {sentence}")
    assert not (tmp_path / "phases").exists()


@pytest.fixture
def town(tmp_path: Path) -> Path:
    """Rows, a base, and the doubles of Axolotl and of the evaluation."""
    pytest.importorskip("axolotl")
    rows(tmp_path, gastown=9, mayor=5, crew=1)
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "config.json").write_text("{}")
    (tmp_path / "tiny.yml").write_text(f"base_model: {tmp_path}/base\nmax_steps: 2\n")
    (tmp_path / "bin").mkdir()
    for name, text in (("python", PYTHON), ("axolotl", AXOLOTL)):
        (tmp_path / "bin" / name).write_text(text.format(python=sys.executable))
        (tmp_path / "bin" / name).chmod(0o755)
    return tmp_path


def run(town: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    options = ("--with", "smoke", "--with", str(town / "tiny.yml"), "--root", str(town))
    return phases(*options, *arguments, PYTHON=str(town / "bin" / "python"))


@pytest.mark.slow
def test_a_role_with_too_few_rows_is_named_and_left_out(town: Path) -> None:
    said = run(town, "--roles", "mayor crew")
    assert said.returncode == 0, said.stderr
    assert "Left out, too few rows: crew\n" in said.stdout
    assert "--role=mayor --adapters" in said.stdout and "--role=crew" not in said.stdout
    assert not (town / "adapters" / "crew").exists()


@pytest.mark.slow
def test_what_is_trained_is_not_trained_again_until_its_recipe_or_rows_change(town: Path) -> None:
    def trained() -> list[int]:
        said = run(town, "--roles", "mayor")
        assert said.returncode == 0, said.stderr
        return [said.stdout.count("trained already"), said.stdout.count("done after 2 of 2 steps")]

    assert trained() == [0, 2]
    with (town / "datasets" / "mayor_train.jsonl").open("a") as file:
        file.write('{"conversations": [], "metadata": {"tokens": 61, "trained_tokens": 20}}\n')
    assert trained() == [1, 1]
    (town / "tiny.yml").write_text((town / "tiny.yml").read_text() + "seed: 7\n")
    assert trained() == [0, 2]


@pytest.mark.slow
def test_a_training_that_fails_otherwise_stops_and_names_its_log(town: Path) -> None:
    (town / "bin" / "axolotl").write_text("#!/bin/sh\necho out of memory\nexit 9\n")
    said = run(town, "--roles", "mayor")
    assert said.returncode == 1
    assert f"phase 1: the all-roles adapter was not trained; see {town}/phases/gastown.log" in said.stderr
    assert "axolotl stopped with exit code 9" in said.stdout
    assert "eval.phases" not in said.stdout
