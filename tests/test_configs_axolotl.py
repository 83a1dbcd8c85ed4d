"""Axolotl itself accepts every recipe and trains what the rows promise; where it cannot, a sentence says why."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from configs import axolotl_check
from configs.combine import ALL_ROLES, combine, role_names, without_evaluation
from configs.files import SCHEMA_FILE, Output
from configs.launch import launcher
from configs.resolve import resolve
from configs.validate import main
from tests.test_axolotl_rows import CASES, make_base, odd_rows
from tests.test_configs_validate import OVERRIDES

pytestmark = pytest.mark.slow
ROLE = "refinery"
# Roles differ in numbers that Axolotl does not hold against other settings: each of them alone and under smoke, and one
# recipe for all roles under everything.
RECIPES = [
    *((role, overrides) for role in role_names() for overrides in ((), ("smoke",))),
    *((ALL_ROLES, overrides) for overrides in OVERRIDES),
]


@pytest.fixture(autouse=True)
def axolotl(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Axolotl's switches are those of one test."""
    pytest.importorskip("axolotl")
    monkeypatch.setenv("AXOLOTL_IS_PREPROCESS", "1")
    yield


def test_the_schema_is_that_of_the_installed_axolotl() -> None:
    from configs.make_schema import axolotl_schema

    assert json.loads(SCHEMA_FILE.read_text(encoding="utf-8")) == axolotl_schema()


def test_axolotl_itself_accepts_every_recipe() -> None:
    refused = {recipe: axolotl_check.refusals(combine(*recipe)) for recipe in RECIPES}
    assert {recipe: problems for recipe, problems in refused.items() if problems} == {}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"batch_size": 8}, "Axolotl: please set only one of gradient_accumulation_steps or batch_size"),
        ({"lora_r": "many"}, "Axolotl: `lora_r`: Input should be a valid integer"),
        ({"rpo_alpha": 0.5}, "Axolotl: `rpo_alpha` has been deprecated"),
    ],
)
def test_what_axolotl_refuses_is_one_sentence(changes: dict[str, Any], sentence: str) -> None:
    (problem,) = axolotl_check.refusals({**combine("mayor"), **changes})
    assert problem.startswith(sentence)


@pytest.mark.parametrize(
    ("gpus", "overrides", "started"),
    [
        (1, [], ("python", [])),
        (4, ["zero3"], ("torchrun", ["--nproc_per_node", "4"])),
        (1, ["ray"], (None, [])),
    ],
)
def test_axolotl_reads_the_words_that_start_it(
    gpus: int, overrides: list[str], started: tuple[str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from axolotl.cli import main as command
    from click.testing import CliRunner

    calls: list[tuple[Any, ...]] = []
    monkeypatch.setattr(command, "launch_training", lambda *words: calls.append(words))
    words = launcher(combine(ALL_ROLES, overrides), gpus, 1, "", "run")
    (tmp_path / "recipe.yml").write_text("{}", encoding="utf-8")
    done = CliRunner().invoke(command.cli, ["train", str(tmp_path / "recipe.yml"), *words])
    assert done.exit_code == 0, done.output
    ((_, kind, _, _, handed_on, _),) = calls
    assert (kind, handed_on) == started


def test_pytorch_reads_the_words_that_axolotl_hands_on() -> None:
    from torch.distributed.run import get_args_parser

    words = launcher(combine(ALL_ROLES), 8, 2, "10.0.0.1:29400", "mayor")
    read = get_args_parser().parse_args([*words[words.index("--") + 1 :], "-m", "axolotl.cli.train", "recipe.yml"])
    assert (read.nproc_per_node, read.nnodes, read.rdzv_id) == ("8", "2", "mayor")
    assert (read.rdzv_backend, read.rdzv_endpoint) == ("c10d", "10.0.0.1:29400")


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Path:
    """An output folder: a base that is a tokenizer without weights, and rows with everything that could move a mask."""
    folder = tmp_path_factory.mktemp("town")
    make_base(folder / "base", CASES["xml"])
    own = {"base_model": str(folder / "base"), "tool_format": "xml"}
    config = yaml.safe_load((root / "configs" / "data.yml").read_text(encoding="utf-8"))
    (folder / "data.yml").write_text(yaml.safe_dump(config | own), encoding="utf-8")
    (folder / "datasets").mkdir()
    (folder / "datasets" / "manifest.json").write_text(json.dumps(own), encoding="utf-8")
    rows = list(odd_rows(folder / "data.yml"))
    for split, some in (("train", rows), ("val", rows[:1])):
        (folder / "datasets" / f"{ROLE}_{split}.jsonl").write_bytes(b"".join(some))
    (folder / "tiny.yml").write_text(f"base_model: {folder}/base\nsequence_len: 4096\n", encoding="utf-8")
    return folder


def checked(town: Path, tmp_path: Path, **changes: object) -> dict[str, Any]:
    """What axolotl_check reports on the recipe of the town with these changes."""
    config, _ = resolve(ROLE, ["smoke", str(town / "tiny.yml")], Output(town))
    config = without_evaluation(config) | {"dataset_prepared_path": str(tmp_path / "prepared")} | changes
    (tmp_path / "recipe.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    assert axolotl_check.main([str(tmp_path / "recipe.yml"), "--report", str(tmp_path / "report.json")]) == 0
    report: dict[str, Any] = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    return report


def test_a_deep_check_prepares_the_rows_and_shows_what_is_trained(
    town: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--deep", ROLE, "--with", "smoke", "--with", str(town / "tiny.yml"), "--root", str(town)]
    assert main(arguments) == 0, capfd.readouterr().err
    said = capfd.readouterr().out
    rows = [json.loads(line)["metadata"] for line in (town / "datasets" / f"{ROLE}_train.jsonl").open(encoding="utf-8")]
    tokens, trained = sum(row["tokens"] for row in rows), sum(row["trained_tokens"] for row in rows)
    assert f"  train: {len(rows)} of {len(rows)} rows; {tokens:,} tokens, {trained:,} of them trained" in said
    assert f"  val: 1 of 1 rows; {rows[0]['tokens']:,} tokens" in said
    assert "<|im_start|>assistant\n|" in said and "<|im_end|>|\n" in said
    folders = {info.parent.parent for info in (town / "prepared").glob("*/*/dataset_info.json")}
    assert [f"prepared in {folder}" in said for folder in folders] == [True]
    assert not (town / "checkpoints").exists()


def test_a_single_row_is_enough_to_find_a_base_whose_end_is_not_that_of_a_turn(town: Path, tmp_path: Path) -> None:
    """Axolotl's own `preprocess` stops at a single row; this check does not."""
    base = shutil.copytree(town / "base", tmp_path / "base")
    described = json.loads((base / "tokenizer_config.json").read_text(encoding="utf-8"))
    (base / "tokenizer_config.json").write_text(json.dumps(described | {"eos_token": "<tool_call>"}), encoding="utf-8")
    alone = combine(ROLE)["datasets"][0] | {"path": str(town / "datasets" / f"{ROLE}_val.jsonl")}
    report = checked(town, tmp_path, base_model=str(base), datasets=[alone])
    assert (report["problems"], report["train"]["rows"]) == ([], 1)
    assert report["train"]["endless"] > 0


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"base_model": "nobody/no-such-model"},
            "nobody/no-such-model is not on this machine, and the hub cannot be reached. Where there is a network, run",
        ),
        ({"sequence_len": 20}, "Axolotl cannot prepare the rows: ValueError: Sequence encountered with"),
    ],
)
def test_what_cannot_be_prepared_is_one_sentence_with_its_reason(
    town: Path, tmp_path: Path, changes: dict[str, Any], sentence: str
) -> None:
    (problem,) = checked(town, tmp_path, **changes)["problems"]
    assert problem.startswith(sentence)
