"""Which families get examples: the weakest, and never one that is held out, whose words reach no request and no row."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.scenario import ROLES
from scripts.loop.gather import ask_strong
from scripts.loop.kinds import Pair, nearness, of_kind, pairs_of, strings, terms_of, tools_in
from scripts.loop.plan import Asked, Plan, make_plan
from scripts.loop.results import Family, families, held_out, questions_of, same_question, weakest
from scripts.loop.seen import Evaluation, words
from scripts.loop.settings import Settings, Strong
from tests.chat_server import chat_server, says
from tests.dataset_rows import turn
from tests.eval_results import contaminated, make_episode, make_run

names = st.sampled_from(["merge", "conflict", "red", "quiet", "handoff", "report"])
found_ones = st.lists(
    st.builds(Family, names, st.floats(0, 1), st.integers(1, 9)), unique_by=lambda family: family.name
)


@given(found_ones, st.frozensets(names), st.integers(1, 4))
def test_the_weakest_are_open_imperfect_and_no_other_open_one_is_weaker(
    found: list[Family], hidden: frozenset[str], count: int
) -> None:
    chosen = weakest(found, hidden, count)
    left = [one for one in found if one.name not in hidden and one.score < 1 and one not in chosen]
    assert len(chosen) <= count
    assert not {one.name for one in chosen} & hidden and all(one.score < 1 for one in chosen)
    assert list(chosen) == sorted(chosen, key=lambda one: (one.score, one.name))
    assert not left or (len(chosen) == count and chosen[-1].score <= min(one.score for one in left))


@given(st.permutations(range(4)))
def test_the_order_of_a_run_decides_nothing(order: list[int]) -> None:
    episodes = [make_episode(f"mayor-{family}-1", passed=family == "mail") for family in ("mail", "file", "ask", "red")]
    run = as_json(make_run([episodes[place] for place in order]))
    assert [one.name for one in weakest(families(run, "mayor"), frozenset(), 9)] == ["ask", "file", "red"]


def test_a_family_scores_as_its_scenarios_do_whatever_the_number_of_samples() -> None:
    episodes = [make_episode("mayor-mail-1", sample, passed=sample < 1) for sample in range(4)]
    run = as_json(make_run([*episodes, make_episode("mayor-mail-2", passed=True)]))
    assert families(run, "mayor") == (Family("mail", (0.25 + 1) / 2, 2),)


def test_other_roles_and_what_stands_in_the_training_rows_do_not_count() -> None:
    episodes = [make_episode("mayor-mail-1", passed=False), make_episode("crew-mail-1", passed=False)]
    run = as_json(make_run([*episodes, make_episode("mayor-file-1")], contaminated=contaminated("mayor-mail-1")))
    assert families(run, "mayor") == (Family("file", 1.0, 1),)


def test_tasks_of_the_rubric_go_by_family_and_without_one_by_category() -> None:
    results = [
        {"id": "a", "category": "keys", "family": "where", "total": 0.5},
        {"id": "b", "category": "keys", "family": None, "total": 0.25},
    ]
    assert families({"kind": "rubric", "results": results}, "companion") == (
        Family("keys", 0.25, 1),
        Family("where", 0.5, 1),
    )


@pytest.mark.parametrize("name", ["scenarios", "systems", "settings", "facts", "versions"])
def test_results_of_another_question_are_not_compared(name: str) -> None:
    run = as_json(make_run([make_episode()]))
    other = {**run, name: {**run[name], next(iter(run[name])): "other"}}
    assert same_question(run, run) and not same_question(run, other)
    assert same_question(run, {**run, "settings": {**run["settings"], "batch_size": 1}})


# --- held out -------------------------------------------------------------------------------------------------------


def as_json(run: Any) -> dict[str, Any]:
    import msgspec

    value: dict[str, Any] = msgspec.to_builtins(run)
    return {"kind": "role_bench", **value}


def plan_of(role: str, folder: Path, **strong: Any) -> Plan:
    """A role with its shipped scenarios, and rows that say what every scenario says: the worst case."""
    datasets = folder / "datasets"
    datasets.mkdir(parents=True, exist_ok=True)
    own = ("Merge the branch.", "The queue is quiet, escalate.", "File a bead.", "Is the convoy stuck?", "Test it.")
    said = [(text, f"{text} Done as it was asked.") for text in own] + [(text, text) for text in said_by(role)]
    rows = ({"conversations": [turn("human", asked), turn("gpt", told, train=True)]} for asked, told in said)
    (datasets / f"{role}_train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    plan = make_plan(Asked(role, folder, Path("configs/data.yml")), Settings(strong=Strong(**strong)))
    assert plan.kind == "town"
    return plan


def said_by(role: str, hidden: bool | None = None) -> Iterator[str]:
    """What the scenarios of a role say; of held-out ones alone, or of the others alone."""
    for line in (Path("eval/prompts") / f"{role}.jsonl").read_text("utf-8").splitlines():
        one = json.loads(line)
        if hidden is None or hidden == bool(one.get("held_out")):
            yield from strings(one)


@pytest.mark.parametrize("role", ROLES)
def test_nothing_that_is_held_out_reaches_a_request(role: str, tmp_path: Path) -> None:
    def answer(_: Any) -> Any:
        return says(json.dumps([{"input": f"What now, {len(seen)}?", "output": "We wait until the bell rings."}]))

    with chat_server(answer) as (address, seen):
        plan = plan_of(role, tmp_path, endpoint=address, tries=1)
        hidden = held_out({"episodes": []}, plan)
        assert hidden, "every role has held-out families"
        open_ones = sorted({one["family"] for one in questions_of(plan)} - hidden)
        found, _, down = ask_strong(plan, open_ones)
    assert found and not down and seen
    shown, secret = 0, [one for one in questions_of(plan) if one.get("held_out")]
    for request in seen:
        told = words(json.dumps(request, ensure_ascii=False).replace("\\n", " "))
        shown += "these are examples of that kind" in told
        for text in said_by(role, hidden=True):
            asked = words(text).split()
            runs = [" ".join(asked[at : at + 13]) for at in range(len(asked) - 12)]
            assert not [run for run in runs if run in told], "13 words of a held-out scenario"
        questions = [words(m["content"]) for one in secret for m in one["messages"] if m["role"] == "user"]
        assert not [text for text in questions if len(text.split()) >= 5 and text in told], "a held-out question"
        assert not {name for name in hidden if f"kind of work {words(name)} " in told}
    assert shown, "no request showed a row"


@pytest.mark.parametrize("role", ROLES)
def test_an_example_that_says_what_a_scenario_says_is_told_by_its_words(role: str, tmp_path: Path) -> None:
    evaluation = Evaluation(plan_of(role, tmp_path))
    for one in questions_of(plan_of(role, tmp_path)):
        asked = [message["content"] for message in one["messages"] if message["role"] == "user"]
        drawn = asked[-1].replace("{{", "x").replace("}}", "7")
        assert evaluation.asks(drawn) or evaluation.shares_words(drawn), drawn
    assert not evaluation.asks("How do I grow tomatoes on a balcony?")
    assert not evaluation.shares_words("Water them in the evening, and give them something to hold on to.")


def test_a_family_is_held_out_by_the_run_by_the_file_and_by_the_pack(tmp_path: Path) -> None:
    plan = plan_of("refinery", tmp_path)
    run = as_json(make_run([make_episode("refinery-old-1", held_out=True), make_episode("refinery-merge-1")]))
    named = held_out(run, plan)
    assert {"old", "red"} <= named and "merge" not in named


# --- rows of a kind -------------------------------------------------------------------------------------------------

ASKED = [
    {"family": "garden", "messages": [{"role": "user", "content": "Where is the trowel in the garden bed?"}]},
    {"family": "kitchen", "messages": [{"role": "user", "content": "Where is the kettle in the kitchen?"}]},
    {"family": "garden", "held_out": True, "messages": [{"role": "user", "content": "Prune the wisteria."}]},
]


def test_the_rows_of_a_kind_are_those_with_its_words_and_no_question_is_shown_twice() -> None:
    rows = [
        Pair("The kettle boils in the kitchen.", "Good."),
        Pair("I dug with the trowel.", "In the garden bed?"),
        Pair("I dug with the trowel.", "In the garden."),
        Pair("Nothing of it.", "At all."),
    ]
    near = [pair.question for pair in of_kind(rows, terms_of("garden", ASKED))]
    assert near[0] == "I dug with the trowel." and len(set(near)) == len(near)
    assert "Nothing of it." not in near


def test_words_of_held_out_questions_mark_no_kind() -> None:
    assert "wisteria" not in terms_of("garden", ASKED) and "trowel" in terms_of("garden", ASKED)


@given(st.text(alphabet="trowel garden bed", min_size=1, max_size=60))
def test_saying_a_thing_twice_brings_no_row_nearer(text: str) -> None:
    terms = terms_of("garden", ASKED)
    assert nearness(f"{text} {text}", terms) == nearness(text, terms) or text[-1] != " "


CALLED = {"name": "Read", "arguments": {}}


def test_both_forms_of_rows_give_their_trained_answers_and_their_tools(tmp_path: Path) -> None:
    call = '<tool_call>\n{"name": "Bash", "arguments": {"command": "ls"}}\n</tool_call>'
    said = [turn("human", "Look."), turn("gpt", call, train=True), turn("human", "x"), turn("gpt", "y")]
    told = [
        {"role": "user", "content": "Read."},
        {"role": "assistant", "content": "", "train": True, "tool_calls": [{"function": CALLED}]},
    ]
    file = tmp_path / "rows.jsonl"
    rows = ({"conversations": said}, {"messages": json.dumps(told)})
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    assert [pair.question for pair in pairs_of(file)] == ["Look.", "Read."]
    assert tools_in(pairs_of(file)) == {"Bash", "Read"}
