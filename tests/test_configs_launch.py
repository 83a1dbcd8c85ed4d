"""Axolotl is started in as many processes as a recipe has GPUs."""

import re
from pathlib import Path

import pytest

from configs.combine import override_names
from configs.launch import main

ROOT = Path(__file__).parent.parent
Said = pytest.CaptureFixture[str]
NODES = ["--gpus", "8", "--nodes", "2", "--head", "10.0.0.1:29400"]
RENDEZVOUS = "--rdzv_backend c10d --rdzv_endpoint 10.0.0.1:29400"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["mayor"], "--launcher python"),
        (["mayor", "--gpus", "4"], "--launcher torchrun -- --nproc_per_node 4"),
        (["mayor", "--with", "zero3", "--gpus", "2"], "--launcher torchrun -- --nproc_per_node 2"),
        (
            ["mayor", *NODES],
            f"--launcher torchrun -- --nproc_per_node 8 --nnodes 2 --rdzv_id mayor {RENDEZVOUS}",
        ),
        (
            ["mayor", "--with", "fsdp2", "--run", "mayor-big", *NODES],
            f"--launcher torchrun -- --nproc_per_node 8 --nnodes 2 --rdzv_id mayor-big {RENDEZVOUS}",
        ),
        (["mayor", "--with", "ray"], "--use-ray"),
    ],
)
def test_a_recipe_and_its_gpus_give_the_words_for_axolotl(arguments: list[str], words: str, capsys: Said) -> None:
    assert main(arguments) == 0
    assert capsys.readouterr().out == f"{words}\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["mayor", "--with", "zero3"], "`deepspeed` divides a model among several GPUs. Give --gpus 2 or more"),
        (["mayor", "--with", "fsdp2"], "`fsdp_config` divides a model among several GPUs."),
        (["mayor", "--nodes", "2"], "Several machines need --head HOST:PORT"),
        (["mayor", "--nodes", "2", "--head", "here"], "Several machines need --head HOST:PORT"),
        (["mayor", "--with", "ray", "--gpus", "4"], "Ray counts its own GPUs: set ray_num_workers in an override"),
        (["mayor", "--gpus", "0"], "--gpus and --nodes are 1 or more."),
        (["major"], "There is no role `major`."),
    ],
)
def test_gpus_that_do_not_fit_the_recipe_are_one_sentence(arguments: list[str], sentence: str, capsys: Said) -> None:
    assert main(arguments) == 1
    assert capsys.readouterr().err.startswith(sentence)


GUIDE = (ROOT / "docs" / "multi-gpu.md").read_text(encoding="utf-8")


def test_the_memory_in_the_guide_is_that_of_the_plan() -> None:
    numbers = [line for line in GUIDE.splitlines() if line.startswith("| Qwen")]
    assert len(numbers) == 3
    assert set(numbers) <= set((ROOT / "docs" / "hardware.md").read_text(encoding="utf-8").splitlines())


def test_the_commands_of_the_guide_are_real(capsys: Said) -> None:
    launches = [line.split() for line in re.findall(r"\$\(python -m configs\.launch (.*?)\)", GUIDE)]
    assert [main(words) for words in launches] == [0, 0]
    for words in re.findall(r"python -m configs\.(?:validate|resolve) (.*?)$", GUIDE, re.MULTILINE):
        overrides = re.findall(r"--with (\S+)", words)
        assert set(overrides) <= set(override_names())
    assert "--launcher torchrun -- --nproc_per_node 4\n" in capsys.readouterr().out


def test_every_way_of_the_guide_is_an_override() -> None:
    ways = re.findall(r"^\| .*? \| `(\w+)`", GUIDE, re.MULTILINE)
    assert set(ways) == {"fsdp2", "zero3", "ray"} <= set(override_names())
