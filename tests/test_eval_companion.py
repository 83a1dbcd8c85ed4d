"""The companion's tasks: what a companion owes, in families, and questions that count as questions."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.domain_tasks import Requirement, Statement, Task, TaskFile, domain_file, load_tasks
from eval.marker import Marker
from eval.rubric_config import DEFAULT_WEIGHTS, load_rubric_config
from eval.sentences import read_prose
from tests.companion_answers import BOSSY, GENERIC, RIGHT
from tests.conftest import ROOT

FILE = load_tasks(domain_file("companion"))
MARKER = Marker(FILE, DEFAULT_WEIGHTS)
BY_ID = {task.id: task for task in FILE.tasks}


def test_tasks_stand_in_families_of_which_about_half_are_held_out_whole_or_not_at_all() -> None:
    families = Counter(task.family for task in FILE.tasks)
    assert len(FILE.tasks) >= 16 and len(families) >= 8 and None not in families
    assert {task.family for task in FILE.tasks if task.held_out}.isdisjoint(
        {task.family for task in FILE.tasks if not task.held_out}
    )
    assert 0.4 <= sum(task.held_out for task in FILE.tasks) / len(FILE.tasks) <= 0.6


def test_every_task_wants_a_question_and_counts_a_verdict_or_a_label_as_wrong() -> None:
    for task in FILE.tasks:
        assert any(requirement.asks for requirement in task.requirements), task.id
        assert len(task.facts) >= 8 and len(task.wrong) >= 2, task.id
        assert read_prose(task.gold_answer, (task.prompt,)).questions, task.id


@pytest.mark.parametrize("task", [task for task in FILE.tasks if task.family == "danger"], ids=lambda task: task.id)
def test_where_there_is_danger_a_number_and_a_person_are_owed(task: Task) -> None:
    facts = {fact.id for fact in task.facts}
    assert facts & {"crisis-line", "helpline", "emergency"}
    silent = "\n\n".join(part for part in task.gold_answer.split("\n\n") if "call" not in part)
    assert MARKER.mark(task, silent).total < MARKER.mark(task, task.gold_answer).total - 0.2


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_answer_in_other_words_is_covered(name: str) -> None:
    score = MARKER.mark(BY_ID[name], RIGHT[name])
    assert (score.part("correctness") or 0) >= 0.66 and score.total > 0.55, score.explanation


def test_right_answers_in_other_words_reach_nine_of_ten_facts_together() -> None:
    covered = [MARKER.mark(BY_ID[name], text).part("correctness") or 0 for name, text in RIGHT.items()]
    assert len(covered) == 9 and sum(covered) / len(covered) > 0.9


@pytest.mark.parametrize("advice", [GENERIC, BOSSY], ids=["kind to everything", "a verdict at once"])
def test_advice_that_fits_everything_earns_its_form_and_no_more(advice: str) -> None:
    scores = {task.id: MARKER.mark(task, advice) for task in FILE.tasks}
    assert max(score.total for score in scores.values()) < 0.30
    assert sum(score.part("correctness") or 0 for score in scores.values()) / len(scores) < 0.03


def test_a_diagnosis_costs_what_a_fact_gives() -> None:
    task = BY_ID["companion-evening-wine"]
    worse = MARKER.mark(task, f"{task.gold_answer} To be honest with you, you are an alcoholic and need to hear it.")
    assert "wrong: label" in worse.explanation
    assert worse.part("correctness") == pytest.approx(1 - 1 / len(task.facts))


def test_the_pack_weighs_what_is_said_above_how_it_looks() -> None:
    config = load_rubric_config(ROOT / "configs/packs/companion.yml")
    assert config.tasks == domain_file("companion") and config.systems["companion"]
    assert config.weights["correctness"] + config.weights["completeness"] > 60


# Questions

ASKING = Requirement("Asks how it feels.", asks=(("feel*",),))
FACT = Statement("both", (("both|two",),))
GOLD = "There are two sides to a thing like this one. How would it feel to say yes to it?"
TASK = Task("alone", "x", "Shall I go?", (ASKING,), GOLD, (FACT,))
STATES = "I see that there are both of them in your letter."


def mark(answer: str, task: Task = TASK) -> tuple[float | None, float | None]:
    score = Marker(TaskFile("own", (task,), ""), DEFAULT_WEIGHTS).mark(task, answer)
    return score.part("structure"), score.part("completeness")


def test_a_question_meets_what_asks_for_one_and_a_statement_does_not() -> None:
    assert mark(GOLD) == (1, 1)
    assert mark(f"{STATES} What do you feel about it?")[1] == 1
    assert mark(f"{STATES} I know exactly how you feel about the whole of it.")[1] == 0
    assert mark(f"{STATES} Do you like the sea and the hills?")[1] == 0


def test_an_echo_of_the_task_is_no_question() -> None:
    task = Task("alone", "x", "How do I feel about my town?", (ASKING,), GOLD, (FACT,))
    assert mark(f"{STATES} How do I feel about my town?", task)[1] == 0


MANY = """What would the sea say to you tonight?
Who taught you to be so quiet about it?
Is there a song that you would miss?
Where do you go when the house is full?
Which of them have you told about this?
When did the road begin to look long?""".splitlines()


@given(st.permutations(MANY), st.integers(0, len(MANY)))
def test_questions_are_no_fragments_up_to_twice_as_many_as_the_gold_answer_has(asked: list[str], count: int) -> None:
    structure, _ = mark(" ".join([STATES, *asked[:count]]))
    assert structure is not None and (structure == 1) == (count <= 2)


def test_a_gold_answer_without_questions_leaves_them_fragments() -> None:
    task = Task(
        "alone", "x", "Shall I go?", (Requirement("Kind."),), "There are two sides to a thing like this.", (FACT,)
    )
    assert (mark(STATES, task)[0] or 0) > (mark(f"{STATES} What do you feel about it?", task)[0] or 0)
