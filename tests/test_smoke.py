"""The walkthrough: its steps in order, its configuration of the pipeline, and, slowly, all of it."""

import json
import re
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from configs.combine import combine, merge
from configs.files import CONFIGS
from configs.rules import problems_of
from configs.strict_yaml import load_mapping
from data.config import load_config
from deploy.registry import Registry
from eval.episode import gold_answers, rehearse
from eval.scenario import instance, load_scenarios
from eval.score import score_run
from eval.statistics import MIN_CLUSTERS
from scripts.smoke_data import main, walkthrough

ROOT = Path(__file__).parent.parent
SMOKE = ROOT / "scripts" / "smoke.sh"
SECOND = ROOT / "scripts" / "release_second.yml"
RELEASE = ROOT / "scripts" / "release_smoke.sh"
PACKS = ROOT / "scripts" / "packs_smoke.sh"
PHASES = [str(ROOT / "scripts/phases.sh"), "--roles", "refinery", "--root", "output/smoke", "--with", "smoke"]
PLAYED = ["--config", "output/smoke/data.yml", "--scenarios", "scripts/smoke_scenarios", *("--max-new-tokens", "2048")]


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
        "eval.compare",
    )
    places = [said.index(step) for step in steps]
    assert places == sorted(places)


def test_everything_that_the_walkthrough_writes_lies_in_one_folder() -> None:
    words = smoke("--dry-run").stdout.split()
    outputs = [after for before, after in pairwise(words) if before in ("--out", "--root")]
    assert len(outputs) == 9
    assert "--html output/smoke/evals/report.html" in " ".join(words)
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


def test_the_scenarios_of_the_walkthrough_are_right_and_enough_for_a_claim() -> None:
    file = load_scenarios("refinery", ROOT / "scripts/smoke_scenarios")
    assert len({scenario.family for scenario in file.scenarios}) > MIN_CLUSTERS
    for scenario in file.scenarios:
        for sample in range(3):
            drawn, _ = instance(scenario, sample, 0)
            assert score_run(drawn, rehearse(drawn, gold_answers(drawn)), file.tools).passed, scenario.id
            assert not score_run(drawn, rehearse(drawn, []), file.tools).passed or scenario.family == "quiet"


@pytest.fixture(scope="module")
def smoked() -> str:
    """What the whole loop printed, once for the tests of this file."""
    pytest.importorskip("axolotl")
    ran = subprocess.run([str(SMOKE)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-3000:]
    return ran.stdout


@pytest.mark.slow
def test_the_whole_loop_trains_an_adapter_that_knows_its_role(smoked: str) -> None:
    run = json.loads((ROOT / "output/smoke/adapters/refinery/run.json").read_text(encoding="utf-8"))
    assert run["outcome"]["steps"] == run["outcome"]["max_steps"]
    assert run["outcome"]["last_loss"] < run["outcome"]["first_loss"] / 5
    base, adapter = (
        json.loads((ROOT / f"output/smoke/evals/refinery/{name}/results.json").read_text(encoding="utf-8"))
        for name in ("base", "adapter")
    )
    assert base["summary"]["refinery"]["passed"] <= 0.1
    assert adapter["summary"]["refinery"]["passed"] >= 0.6
    assert "PASSED (exit code 0)" in smoked  # without a margin: the interval excludes 0
    assert (ROOT / "output/smoke/evals/report.html").is_file()


@pytest.mark.slow
def test_one_adapter_for_all_roles_is_measured_beside_the_roles_own(smoked: str) -> None:
    """`make phases` on what the walkthrough left: it trains the all-roles adapter, and only that."""
    own = ROOT / "output/smoke/adapters/refinery/run.json"
    before = own.read_bytes()
    ran = subprocess.run(
        [*PHASES, "--", *PLAYED, "--batch-size", "4"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-3000:]
    assert own.read_bytes() == before and ran.stdout.count("trained already") == 1
    assert "base plays" not in ran.stderr and "gastown plays" in ran.stderr
    table = json.loads((ROOT / "output/smoke/evals/phases/table.json").read_text(encoding="utf-8"))
    rates = {side: rate["passed"] for side, rate in table["roles"]["refinery"]["rates"].items()}
    found = table["roles"]["refinery"]["differences"]
    assert rates["base"] <= 0.1 and rates["own role"] >= 0.6
    assert found["own-role-base"]["verdict"] == "better"
    assert found["own-role-all-roles"]["value"] == pytest.approx(rates["own role"] - rates["all roles"])
    for one in found.values():
        low, high = one["interval"]
        assert low <= one["value"] <= high
        assert one["verdict"] == "cannot tell" or not low <= 0 <= high
    assert table["roles"]["refinery"]["sentence"] in " ".join(ran.stdout.split())


@pytest.mark.slow
def test_the_adapter_is_released_served_changed_under_load_and_fetched_from_a_hub(
    smoked: str, llama_server: Path
) -> None:
    """`make release-smoke` on what the walkthrough left."""
    ran = subprocess.run([str(RELEASE)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-3000:]
    said = ran.stdout
    assert "refinery@v1: passed" in said and "refinery@v1 is live" in said and "refinery@v2: passed" in said
    assert len(re.findall(r"[0-9]+ of [0-9]+ tokens of [0-9]+ answers are those of the source", said)) == 2
    for version in (1, 2):
        assert "1 Q4_K" in (ROOT / f"output/smoke/gguf-v{version}.log").read_text("utf-8")
    assert re.search(r"[0-9]+ answers under load: [0-9]+ by refinery@v1, [0-9]+ by refinery@v2, 0 failed", said)
    assert "adapter_model.safetensors came back as it went" in said


@pytest.mark.slow
def test_a_companion_goes_from_a_vault_to_a_round_that_promotes_and_one_that_the_gate_refuses(
    smoked: str, llama_server: Path
) -> None:
    ran = subprocess.run([str(PACKS)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-3000:]
    root = ROOT / "output/packs-smoke"
    assert "companion@v1: passed" in ran.stdout and "2 rejected by a curator" in ran.stdout
    assert re.search(r"the stronger model: scripted .*\n. You keep the seal by the last orchard", ran.stdout)
    (role,) = Registry.open(root).roles()
    assert (role.role, role.live, role.previous) == ("companion", 2, 1)
    first, second = (json.loads((root / f"loop/companion/r{n}/state.json").read_text("utf-8")) for n in (1, 2))
    assert (first["outcome"], second["outcome"]) == ("promoted", "refused")
    assert "v2" in " ".join(second["reasons"]), "the second is held against what the first made live"


def test_the_second_version_is_a_recipe_like_any_other() -> None:
    recipe = combine("refinery", ["smoke", str(SECOND)], run="refinery-half")
    assert recipe["max_steps"] == 150
    assert problems_of(recipe, [SECOND]) == []


def test_the_release_comes_in_the_order_in_which_its_steps_need_each_other() -> None:
    said = subprocess.run([str(RELEASE), "--dry-run"], capture_output=True, text=True, check=True).stdout
    steps = ("deploy.engine", "register", "evaluate refinery 1", "gguf refinery 1", "promote refinery 1")
    steps += ("--run refinery-half", "register", "evaluate refinery 2", "gguf refinery 2", "release_steps serve", "hub")
    at = 0
    for step in steps:
        at = said.index(step, at)
