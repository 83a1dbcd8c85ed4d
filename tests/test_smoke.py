"""The walkthrough: its steps in order, its configuration of the pipeline, and, slowly, all of it."""

import json
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from configs.combine import combine, merge
from configs.files import CONFIGS
from configs.strict_yaml import load_mapping
from data.config import load_config
from scripts.smoke_data import main, walkthrough
from scripts.smoke_gain import main as gain

ROOT = Path(__file__).parent.parent
SMOKE = ROOT / "scripts" / "smoke.sh"


def smoke(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(SMOKE), *arguments], capture_output=True, text=True, check=False)


def test_the_steps_come_in_the_order_in_which_they_need_each_other() -> None:
    said = smoke("--dry-run").stdout
    steps = (
        "data.sample",
        "scripts.smoke_data --out output/smoke/general.yml",
        "--config output/smoke/general.yml",
        "scripts.tiny_base",
        "scripts.smoke_data --base",
        "--config output/smoke/data.yml",
        "scripts/train.sh refinery --with smoke",
        "--model base",
        "--model output/smoke/adapters/refinery",
        "scripts.smoke_gain",
    )
    places = [said.index(step) for step in steps]
    assert places == sorted(places)


def test_everything_that_the_walkthrough_writes_lies_in_one_folder() -> None:
    words = smoke("--dry-run").stdout.split()
    outputs = [after for before, after in pairwise(words) if before in ("--out", "--root")]
    assert len(outputs) == 9
    assert all(path.startswith("output/smoke") for path in outputs)


def test_the_pipeline_takes_the_configuration_of_the_walkthrough(tmp_path: Path) -> None:
    out = tmp_path / "data.yml"
    assert main(["--base", str(tmp_path / "base"), "--out", str(out)]) == 0
    config = load_config(out)
    assert config.base_model == str(tmp_path / "base")
    assert config.windows.max_tokens <= combine("refinery", ["smoke"])["sequence_len"]
    real = load_mapping(CONFIGS / "data.yml")
    changed = load_mapping(out)
    assert {key for key in real if real[key] != changed[key]} == {"base_model", "windows"}


def test_the_general_text_is_that_of_a_real_run(tmp_path: Path) -> None:
    assert main(["--out", str(tmp_path / "data.yml")]) == 0
    assert load_mapping(tmp_path / "data.yml") == load_mapping(CONFIGS / "data.yml")


@pytest.mark.parametrize("base", [None, Path("output/smoke/base")])
def test_the_walkthrough_reads_tagged_text_and_compact_prompts_whatever_a_user_chose(
    tmp_path: Path, base: Path | None
) -> None:
    chosen = {"tool_format": "native", "prompts": {"full": 0.5, "compact": 0.5}}
    data = merge(load_mapping(CONFIGS / "data.yml"), {**chosen, "roles": {"mayor": {"full_file": "prompts/mayor.md"}}})
    (tmp_path / "data.yml").write_text(yaml.safe_dump(walkthrough(data, base)), encoding="utf-8")
    config = load_config(tmp_path / "data.yml")
    assert (config.tool_format, config.prompts.full, config.roles["mayor"].full_file) == ("xml", 0.0, "")
    assert config.roles["mayor"].system == data["roles"]["mayor"]["system"]


def test_a_wrong_option_is_one_sentence() -> None:
    answer = smoke("--fast")
    assert answer.returncode == 2
    assert answer.stderr == "smoke: there is no option --fast; see --help\n"


def results(folder: Path, name: str, passed: int) -> str:
    file = folder / f"{name}.json"
    file.write_text(json.dumps({"results": [{"passed": number < passed} for number in range(10)]}), encoding="utf-8")
    return str(file)


@pytest.mark.parametrize(("before", "after", "code"), [(0, 8, 0), (1, 6, 0), (1, 5, 1), (8, 8, 1), (8, 0, 1)])
def test_a_small_gain_fails_the_walkthrough(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], before: int, after: int, code: int
) -> None:
    assert gain([results(tmp_path, "base", before), results(tmp_path, "adapter", after)]) == code
    assert f"The base passed {before} of 10 scenarios, the adapter {after}." in capsys.readouterr().out


def test_a_file_that_holds_no_results_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "none.json").write_text("[]", encoding="utf-8")
    assert gain([str(tmp_path / "none.json")] * 2) == 1
    assert capsys.readouterr().err.startswith("smoke: not two results of eval.role_bench: ")


@pytest.mark.slow
def test_the_whole_loop_trains_an_adapter_that_knows_its_role() -> None:
    pytest.importorskip("axolotl")
    ran = subprocess.run([str(SMOKE)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-3000:]
    run = json.loads((ROOT / "output/smoke/adapters/refinery/run.json").read_text(encoding="utf-8"))
    assert run["outcome"]["steps"] == run["outcome"]["max_steps"]
    assert run["outcome"]["last_loss"] < run["outcome"]["first_loss"] / 5
    scores = [
        json.loads((ROOT / f"output/smoke/evals/{name}.json").read_text(encoding="utf-8"))
        for name in ("base", "refinery")
    ]
    assert scores[0]["summary"]["refinery"]["passed"] <= 0.2
    assert scores[1]["summary"]["refinery"]["passed"] >= 0.7
