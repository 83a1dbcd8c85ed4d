"""One command turns base, role, overrides and rows into the file that Axolotl takes."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from configs.combine import override_names, role_names
from configs.files import CONFIGS
from configs.resolve import brief, main
from configs.rows import prepared_name, read_rows


def write_rows(
    root: Path, role: str, split: str, tokens: tuple[int, ...] = (100, 200), column: str = "conversations"
) -> Path:
    """A dataset folder with rows of the given lengths, as far as the recipes look at them."""
    folder = root / "datasets"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.json").write_text("{}", encoding="utf-8")
    rows = [{column: [], "metadata": {"tokens": count, "trained_tokens": count // 2}} for count in tokens]
    file = folder / f"{role}_{split}.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def resolved(root: Path, *arguments: str) -> dict[str, Any]:
    assert main([*arguments, "--root", str(root)]) == 0
    config: dict[str, Any] = yaml.safe_load((root / "configs" / f"{arguments[0]}.yml").read_text(encoding="utf-8"))
    return config


@pytest.mark.parametrize("override", [(), ("--with", "smoke"), ("--with", "llama31")])
@pytest.mark.parametrize("role", role_names())
def test_every_role_resolves_alone_and_under_each_override(
    tmp_path: Path, role: str, override: tuple[str, ...]
) -> None:
    for split in ("train", "val"):
        write_rows(tmp_path, role, split)
    config = resolved(tmp_path, role, *override)
    assert config["datasets"][0]["path"] == f"{tmp_path}/datasets/{role}_train.jsonl"
    assert config["dataset_prepared_path"].startswith(f"{tmp_path}/prepared/")


@pytest.mark.parametrize("role", role_names())
def test_every_role_resolves_over_native_rows(tmp_path: Path, role: str) -> None:
    for split in ("train", "val"):
        write_rows(tmp_path, role, split, column="messages")
    config = resolved(tmp_path, role, "--with", "native")
    assert config["datasets"][0]["path"] == f"{tmp_path}/datasets/{role}_train.jsonl"
    assert {block["field_messages"] for block in config["datasets"] + config["test_datasets"]} == {"messages"}


PAIR = {"messages": [], "chosen": {}, "rejected": {}}
PREFERENCES: dict[str, dict[str, Any]] = {"dpo": PAIR, "kto": {"completion": [], "label": True}}


def write_preferences(root: Path, role: str, method: str, tokens: int = 100) -> Path:
    file = write_rows(root, role, "train").with_name(f"{role}.{method}.train.jsonl")
    about = json.dumps({"tokens": tokens, "trained_tokens": 9})
    file.write_text(json.dumps({**PREFERENCES[method], "metadata": about}) + "\n", encoding="utf-8")
    return file


@pytest.mark.parametrize("method", ["dpo", "kto"])
@pytest.mark.parametrize("role", [*role_names(), "gastown"])
def test_every_role_resolves_on_preferences(
    tmp_path: Path, role: str, method: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_preferences(tmp_path, role, method)
    assert main([role, "--with", "smoke", "--with", method, "--root", str(tmp_path)]) == 0
    config = yaml.safe_load((tmp_path / "configs" / f"{role}-{method}.yml").read_text(encoding="utf-8"))
    assert config["rl"] == method and config["datasets"][0]["path"] == str(file)
    assert "test_datasets" not in config
    assert "1 rows, 100 tokens (9 trained)" in capsys.readouterr().out


def test_a_role_without_preferences_is_told_who_has_some(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_preferences(tmp_path, "crew", "dpo")
    write_preferences(tmp_path, "gastown", "dpo")
    assert main(["mayor", "--with", "dpo", "--root", str(tmp_path)]) == 1
    assert capsys.readouterr().err == (
        f"{tmp_path}/datasets: no preferences of the role mayor for `rl: dpo`. Roles with some: crew, gastown.\n"
    )


def test_a_pair_longer_than_the_sequence_stops_before_the_gpu_is_rented(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_preferences(tmp_path, "mayor", "dpo", tokens=2049)
    assert main(["mayor", "--with", "dpo", "--root", str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith(f"{file}: its longest row has 2049 tokens, sequence_len is 2048.")


def test_a_missing_adapter_to_start_from_is_told_with_the_fix(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_preferences(tmp_path, "mayor", "dpo")
    assert main(["mayor", "--with", "dpo", "--with", "sft", "--root", str(tmp_path)]) == 1
    assert capsys.readouterr().err == (
        f"{tmp_path}/adapters/mayor: no adapter there to start from. Train it first (`scripts/train.sh mayor`), or "
        "leave out `--with sft`.\n"
    )


@pytest.mark.parametrize(("rank", "code"), [(64, 0), (16, 1)])
def test_an_adapter_of_another_rank_is_no_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], rank: int, code: int
) -> None:
    write_preferences(tmp_path, "mayor", "kto")
    folder = tmp_path / "adapters" / "mayor"
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text(json.dumps({"r": rank, "lora_alpha": 128}), encoding="utf-8")
    assert main(["mayor", "--with", "kto", "--with", "sft", "--root", str(tmp_path)]) == code
    assert ("its r is 16, the recipe's lora_r is 64" in capsys.readouterr().err) == bool(code)


def test_a_run_never_replaces_the_adapter_that_it_starts_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_rows(tmp_path, "mayor", "train")
    folder = tmp_path / "adapters" / "mayor"
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text(json.dumps({"r": 64, "lora_alpha": 128}), encoding="utf-8")
    command = ["mayor", "--with", "sft", "--root", str(tmp_path)]
    assert main(command) == 1
    assert capsys.readouterr().err == (
        f"{folder}: the run would replace the adapter that it starts from. Give it a name of its own: "
        "--run mayor-more.\n"
    )
    assert main([*command, "--run", "mayor-more"]) == 0


@pytest.mark.parametrize(
    ("column", "arguments", "fix"),
    [
        ("messages", [], "Train such rows with `--with native`."),
        ("conversations", ["--with", "native"], "Train such rows without `--with native`."),
    ],
)
def test_rows_of_the_other_form_stop_before_axolotl_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], column: str, arguments: list[str], fix: str
) -> None:
    file = write_rows(tmp_path, "mayor", "train", column=column)
    assert main(["mayor", *arguments, "--root", str(tmp_path)]) == 1
    [problem] = capsys.readouterr().err.splitlines()
    assert problem.startswith(f"{file}: its messages are in `{column}`, the recipe reads ") and problem.endswith(fix)


def test_other_rows_get_another_cache_and_equal_rows_the_same(tmp_path: Path) -> None:
    write_rows(tmp_path, "mayor", "train")
    first = resolved(tmp_path, "mayor")["dataset_prepared_path"]
    assert resolved(tmp_path, "mayor")["dataset_prepared_path"] == first
    write_rows(tmp_path, "mayor", "train", (100, 201))
    assert resolved(tmp_path, "mayor")["dataset_prepared_path"] != first


@pytest.mark.parametrize(
    ("key", "value", "is_other"),
    [
        ("sequence_len", 8192, True),
        ("base_model", "other/model", True),
        ("learning_rate", 1.0e-5, False),
        ("lora_r", 8, False),
    ],
)
def test_a_cache_depends_on_what_changes_the_tokens_alone(
    tmp_path: Path, key: str, value: object, is_other: bool
) -> None:
    rows = read_rows(write_rows(tmp_path, "mayor", "train"))
    config = {"sequence_len": 4096, "base_model": "some/model", "learning_rate": 2.0e-4, "lora_r": 64}
    assert (prepared_name(config, [rows]) != prepared_name({**config, key: value}, [rows])) == is_other


def test_a_role_without_validation_rows_trains_without_evaluation(tmp_path: Path) -> None:
    write_rows(tmp_path, "boot", "train")
    config = resolved(tmp_path, "boot")
    assert "test_datasets" not in config
    assert "early_stopping_patience" not in config


def test_the_changes_against_base_are_printed_like_a_diff(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_rows(tmp_path, "boot", "train")
    resolved(tmp_path, "boot")
    said = capsys.readouterr().out
    assert "  lora_r: 64 -> 16\n" in said
    assert "  datasets: [output/datasets/gastown_train.jsonl] -> " in said
    assert "2 rows, 300 tokens (150 trained), about 0 steps" in said


def test_a_named_run_has_a_config_of_its_own(tmp_path: Path) -> None:
    write_rows(tmp_path, "mayor", "train")
    assert main(["mayor", "--run", "mayor-long", "--root", str(tmp_path)]) == 0
    assert [file.name for file in (tmp_path / "configs").iterdir()] == ["mayor-long.yml"]


def test_the_name_of_a_run_is_told_without_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["mayor", "--root", str(tmp_path), "--name"]) == 0
    assert main(["mayor", "--root", str(tmp_path), "--run", "mayor-long", "--name"]) == 0
    assert capsys.readouterr().out == "mayor\nmayor-long\n"
    assert not list(tmp_path.iterdir())


def test_a_role_without_sessions_is_told_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_rows(tmp_path, "crew", "train")
    assert main(["boot", "--root", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert said == f"{tmp_path}/datasets: no sessions of the role boot, so no rows. Roles with rows: crew.\n"
    assert not (tmp_path / "configs").exists()


def test_without_a_dataset_the_command_that_makes_one_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["boot", "--root", str(tmp_path)]) == 1
    assert capsys.readouterr().err == f"{tmp_path}/datasets: no finished dataset. Run `make all` first.\n"


def test_a_row_longer_than_the_sequence_stops_before_the_gpu_is_rented(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_rows(tmp_path, "mayor", "train", (100, 5000))
    assert main(["mayor", "--root", str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith(f"{file}: its longest row has 5000 tokens, sequence_len is 4096.")


def test_a_broken_row_is_named_with_its_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write_rows(tmp_path, "mayor", "train")
    with file.open("a", encoding="utf-8") as rows:
        rows.write("{}\n")
    assert main(["mayor", "--root", str(tmp_path)]) == 1
    assert capsys.readouterr().err == f"{file}:3: not a row of the pipeline. Run `make all` again.\n"


def test_the_repository_holds_no_recipe_that_nobody_executes() -> None:
    files = (file.relative_to(CONFIGS) for file in CONFIGS.rglob("*.yml"))
    names = {file.as_posix() for file in files if file.parts[0] not in ("packs", "plan")}
    # configs.validate executes each role alone and under each override.
    executed = {f"roles/{role}.yml" for role in role_names()} | {f"{name}.yml" for name in override_names()}
    assert names == {"base.yml", "data.yml", "loop.yml", "serve.yml"} | executed


def test_a_long_value_is_shown_in_brief() -> None:
    assert brief(None) == "none"
    assert brief(2.0e-4) == "0.0002"
    assert len(brief(list(range(100)))) == 80
