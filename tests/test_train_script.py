"""scripts/train.sh: what it would run, what it refuses, and one real training of a tiny model."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TRAIN = ROOT / "scripts" / "train.sh"


def train(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(TRAIN), *arguments], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("script", ["train.sh", "smoke.sh", "release_smoke.sh", "packs_smoke.sh", "steps.sh"])
def test_the_scripts_are_shellcheck_clean(script: str) -> None:
    shellcheck = ROOT / ".venv" / "bin" / "shellcheck"
    command = [str(shellcheck) if shellcheck.exists() else "shellcheck", "-x", str(ROOT / "scripts" / script)]
    checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout


def test_a_dry_run_prints_the_four_steps_and_does_none(tmp_path: Path) -> None:
    said = train("mayor", "--with", "smoke", "--root", str(tmp_path), "--dry-run").stdout.splitlines()
    assert [line.partition(" ")[2] for line in said if " -m " in line] == [
        f"-m configs.resolve mayor --root {tmp_path} --with smoke",
        f"-m configs.runs.start {tmp_path}/configs/mayor.yml",
        f"-m configs.runs.check {tmp_path}/checkpoints/mayor --adapter {tmp_path}/adapters/mayor",
    ]
    assert f"axolotl train {tmp_path}/configs/mayor.yml --launcher python" in said
    assert list(tmp_path.iterdir()) == []


def test_a_named_run_has_its_own_config_checkpoints_and_adapter(tmp_path: Path) -> None:
    said = train("mayor", "--run", "mayor-long", "--root", str(tmp_path), "--dry-run").stdout.splitlines()
    assert [line.partition(" ")[2] for line in said if " -m " in line] == [
        f"-m configs.resolve mayor --root {tmp_path} --run mayor-long",
        f"-m configs.runs.start {tmp_path}/configs/mayor-long.yml",
        f"-m configs.runs.check {tmp_path}/checkpoints/mayor-long --adapter {tmp_path}/adapters/mayor-long",
    ]


def test_several_gpus_are_started_as_the_recipe_needs_them(tmp_path: Path) -> None:
    root = ("--root", str(tmp_path), "--dry-run")
    config = f"axolotl train {tmp_path}/configs/mayor.yml"
    assert f"{config} --launcher torchrun -- --nproc_per_node 2" in train("mayor", "--gpus", "2", *root).stdout
    assert f"{config} --use-ray" in train("mayor", "--with", "ray", *root).stdout
    alone = train("mayor", "--with", "fsdp2", *root)
    assert (alone.returncode, alone.stdout) == (1, "")
    assert alone.stderr.endswith("Give --gpus 2 or more, or leave it out.\n")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--fast",), "train: there is no option --fast."),
        (("mayor", "crew"), "train: one role at a time: got mayor and crew"),
        (("mayor", "--with"), "train: --with needs the name of an override"),
        (("mayor", "--root"), "train: --root needs a folder"),
        (("mayor", "--run"), "train: --run needs a name"),
        (("mayor", "--gpus"), "train: --gpus needs a number"),
    ],
)
def test_a_wrong_call_is_one_sentence_and_exit_code_2(arguments: tuple[str, ...], sentence: str) -> None:
    answer = train(*arguments)
    assert answer.returncode == 2
    assert answer.stderr.startswith(sentence)


def test_without_a_role_the_usage_is_shown() -> None:
    answer = train()
    assert answer.returncode == 2
    assert "scripts/train.sh mayor" in answer.stderr


def test_a_role_without_rows_stops_before_anything_is_trained(tmp_path: Path) -> None:
    answer = train("mayor", "--root", str(tmp_path))
    assert answer.returncode == 1
    assert answer.stderr == f"{tmp_path}/datasets: no finished dataset. Run `make all` first.\n"
    assert list(tmp_path.iterdir()) == []
