"""Before a training, everything that stands in its way is said at once, each with its fix."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from configs.combine import combine
from configs.files import BASE_FILE, Output
from configs.runs import preflight, preflight_machine
from configs.runs.machine import GIB, Machine, driver_cuda, is_alive, process_mark
from configs.runs.preflight import has_wandb_login, model_obstacles, notes, obstacles
from configs.runs.preflight_machine import disk_needed, gpu_keys, gpu_obstacles
from configs.runs.start import main

ROW = json.dumps({"conversations": [], "metadata": {"tokens": 10, "trained_tokens": 4}}) + "\n"


@pytest.fixture(autouse=True)
def nobody_is_logged_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("WANDB_API_KEY", "WANDB_BASE_URL", "HF_TOKEN", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))


@pytest.fixture
def datasets(tmp_path: Path) -> Path:
    """A finished dataset of the mayor."""
    folder = tmp_path / "datasets"
    folder.mkdir()
    for split in ("train", "val"):
        (folder / f"mayor_{split}.jsonl").write_text(ROW, encoding="utf-8")
    sha256 = hashlib.sha256(ROW.encode()).hexdigest()
    files = {f"mayor_{split}.jsonl": {"sha256": sha256, "bytes": len(ROW)} for split in ("train", "val")}
    (folder / "manifest.json").write_text(json.dumps({"files": files}), encoding="utf-8")
    return folder


def recipe(datasets: Path, **changes: Any) -> dict[str, Any]:
    """The mayor's smoke recipe on these rows, with a base that is there."""
    base = datasets.parent / "base"
    base.mkdir(exist_ok=True)
    (base / "config.json").write_text("{}", encoding="utf-8")
    made = combine("mayor", ["smoke"], Output(datasets.parent))
    return {**made, "base_model": str(base), "dataset_prepared_path": "x", **changes}


def said(config: dict[str, Any]) -> list[str]:
    return list(obstacles(BASE_FILE, config))


def test_nothing_stands_in_the_way_of_a_whole_dataset_and_a_sound_recipe(datasets: Path) -> None:
    assert said(recipe(datasets)) == []


def test_a_recipe_for_deepspeed_wants_it_and_one_for_ray_looks_for_no_gpu_here(
    monkeypatch: pytest.MonkeyPatch, datasets: Path
) -> None:
    monkeypatch.setattr(preflight, "find_spec", lambda name: None if name == "deepspeed" else object())
    monkeypatch.setattr(preflight, "this_machine", lambda: pytest.fail("the GPUs are those of Ray's workers"))
    assert said(recipe(datasets, use_ray=True, bf16=True)) == []
    (problem,) = said(recipe(datasets, deepspeed="configs/deepspeed/zero3.json"))
    assert problem.startswith("`deepspeed` is not installed here. Run `pip install deepspeed==")


def test_every_obstacle_is_named_at_once(
    monkeypatch: pytest.MonkeyPatch, datasets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(preflight, "find_spec", lambda name: None)
    config = recipe(datasets, learning_rat=1.0, wandb_project="p", wandb_mode="online", base_model="/none/base")
    (datasets / "mayor_val.jsonl").unlink()
    file = datasets.parent / "mayor.yml"
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    assert main([str(file)]) == 1
    key, rows, base, wandb, axolotl = capsys.readouterr().err.splitlines()
    assert key.endswith("Axolotl knows no key `learning_rat`; did you mean `learning_rate`?")
    assert rows.endswith("mayor_val.jsonl: no such file. Run `make all`, then resolve the recipe again.")
    assert base.endswith("base: no model there. `make smoke` makes the tiny base; or name another base_model.")
    assert wandb.startswith("`wandb_mode: online`, and this machine has no login of W&B. Set WANDB_API_KEY")
    assert axolotl == "Axolotl is not installed in this environment. Run `pip install -r requirements-gpu.txt`."


def test_a_dataset_older_than_its_configuration_is_made_again(datasets: Path) -> None:
    made_by = datasets.parent / "data.yml"
    made_by.write_text("seed: 42\n", encoding="utf-8")
    built = (datasets / "manifest.json").stat().st_mtime
    os.utime(made_by, (built + 60, built + 60))
    (problem,) = said(recipe(datasets))
    assert problem.startswith(f"{datasets}: older than {made_by}. Run `make all`, or `touch ")
    (datasets / "manifest.json").touch()
    os.utime(made_by, (built - 60, built - 60))
    assert said(recipe(datasets)) == []


@pytest.mark.parametrize("change", [ROW + ROW, ROW.replace("10", "11")], ids=["another size", "the same size"])
def test_rows_that_the_manifest_does_not_describe_are_not_trained(datasets: Path, change: str) -> None:
    (datasets / "mayor_val.jsonl").write_text(change, encoding="utf-8")
    (problem,) = said(recipe(datasets))
    assert problem.startswith(f"{datasets / 'mayor_val.jsonl'}: not the rows that manifest.json beside it describes")


def test_rows_without_a_manifest_are_trained_with_a_note(datasets: Path) -> None:
    (datasets / "manifest.json").unlink()
    assert said(recipe(datasets)) == []
    first, second, _disk = notes(recipe(datasets))
    assert first == (
        f"{datasets / 'mayor_train.jsonl'}: no manifest.json beside it, so whether it is whole and current was not "
        "checked."
    )
    assert second.startswith(f"{datasets / 'mayor_val.jsonl'}: no manifest.json")


def test_a_base_that_cannot_be_fetched_is_told_before_it_is_needed(
    monkeypatch: pytest.MonkeyPatch, datasets: Path
) -> None:
    config = recipe(datasets, base_model="some/base")
    assert said(config) == []
    assert "some/base is not on this machine yet and will be fetched from the hub first." in notes(config)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (problem,) = said(config)
    assert problem.startswith("some/base is not on this machine, and HF_HUB_OFFLINE keeps it from being fetched.")


def test_a_base_in_the_cache_needs_no_network(monkeypatch: pytest.MonkeyPatch, datasets: Path, tmp_path: Path) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    config = recipe(datasets, base_model="some/base")
    model = tmp_path / "hub" / "models--some--base"
    (model / "refs").mkdir(parents=True)
    (model / "refs" / "main").write_text("abc", encoding="utf-8")
    (model / "snapshots" / "abc").mkdir(parents=True)
    (model / "snapshots" / "abc" / "config.json").write_text("{}", encoding="utf-8")
    assert len(said(config)) == 1  # the config alone is no model
    (model / "snapshots" / "abc" / "model.safetensors").write_text("", encoding="utf-8")
    assert said(config) == []


def test_a_base_for_accounts_only_needs_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "has_hub_token", lambda: False)
    (problem,) = model_obstacles("meta-llama/Llama-3.1-8B-Instruct")
    assert problem.endswith("Accept its licence on the hub and set HF_TOKEN.")
    monkeypatch.setattr(preflight, "has_hub_token", lambda: True)
    assert list(model_obstacles("meta-llama/Llama-3.1-8B-Instruct")) == []


@pytest.mark.parametrize(
    ("mode", "key", "machine", "is_stopped"),
    [
        ("online", "", "", True),
        (None, "", "", True),
        ("offline", "", "", False),
        ("disabled", "", "", False),
        ("online", "secret", "", False),
        ("online", "", "api.wandb.ai", False),
        ("online", "", "github.com", True),
    ],
)
def test_wandb_is_asked_for_a_login_only_when_it_is_online(
    monkeypatch: pytest.MonkeyPatch, datasets: Path, mode: str | None, key: str, machine: str, is_stopped: bool
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", key)
    if machine:
        Path(os.environ["NETRC"]).write_text(f"machine {machine} login user password secret\n", encoding="utf-8")
        Path(os.environ["NETRC"]).chmod(0o600)
    config = recipe(datasets, wandb_project="lora-forge", wandb_mode=mode)
    config = {name: value for name, value in config.items() if value is not None}
    assert [problem.startswith("`wandb_mode: online`") for problem in said(config)] == [True] * is_stopped
    assert not any("secret" in problem for problem in said(config))


def test_a_broken_netrc_is_no_login() -> None:
    Path(os.environ["NETRC"]).write_text("machine", encoding="utf-8")
    assert not has_wandb_login()


def test_the_smoke_recipe_needs_no_gpu() -> None:
    assert gpu_keys(combine("mayor", ["smoke"])) == []


CARD = ("NVIDIA GeForce RTX 4090", 24 * GIB)
MACHINES: list[tuple[Machine, str]] = [
    (Machine("2.13.0+cpu", None, None), "This machine has no CUDA GPU, which load_in_4bit: true, bf16: auto, "),
    (Machine("2.13.0+cpu", None, "13.0"), "There is a GPU, but torch 2.13.0+cpu was built without CUDA, which "),
    (Machine("2.13.0", "13.0", "12.4"), "The GPU's driver runs CUDA up to 12.4, torch 2.13.0 is built for 13.0. "),
    (Machine("2.13.0", "13.0", "13.1"), "There is a GPU, but torch does not see it. Unset CUDA_VISIBLE_DEVICES"),
    (Machine("2.13.0", "13.0", "13.1", (CARD,), 9 * GIB, True), "Only 9.0 GiB of 24.0 GiB on NVIDIA GeForce RTX 4090"),
    (Machine("2.13.0", "13.0", "13.1", (CARD,), 23 * GIB, True), ""),
]


@pytest.mark.parametrize(("machine", "sentence"), MACHINES)
def test_why_there_is_no_gpu_is_told_apart(machine: Machine, sentence: str) -> None:
    config = combine("mayor")
    found = list(gpu_obstacles(machine, config, gpu_keys(config)))
    assert len(found) == bool(sentence)
    assert all(problem.startswith(sentence) for problem in found)


def test_a_card_without_bf16_is_told_only_when_the_recipe_insists() -> None:
    old = Machine("2.13.0", "13.0", "13.1", (("Tesla T4", 16 * GIB),), 15 * GIB, bf16=False)
    assert list(gpu_obstacles(old, {"bf16": "auto"}, [])) == []
    assert list(gpu_obstacles(old, {"bf16": True}, [])) == [
        "Tesla T4 does not compute in bf16. Set `bf16: false` and `fp16: true`."
    ]


@pytest.mark.parametrize(
    ("head", "version"),
    [
        ("| NVIDIA-SMI 550.54.15   Driver Version: 550.54.15   CUDA Version: 12.4  |", "12.4"),
        ("| NVIDIA-SMI 610.43.02   KMD Version: 610.43.02     CUDA UMD Version: 13.3  |", "13.3"),
        ("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.", None),
        ("", None),
    ],
)
def test_the_driver_says_which_cuda_it_can_run(head: str, version: str | None) -> None:
    assert driver_cuda(head) == version


def test_the_need_of_disk_is_that_of_every_checkpoint() -> None:
    config = combine("mayor") | {"lora_r": 64, "save_total_limit": 3}
    needed = disk_needed(config)
    # Rank 64 on the seven matrices of Qwen2.5-7B has 161 M weights as PEFT counts them: 4 bytes, 2 for the optimizer.
    assert needed == {"5 checkpoints": 5 * 6 * 161_480_704, "the adapter twice": 2 * 4 * 161_480_704}
    assert disk_needed({**config, "optimizer": "adamw_torch"})["5 checkpoints"] == 5 * 12 * 161_480_704
    assert disk_needed({**config, "rl": "dpo"})["a copy of the base"] == 2 * 7_615_616_512
    assert disk_needed({**config, "base_model": "some/unknown"}) == {}


def test_a_full_disk_is_told_with_what_the_run_needs(monkeypatch: pytest.MonkeyPatch, datasets: Path) -> None:
    monkeypatch.setattr(preflight_machine.shutil, "disk_usage", free_space(GIB))
    config = recipe(datasets, base_model="Qwen/Qwen2.5-7B-Instruct", lora_r=64)
    (problem,) = said(config)
    assert "1.0 GiB of disk are free, the run needs about " in problem
    assert problem.endswith("Make room, lower save_total_limit, or use another --root.")


def free_space(count: int) -> Callable[[Path], Any]:
    class Usage:
        free = count

    return lambda path: Usage


def test_a_process_is_known_by_more_than_its_number() -> None:
    mark = process_mark(os.getpid())
    assert mark and is_alive(mark)
    number, started, boot = mark.split()
    assert not is_alive(f"{number} {int(started) - 1} {boot}")
    assert not is_alive(f"{number} {started} another-boot")
    assert not is_alive("")
