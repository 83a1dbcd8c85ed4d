"""The parts of `make packs-smoke`: the order of its steps, and what its invented life holds. test_smoke.py runs it."""

import json
import subprocess
import sys
from pathlib import Path

import httpx
import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from configs.strict_yaml import load_mapping
from data.config import load_config
from eval.domain_tasks import Task, load_tasks
from scripts.loop.generate import parse, request
from scripts.loop.settings import load_settings
from scripts.packs_smoke.__main__ import main
from scripts.packs_smoke.beside import main as beside
from scripts.packs_smoke.decide import ADDED, decisions
from scripts.packs_smoke.teacher import answer, known, teacher
from scripts.packs_smoke.world import ASKED, HELD_OUT, KINDS, OTHER, ROWS, UNKNOWN_AT_FIRST, facts, swapped, task

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / "scripts" / "packs_smoke.sh"


def test_the_steps_come_in_the_order_in_which_they_need_each_other() -> None:
    said = subprocess.run([str(SCRIPT), "--dry-run"], capture_output=True, text=True, check=True).stdout
    steps = ("data.sample.vault", "scripts.packs_smoke --root", "data.pipeline all", "scripts.packs_smoke.decide")
    steps += ("data.curate", "data.pipeline all", "scripts/train.sh", "eval.rubric ", "eval.rubric_compare")
    steps += ("eval.verbatim", "register", "evaluate companion 1", "deploy.gguf companion 1", "promote companion 1")
    steps += ("eval.people.compare", "scripts.loop iterate", "--teacher wrong --expect 3", "list")
    at = 0
    for step in steps:
        at = said.index(step, at) + 1


def test_a_wrong_option_is_one_sentence() -> None:
    said = subprocess.run([str(SCRIPT), "--fast"], capture_output=True, text=True, check=False)
    assert (said.returncode, said.stderr) == (2, "packs-smoke: there is no option --fast; see --help\n")


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the walkthrough begins with."""
    root = tmp_path_factory.mktemp("packs-smoke")
    assert main(["--root", str(root), "--base", str(root / "base")]) == 0
    return root


def test_every_configuration_is_one_that_its_room_takes(begun: Path) -> None:
    config = load_config(begun / "companion.yml")
    assert config.overlap.prompts == str(begun / "tasks") and config.curation.decisions == str(begun / "curation.db")
    settings = load_settings(begun / "loop.yml")
    assert settings.gateway == f"http://127.0.0.1:{load_mapping(begun / 'serve.yml')['port']}"


def test_the_tasks_are_tasks_and_their_own_answers_are_right(begun: Path) -> None:
    file = load_tasks(begun / "tasks" / "companion.jsonl")
    assert {one.family for one in file.tasks if one.held_out} == set(HELD_OUT)
    for one, fact in zip(file.tasks, facts(), strict=True):
        assert one == msgspec.convert(task(fact), Task)
        assert one.gold_answer == fact.answer and fact.place in one.gold_answer


def test_what_is_asked_in_evaluation_stands_in_no_row(begun: Path) -> None:
    rows = [json.loads(line) for line in (begun / "qna.jsonl").read_text("utf-8").splitlines()]
    learned = {row["metadata"]["kind"] for row in rows}
    assert learned == set(KINDS) - set(UNKNOWN_AT_FIRST)
    assert len(rows) == 2 * len(learned) * len(ROWS)
    assert {ASKED}.isdisjoint((*ROWS, *OTHER)) and not set(ROWS) & set(OTHER)


def test_places_and_things_are_told_apart() -> None:
    assert len({fact.place for fact in facts()}) == len({fact.thing for fact in facts()}) == len(facts())


@given(st.sampled_from(sorted(KINDS)))
def test_a_wrong_teacher_is_wrong_about_everything_of_a_kind(kind: str) -> None:
    right, wrong = facts((kind,)), swapped(facts((kind,)))
    assert [fact.thing for fact in right] == [fact.thing for fact in wrong]
    assert all(first.place != second.place for first, second in zip(right, wrong, strict=True))


@given(st.sampled_from(sorted(KINDS)), st.sampled_from(["right", "wrong"]))
def test_what_the_loop_asks_for_is_what_the_teacher_answers(kind: str, knows: str) -> None:
    asked = request("You are a companion.", kind, (), frozenset(), 15)[-1]["content"]
    examples = list(parse(answer(asked, knows), kind, "scripted", frozenset()))
    places = {fact.answer for fact in known((kind,), knows)}
    assert {example.output for example in examples} == places and len(examples) == 2 * len(ROWS)


@pytest.mark.parametrize("stream", [False, True])
def test_the_teacher_answers_as_a_server_does(stream: bool) -> None:
    with teacher("right") as address:
        url, _, model = address.partition("#")
        body = {"model": model, "stream": stream, "messages": [{"role": "user", "content": "Where is the seal?"}]}
        said = httpx.post(f"{url}/chat/completions", json=body, trust_env=False).text
    assert "You keep the seal by the last orchard." in said and ("[DONE]" in said) == stream


@pytest.mark.parametrize(("code", "expected", "ends"), [(0, 0, 0), (3, 3, 0), (3, 0, 1), (0, 3, 1)])
def test_a_command_beside_others_must_end_as_it_should(code: int, expected: int, ends: int) -> None:
    command = [sys.executable, "-c", f"import sys; sys.exit({code} if sys.argv[1].startswith('http') else 9)", "STRONG"]
    assert beside(["--teacher", "right", "--expect", str(expected), "--", *command]) == ends


def test_two_rows_are_rejected_one_is_edited_and_one_approved() -> None:
    row = {"conversations": [{"value": "system"}, {"value": "asked"}, {"value": "told."}]}
    made = list(decisions([row | {"metadata": {"id": str(number)}} for number in range(6)]))
    assert [one["action"] for one in made] == ["reject", "reject", "edit", "approve"]
    assert made[2]["texts"] == {"2": f"told.{ADDED}"}


def test_the_recipe_learns_each_row_as_often_however_many_there_are() -> None:
    recipe = yaml.safe_load((ROOT / "scripts/packs_smoke/recipe.yml").read_text("utf-8"))
    assert recipe["max_steps"] is None and recipe["num_epochs"] > 0
