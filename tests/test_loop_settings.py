"""configs/loop.yml, the command line and what they ask of the rooms: all problems at once, and paths where they are."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.loop.__main__ import main
from scripts.loop.commands import Place, against_live, build, evaluate, mine, planned, train
from scripts.loop.errors import BadInput
from scripts.loop.options import asked_for, from_repository, parser, words_of
from scripts.loop.plan import Asked, Plan, make_plan
from scripts.loop.settings import Miners, Settings, load_settings
from scripts.loop.sources import write_config
from tests.conftest import ROOT
from tests.test_loop_curate import a_plan, write

KNOWN = yaml.safe_load((ROOT / "configs" / "loop.yml").read_text("utf-8"))


@pytest.fixture(autouse=True)
def in_the_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def test_the_shipped_file_is_read_and_names_every_setting() -> None:
    settings = load_settings()
    assert settings.curation.refusals and settings.strong.endpoint == ""
    import msgspec

    told = msgspec.to_builtins(settings)
    assert {name: set(value) if isinstance(value, dict) else 0 for name, value in told.items()} == {
        name: set(value) if isinstance(value, dict) else 0 for name, value in KNOWN.items()
    }


def test_an_empty_file_has_every_default(tmp_path: Path) -> None:
    (tmp_path / "loop.yml").write_text("")
    assert load_settings(tmp_path / "loop.yml") == Settings()


BAD: list[tuple[dict[str, Any], str]] = [
    ({"sharez": {}}, "sharez is not a key. Known: strong, examples"),
    ({"shares": {"generatd": 0.1}}, "shares.generatd is not a key. Known: generated, own."),
    ({"shares": {"generated": "much"}}, "shares.generated: Expected `float`"),
    ({"shares": {"generated": 1}}, "shares.generated must be in 0..1 (1 excluded), not 1.0."),
    ({"gate": {"live": -0.1}}, "gate.live must be in 0..1"),
    ({"curation": {"likeness": 0}}, "curation.likeness must be in 0..1"),
    ({"curation": {"refusals": ["("]}}, "curation.refusals: ( is no regular expression"),
    ({"curation": {"min_answer": 9, "max_answer": 3}}, "no example would be kept"),
    ({"strong": {"endpoint": "http://u:p@host/v1#big"}}, "strong.endpoint is no URL#MODEL"),
    ({"strong": {"endpoint": "http://host/v1"}}, "strong.endpoint is no URL#MODEL"),
    ({"strong": {"tries": 0}}, "strong.tries must be more than 0"),
    ({"auto": {"check_seconds": 0}}, "auto.check_seconds must be more than 0"),
    ({"examples": 3}, "examples: Expected `object`"),
]


@pytest.mark.parametrize(("value", "said"), BAD)
def test_a_wrong_setting_is_a_sentence(value: dict[str, Any], said: str, tmp_path: Path) -> None:
    (tmp_path / "loop.yml").write_text(yaml.safe_dump(value))
    with pytest.raises(BadInput) as problem:
        load_settings(tmp_path / "loop.yml")
    assert said in str(problem.value)


def test_all_problems_come_at_once(tmp_path: Path) -> None:
    (tmp_path / "loop.yml").write_text("{sharez: {}, examples: {each: many}, gateway: 3}")
    with pytest.raises(BadInput) as problem:
        load_settings(tmp_path / "loop.yml")
    assert len(str(problem.value).splitlines()) == 3


# --- plans ----------------------------------------------------------------------------------------------------------


def a_pack(folder: Path, **changes: Any) -> Path:
    pack = yaml.safe_load((ROOT / "configs" / "packs" / "legal.yml").read_text("utf-8"))
    file = folder / "legal.yml"
    file.write_text(yaml.safe_dump({**pack, **changes}), "utf-8")
    write(folder / "packs" / "legal" / "datasets" / "legal_train.jsonl", {"conversations": []})
    return file


def test_a_shipped_pack_is_found_by_its_name(tmp_path: Path) -> None:
    a_pack(tmp_path)
    plan = make_plan(Asked("legal", tmp_path), Settings())
    assert (plan.kind, plan.config) == ("pack", Path("configs/packs/legal.yml"))
    assert (plan.files, plan.questions) == (tmp_path / "packs" / "legal", Path("eval/domains/legal.jsonl"))
    assert "attorney" in plan.system.lower() or "law" in plan.system.lower()
    assert train(plan, Place(plan, "r1"))[:2] == ("scripts/train.sh", "legal")


def test_a_pack_of_ones_own_is_trained_by_its_path_and_keeps_its_tasks_beside_it(tmp_path: Path) -> None:
    write(tmp_path / "tasks.jsonl", {"id": "a"})
    pack = a_pack(tmp_path, eval={"tasks": "tasks.jsonl", "held_out": ["secret-kind"]})
    plan = make_plan(Asked("legal", tmp_path, pack, overrides=("smoke",)), Settings())
    assert plan.questions == tmp_path / "tasks.jsonl" and plan.held_out == {"secret-kind"}
    words = train(plan, Place(plan, "r1"))
    place = tmp_path / "loop" / "legal" / "r1"
    assert words == ("scripts/train.sh", str(pack), "--root", str(place), "--run", "legal-r1", "--with", "smoke")
    with pytest.raises(BadInput, match=r"is the pack legal, not unknown\. Name the file unknown\.yml"):
        make_plan(Asked("unknown", tmp_path, pack), Settings())


def test_everything_that_is_missing_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as problem:
        make_plan(Asked("nobody", tmp_path, strong="big"), Settings())
    assert len(str(problem.value).splitlines()) == 4


def test_the_command_line_is_stronger_than_the_file(tmp_path: Path) -> None:
    plan = a_plan(tmp_path, rows=1)
    asked = Asked("mayor", tmp_path, strong="http://h/v1#big", margin=0.2, samples=7)
    settings = make_plan(asked, plan.settings).settings
    assert (settings.strong.endpoint, settings.gate.margin, settings.evaluation.samples) == ("http://h/v1#big", 0.2, 7)
    import msgspec

    configured = msgspec.structs.replace(plan.settings, strong=settings.strong)
    assert make_plan(Asked("mayor", tmp_path, strong="none"), configured).settings.strong.endpoint == ""


# --- commands -------------------------------------------------------------------------------------------------------


def a_pack_plan(folder: Path, **changes: Any) -> Plan:
    return make_plan(Asked("legal", folder, a_pack(folder, **changes), base_model="tiny"), load_settings())


def told(words: tuple[str, ...]) -> str:
    return " ".join(words)


def test_a_pack_is_marked_by_the_rubric_and_compared_by_it(tmp_path: Path) -> None:
    plan = a_pack_plan(tmp_path)
    place = Place(plan, "r1")
    asked = told(evaluate(plan, place, "base", "base"))
    assert "-m eval.rubric --model base --tasks eval/domains/legal.jsonl --base-model tiny --config" in asked
    assert asked.endswith(f"--out {place.folder}/evals/base/rubric.json")
    assert "-m eval.rubric_compare" in told(against_live(plan, place, Path("live.json")))


def test_a_town_role_plays_its_scenarios_and_looks_for_leaks_in_the_newest_rows(tmp_path: Path) -> None:
    plan = a_plan(tmp_path, rows=1)
    place = Place(plan, "r1")
    asked = told(evaluate(plan, place, "base", "base"))
    assert "-m eval.role_bench --model base --role mayor --scenarios eval/prompts --samples 5" in asked
    assert f"--rows {tmp_path}/datasets " in asked and asked.endswith(f"--out {place.folder}/evals/base")
    place.datasets.mkdir(parents=True)
    assert f"--rows {place.datasets} " in told(evaluate(plan, place, "base", "base"))
    assert "-m eval.compare" in told(against_live(plan, place, Path("live")))


def test_the_miners_are_given_their_repositories(tmp_path: Path) -> None:
    import dataclasses

    import msgspec

    plan = a_plan(tmp_path, rows=1)
    settings = msgspec.structs.replace(plan.settings, miners=Miners(("~/src/a", "b"), 9))
    words = told(mine(dataclasses.replace(plan, settings=settings), tmp_path / "out.jsonl"))
    assert f"-m data.mine {Path('~/src/a').expanduser()} b --out {tmp_path}/out.jsonl --limit 9" in words


def test_the_config_of_a_round_is_that_of_the_role_with_its_examples(tmp_path: Path) -> None:
    (tmp_path / "full.md").write_text("You are the whole Mayor.")
    known = yaml.safe_load((ROOT / "configs" / "data.yml").read_text("utf-8"))
    known["roles"]["mayor"]["full_file"] = "full.md"
    config = tmp_path / "data.yml"
    config.write_text(yaml.safe_dump(known), "utf-8")
    a_plan(tmp_path, rows=20)
    plan = make_plan(Asked("mayor", tmp_path, config, sessions=tmp_path / "s"), load_settings())
    place = Place(plan, "r1")
    write(place.examples, {"input": "a", "output": "b"})
    write(place.chats)
    assert write_config(plan, place) == 0
    made = yaml.safe_load(place.config.read_text("utf-8"))
    assert made["sources"] == [*known["sources"], {"kind": "qna", "path": str(place.examples), "role": "mayor"}]
    assert made["roles"]["mayor"]["full_file"] == str(tmp_path / "full.md")
    from data.config import load_config

    assert load_config(place.config).roles["mayor"].full == "You are the whole Mayor."
    assert told(build(plan, place)).endswith(f"--out {place.datasets} --sessions {tmp_path}/s")


def test_a_dry_run_prints_every_step_and_does_nothing(tmp_path: Path) -> None:
    a_plan(tmp_path, rows=1)
    before = sorted(tmp_path.rglob("*"))
    done = subprocess.run(
        [sys.executable, "-m", "scripts.loop", "iterate", "mayor", "--root", str(tmp_path), "--dry-run"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    steps = [line.removeprefix("== ") for line in done.stdout.splitlines() if line.startswith("== ")]
    plan = a_plan(tmp_path, rows=1)
    assert steps == [name for name, _ in planned(plan, Place(plan, "r1"))]
    assert "scripts/train.sh mayor --root" in done.stdout and "deploy.registry promote mayor" in done.stdout
    assert sorted(tmp_path.rglob("*")) == before


def test_paths_mean_what_they_mean_where_they_are_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert from_repository(ROOT / "output") == Path("output")
    monkeypatch.chdir(tmp_path)
    assert from_repository(Path("output")) == tmp_path / "output"
    (tmp_path / "base").mkdir()
    words = ["iterate", "mayor", "--root", "out", "--base-model", "base", "--with", "smoke", "--with", "own.yml"]
    asked = asked_for(parser("").parse_args(words), "mayor")
    assert (asked.root, asked.base_model) == (tmp_path / "out", str(tmp_path / "base"))
    assert asked.overrides == ("smoke", str(tmp_path / "own.yml"))
    hub = asked_for(parser("").parse_args(["iterate", "mayor", "--base-model", "Qwen/Qwen2.5-7B-Instruct"]), "mayor")
    assert hub.base_model == "Qwen/Qwen2.5-7B-Instruct"


def test_auto_hands_its_process_the_same_words() -> None:
    words = ["mayor", "--root", "o", "--strong", "http://h/v1#m", "--margin", "0.0", "--samples", "3", "--with", "long"]
    options = parser("").parse_args(["auto", "start", *words])
    asked = [asked_for(options, "mayor")]
    again = parser("").parse_args(["auto", "run", *words_of(asked, options.loop)])
    assert [asked_for(again, "mayor")] == asked


def test_a_word_that_is_no_command_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["iterat", "mayor"])
    assert end.value.code == 2 and "invalid choice" in capsys.readouterr().err
