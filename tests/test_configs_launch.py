"""Axolotl is started in as many processes as a recipe has GPUs."""

import pytest

from configs.launch import main

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
