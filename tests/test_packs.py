"""The packs that ship: each is a data.yml, a recipe, a rubric's configuration, and is built end to end."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from configs.combine import combine, layer_files, override_names, role_names, run_name
from configs.files import CONFIGS, PACKS, Output
from configs.pack.__main__ import main
from configs.pack.layer import line_in_layer, load_layer, pack_names, role_name
from configs.plan.__main__ import main as plan
from configs.resolve import main as resolve
from configs.rules import problems_of
from data import pipeline
from data.config import load_config
from data.transform.overlap import load_runs
from eval.rubric_config import load_rubric_config
from tests.test_configs_resolve import write_rows

NAMES = ("coding", "companion", "education", "finance", "healthcare", "legal")
SIX = pytest.mark.parametrize("name", NAMES)
Said = pytest.CaptureFixture[str]


def pack(name: str) -> dict[str, Any]:
    raw: dict[str, Any] = yaml.safe_load((PACKS / f"{name}.yml").read_text("utf-8"))
    return raw


def test_there_are_six_packs_and_none_has_the_name_of_a_role_or_an_override() -> None:
    assert pack_names() == NAMES
    assert not set(NAMES) & {*role_names(), *override_names(), "gastown", "unknown"}
    assert len({pack(name)["model_prefix"] for name in NAMES}) == 6


@SIX
def test_a_pack_is_a_configuration_of_the_data_side(name: str) -> None:
    config = load_config(PACKS / f"{name}.yml")
    assert set(config.roles) == {name, "unknown"}
    assert {source.role for source in config.sources} == {name}
    assert (config.split.val, config.split.test, config.split.exact) == (0.1, 0.1, True)
    assert config.quality.min_answer_chars > 0 and not config.dedup.near
    assert config.quality.code == ("required" if name == "coding" else "any")
    assert load_runs(config.overlap)  # what the rubric asks is kept out


@SIX
def test_a_pack_configures_the_rubric(name: str) -> None:
    rubric = load_rubric_config(PACKS / f"{name}.yml")
    assert sum(rubric.weights.values()) == 100
    assert rubric.base_model == pack(name)["base_model"]
    assert rubric.systems[name] == load_config(PACKS / f"{name}.yml").roles[name].system


@SIX
def test_each_key_of_the_training_has_its_why_on_its_line(name: str) -> None:
    text = (PACKS / f"{name}.yml").read_text("utf-8")
    section = text.split("\ntraining:\n")[1].split("\n\n")[0]
    assert section and all("  # " in line for line in section.splitlines())
    assert len(section.splitlines()) == len(pack(name)["training"])


@SIX
def test_a_packs_name_is_a_role_of_the_recipes(name: str) -> None:
    output = Output(Path("output/packs") / name)
    config = combine(name, output=output)
    assert [block["path"] for block in config["datasets"]] == [f"{output.root}/datasets/{name}_train.jsonl"]
    assert config["output_dir"] == f"{output.root}/checkpoints/{name}"
    assert {key: config[key] for key in pack(name)["training"]} == pack(name)["training"]
    assert config["base_model"] == pack(name)["base_model"]
    assert run_name(name, ["dpo"]) == f"{name}-dpo"


def test_a_pack_elsewhere_is_a_role_by_its_path(tmp_path: Path) -> None:
    file = tmp_path / "bicycles.yml"
    file.write_text((PACKS / "legal.yml").read_text("utf-8").replace("lora_r: 32", "lora_r: 8"), "utf-8")
    config = combine(str(file), ["smoke"], Output(Path("here")))
    assert (config["lora_r"], config.get("wandb_name", "off")) == (8, "off")
    assert config["output_dir"] == "here/checkpoints/bicycles"
    assert (role_name(str(file)), run_name(str(file), ["kto"])) == ("bicycles", "bicycles-kto")
    # Over another role it brings its training alone.
    assert combine("mayor", [str(file)])["output_dir"] == "output/checkpoints/mayor"
    assert combine("mayor", [str(file)])["lora_r"] == 8


def test_a_problem_of_a_packs_training_has_the_line_in_the_pack(tmp_path: Path) -> None:
    file = tmp_path / "bicycles.yml"
    lines = (PACKS / "legal.yml").read_text("utf-8").replace("lora_dropout", "lora_dropuot")
    file.write_text(lines, "utf-8")
    number = next(at for at, line in enumerate(lines.splitlines(), 1) if "dropuot" in line)
    assert problems_of(combine(str(file)), layer_files(str(file))) == [
        f"{file}:{number}: Axolotl knows no key `lora_dropuot`; did you mean `lora_dropout`?"
    ]
    assert line_in_layer(file, ("roles",)) is None  # the pack's own keys are no keys of Axolotl
    assert line_in_layer(file, ("sequence_len",)) is None
    assert load_layer(file).keys() == {"base_model", "lora_dropuot"} | (
        pack("legal")["training"].keys() - {"lora_dropout"}
    )


@SIX
def test_a_pack_is_resolved_over_its_own_rows(name: str, tmp_path: Path, capsys: Said) -> None:
    for split in ("train", "val"):
        write_rows(tmp_path, name, split)
    assert resolve([name, "--root", str(tmp_path)]) == 0
    written = (tmp_path / "configs" / f"{name}.yml").read_text("utf-8")
    assert written.startswith(f"# base.yml + configs/packs/{name}.yml, written by")
    assert yaml.safe_load(written)["datasets"][0]["path"] == f"{tmp_path}/datasets/{name}_train.jsonl"
    assert "learning_rate: 0.0002 -> " in capsys.readouterr().out


def test_a_pack_without_rows_is_told_how_it_is_built(tmp_path: Path, capsys: Said) -> None:
    assert resolve(["legal", "--root", str(tmp_path)]) == 1
    assert capsys.readouterr().err == (
        f"{tmp_path}/datasets: no finished dataset. Run `python -m data.pipeline all --config configs/packs/legal.yml "
        f"--sessions DIR --out {tmp_path}/datasets` first.\n"
    )
    write_rows(tmp_path, "companion", "train")
    assert resolve(["legal", "--root", str(tmp_path)]) == 1
    assert capsys.readouterr().err.endswith("no sessions of the role legal, so no rows. Roles with rows: companion.\n")


def test_the_companion_fits_a_card_of_12_gb(tmp_path: Path, capsys: Said) -> None:
    for split in ("train", "val"):
        write_rows(tmp_path, "companion", split, tokens=(300, 900, 2048) * 60)
    assert plan(["companion", "--gpu", "rtx3060-12", "--root", str(tmp_path)]) == 0
    assert "FITS: 7.0 of 11.6 GiB" in capsys.readouterr().out


@pytest.mark.slow
@SIX
def test_axolotl_itself_accepts_the_packs(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("axolotl")
    from configs import axolotl_check

    monkeypatch.setenv("AXOLOTL_IS_PREPROCESS", "1")
    for overrides in ((), ("smoke",), ("dpo",)):
        assert axolotl_check.refusals(combine(name, overrides)) == []


# --- built from an invented file of questions and answers -----------------------------------------------------------
def answers(folder: Path, count: int = 50) -> Path:
    """Answers about an invented language: one short, one without code, one broken, and five in other files too."""
    folder.mkdir()
    code = "```plum\nlet sum{0} = plus value {0}\nsay sum{0}\n```"
    lines = [
        {"input": f"How does Plum add {n} to a value?", "output": f"With `plus`, so:\n\n{code.format(n)}"}
        for n in range(count)
    ]
    for copy in range(5):
        (folder / f"copy-{copy}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines[:5]), "utf-8")
    lines += [{"input": "Is Plum fast?", "output": "Yes, it is quick for its age and size."}]
    lines += [
        {"input": "Who made Plum?", "output": "People in an invented town, who wanted a small language for fruit."}
    ]
    (folder / "plum.jsonl").write_text(
        "".join(json.dumps(line) + "\n" for line in lines) + '{"input": "alone"}\n', "utf-8"
    )
    return folder


def build(name: str, sessions: Path | None, out: Path) -> int:
    given = ["--sessions", str(sessions)] if sessions else []
    return pipeline.main(["all", "--config", str(PACKS / f"{name}.yml"), *given, "--out", str(out), "--workers", "1"])


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of the coding pack, built from the invented answers."""
    root = tmp_path_factory.mktemp("root")
    assert build("coding", answers(root / "answers"), root / "coding" / "datasets") == 0
    return root / "coding"


def lines(file: Path) -> list[Any]:
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


@pytest.mark.slow
def test_a_pack_is_built_80_10_10_and_what_left_has_its_reason(built: Path) -> None:
    rows = {split: lines(built / "datasets" / f"coding_{split}.jsonl") for split in ("train", "val", "test")}
    assert {split: len(found) for split, found in rows.items()} == {"train": 40, "val": 5, "test": 5}
    answers = [row["conversations"][-1]["value"] for found in rows.values() for row in found]
    assert len(set(answers)) == 50 and all("```plum" in answer for answer in answers)
    drops = [(drop["stage"], drop["reason"]) for drop in lines(built / "datasets" / "drops.jsonl")]
    assert [reason for stage, reason in drops if stage == "quality"] == [
        "answer under the minimum length",
        "answer without a code block",
    ]
    assert drops.count(("dedup", "exact duplicate")) == 25
    assert len(drops) == 2 + 25 + 1  # and a line without an answer


@pytest.mark.slow
def test_the_same_answers_make_the_same_rows(built: Path, tmp_path: Path) -> None:
    assert build("coding", built.parent / "answers", tmp_path / "datasets") == 0
    for split in ("train", "val", "test"):
        name = f"coding_{split}.jsonl"
        assert (tmp_path / "datasets" / name).read_bytes() == (built / "datasets" / name).read_bytes()


@pytest.mark.slow
def test_a_built_pack_is_resolved_and_started_dry(built: Path, capsys: Said) -> None:
    assert resolve(["coding", "--root", str(built)]) == 0
    assert "40 rows, " in capsys.readouterr().out
    command = [CONFIGS.parent / "scripts" / "train.sh", "coding", "--root", built, "--dry-run"]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=CONFIGS.parent,
        env={"PYTHON": sys.executable, "PATH": "/usr/bin:/bin"},
    )
    assert done.returncode == 0, done.stderr
    assert f"axolotl train {built}/configs/coding.yml --launcher python" in done.stdout


@pytest.mark.slow
def test_what_a_pack_reads_has_to_be_named_and_to_exist(tmp_path: Path, capsys: Said) -> None:
    assert build("legal", None, tmp_path / "datasets") == 2
    assert capsys.readouterr().err == (
        "The configuration reads qna from {sessions}. Say where that is: --sessions PATH.\n"
    )
    assert build("legal", tmp_path / "none", tmp_path / "datasets") == 2
    assert capsys.readouterr().err.startswith(f"{tmp_path}/none does not exist. Give the file or folder")
    assert not (tmp_path / "datasets").exists()


# --- the command ------------------------------------------------------------------------------------------------------
def test_a_pack_is_shown_with_its_recipe_and_its_commands(capsys: Said) -> None:
    assert main(["show", "legal"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("legal: Qwen/Qwen2.5-7B-Instruct, served as forge-legal:latest\n")
    assert "  lora_r: 64 -> 32\n" in said
    assert "  scripts/train.sh legal --root output/packs/legal\n" in said
    assert main(["show", "legal", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["name"], shown["tasks"]["count"], shown["serving"]["temperature"]) == ("legal", 10, 0.3)


def test_an_unknown_pack_is_told_which_there_are(capsys: Said) -> None:
    assert main(["show", "cooking"]) == 1
    assert capsys.readouterr().err.startswith("There is no pack `cooking`. There are coding, companion, ")
    assert main(["check", "cooking", "dancing"]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 2
