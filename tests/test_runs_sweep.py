"""A sweep: what it tries is checked before it trains, and each of its runs is judged like any other."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from configs.combine import combine
from configs.runs.start import prepare
from configs.runs.sweep import combinations, load_sweep, main, sweep_obstacles
from configs.strict_yaml import ConfigError
from tests.test_runs_outcome import run_folder, state

ROOT = Path(__file__).parent.parent
ROW = json.dumps({"conversations": [], "metadata": {"tokens": 10, "trained_tokens": 4}}) + "\n"


def sweep_file(folder: Path, **values: Any) -> Path:
    file = folder / "rates.yml"
    file.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    return file


def prepared(folder: Path, **values: Any) -> Path:
    """The folder of a sweep before it trains."""
    (folder / "rows.jsonl").write_text(ROW, encoding="utf-8")
    out = folder / "checkpoints" / "mayor-rates"
    config = {"base_model": "b", "datasets": [{"path": str(folder / "rows.jsonl")}], "output_dir": str(out)}
    recipe = folder / "mayor-rates.yml"
    recipe.write_text(yaml.safe_dump({**config, "loss_watchdog_threshold": 5.0}), encoding="utf-8")
    prepare(recipe, config, sweep_file(folder, **values))
    return out


def tried(out: Path) -> dict[str, dict[str, Any]]:
    return {run.name: json.loads((run / "start.json").read_text("utf-8"))["tried"] for run in out.glob("sweep*")}


def test_every_combination_has_a_folder_with_its_recipe(tmp_path: Path) -> None:
    out = prepared(tmp_path, learning_rate=[1e-4, 2e-4], _=[{"lora_r": 8, "lora_alpha": 16}, {"lora_r": 16}])
    values = tried(out)
    assert sorted(values) == ["sweep0001", "sweep0002", "sweep0003", "sweep0004"]
    assert len({json.dumps(value, sort_keys=True) for value in values.values()}) == 4
    start = json.loads((out / "sweep0002" / "start.json").read_text("utf-8"))
    recipe = yaml.safe_load(start["config"])
    assert recipe["output_dir"] == str(out / "sweep0002")
    assert {key: recipe[key] for key in values["sweep0002"]} == values["sweep0002"]


def test_the_order_is_that_of_axolotl(tmp_path: Path) -> None:
    """Its own command names the folders, so its own function has to number them."""
    pytest.importorskip("axolotl")
    file = sweep_file(tmp_path, learning_rate=[1, 2, 3, 4, 5])
    found = [values["learning_rate"] for values in combinations(load_sweep(file))]
    # random.Random(42) shuffles five so; Axolotl seeds with 42.
    assert found == [4, 2, 3, 5, 1]


def test_the_same_sweep_resumes_and_another_one_does_not(tmp_path: Path) -> None:
    out = prepared(tmp_path, learning_rate=[1e-4, 2e-4])
    broken = out / "sweep0001" / "checkpoint-5"
    broken.mkdir()
    assert prepared(tmp_path, learning_rate=[1e-4, 2e-4]) == out
    assert not broken.exists() and not out.with_name("mayor-rates.old1").exists()
    prepared(tmp_path, learning_rate=[1e-4, 3e-4])
    assert out.with_name("mayor-rates.old1").is_dir()
    assert {value["learning_rate"] for value in tried(out).values()} == {1e-4, 3e-4}


def test_the_best_comes_first_and_a_failure_is_exit_code_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = prepared(tmp_path, lora_r=[8, 16, 32])
    for name, eval_loss in (("sweep0001", 1.4), ("sweep0002", 1.2)):
        history = {**state(), "log_history": [*state()["log_history"][:-1], {"eval_loss": eval_loss, "step": 20}]}
        run_folder(out / name, history)
    run_folder(out / "sweep0003", state(steps=4, losses=[3.0, 7.0, 8.0, 9.0]))
    assert main([str(out)]) == 1
    said = capsys.readouterr()
    head, first, second, third, advice = said.out.splitlines()
    assert " ".join(head.split()) == "run lora_r steps loss best eval loss ended"
    assert first.startswith("sweep0002") and "1.2000 at step 20" in first
    assert second.startswith("sweep0001") and third.startswith("sweep0003") and "watchdog stop" in third
    rank = tried(out)["sweep0002"]["lora_r"]
    assert advice == f"best: sweep0002. To train so, put this into an override: {{lora_r: {rank}}}"
    assert said.err == f"1 of 3 runs failed: sweep0003. See {out / 'sweep0003' / 'debug.log'}.\n"
    run_folder(out / "sweep0003", state())
    assert main([str(out)]) == 0


def test_a_single_run_is_no_sweep(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = prepared(tmp_path, lora_r=[8])
    assert main([str(out / "sweep0001")]) == 1
    assert "a single run, not a sweep" in capsys.readouterr().err


def test_values_that_axolotl_would_drop_or_refuse_are_told_before_it_trains(tmp_path: Path) -> None:
    file = sweep_file(tmp_path, lora_rr=[8, 16], micro_batch_size=["many"], output_dir=["x"], _=[{"lora_alpa": 3}])
    found = list(sweep_obstacles(file, combine("mayor", ["smoke"])))
    assert found[0].endswith("`output_dir` follows from the run's name. Remove it from the sweep.")
    assert any(f"{file}:1: Axolotl knows no key `lora_rr`; did you mean `lora_r`?" in problem for problem in found)
    assert any("`micro_batch_size: 'many'` is not what Axolotl takes" in problem for problem in found)
    assert any("Axolotl knows no key `lora_alpa`; did you mean `lora_alpha`?" in problem for problem in found)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("learning_rate: 0.1\n", "`learning_rate` needs a list of values, such as [0.1, ...]."),
        ("learning_rate: []\n", "`learning_rate` needs a list of values"),
        ("_: [1, 2]\n", "`_` needs a list of mappings, each a set of values to try together."),
        ("{}\n", "nothing to try. Write a key with a list"),
    ],
)
def test_a_file_of_another_shape_is_no_sweep(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "rates.yml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r".*") as stopped:
        load_sweep(tmp_path / "rates.yml")
    assert sentence in str(stopped.value)


def sweep(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(ROOT / "scripts" / "sweep.sh"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_dry_run_prints_the_four_steps_and_does_none(tmp_path: Path) -> None:
    file = sweep_file(tmp_path, lora_r=[8])
    root = tmp_path / "out"
    said = sweep("mayor", str(file), "--with", "smoke", "--root", str(root), "--dry-run").stdout.splitlines()
    assert [line.partition(" -m ")[2] for line in said if " -m " in line] == [
        f"configs.resolve mayor --root {root} --run mayor-rates --with smoke",
        f"configs.runs.start {root}/configs/mayor-rates.yml --sweep {file}",
        f"configs.runs.sweep {root}/checkpoints/mayor-rates",
    ]
    assert f"axolotl train {root}/configs/mayor-rates.yml --sweep {file} --launcher accelerate" in said
    assert not root.exists()


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("mayor",), 2, "Try several values"),
        (("mayor", "none.yml"), 1, "sweep: none.yml: no such file."),
        (("mayor", "a.yml", "b.yml"), 2, "sweep: one role and one file: got b.yml as well"),
        (("mayor", "a.yml", "--fast"), 2, "sweep: there is no option --fast."),
        (("mayor", "a.yml", "--run"), 2, "sweep: --run needs a name"),
    ],
)
def test_a_wrong_call_is_one_sentence(arguments: tuple[str, ...], code: int, sentence: str) -> None:
    answer = sweep(*arguments)
    assert answer.returncode == code
    assert answer.stderr.startswith(sentence)


def test_the_script_is_shellcheck_clean() -> None:
    shellcheck = ROOT / ".venv" / "bin" / "shellcheck"
    command = [str(shellcheck) if shellcheck.exists() else "shellcheck", str(ROOT / "scripts" / "sweep.sh")]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout
