"""Floors without a model: the constant call, the previous calls again, the bigram of actions, the nearest turn."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval import baselines
from eval.answer import parse_answer
from eval.baselines import FLOORS, MEANING, NO_CALL, Turn, always, floors
from eval.heldout import Question, questions, read_rows
from eval.models import Prompt
from tests.test_eval_next_action import as_native, bash, row, write_rows

RESULT = "<tool_result>\nok\n</tool_result>"
HOOK, INBOX, PUSH = bash("gt hook"), bash("gt mail inbox"), bash("git push")


def asked(folder: Path, *rows: dict[str, Any]) -> list[Question]:
    return list(questions(read_rows(write_rows(folder / "t.jsonl", *rows))[0]))


def question(session: str, said: Sequence[str], recorded: str) -> Question:
    roles = ("user", "assistant")
    messages = tuple({"role": roles[place % 2], "content": text} for place, text in enumerate(said))
    return Question(f"{session}#{len(said)}", session, Prompt(messages), recorded)


def test_the_most_common_call_ignores_free_text_and_counts_calls_not_turns() -> None:
    known = [question("s", ["a"], f"{HOOK}\n{INBOX}"), question("s", ["b"], PUSH)]
    known += [question("s", ["c"], bash("cd x && gt hook", description="again"))]
    assert always(map(Turn.of, known)) == HOOK
    assert always(map(Turn.of, [question("s", ["a"], "Hello.")])) == NO_CALL


def test_repeating_says_the_previous_calls_again_and_words_after_words() -> None:
    turns = [question("s", ["a"], HOOK), question("s", ["a", f"So.\n{HOOK}", "b"], INBOX)]
    turns.append(question("s", ["a", HOOK, "b", "All done.", "c"], HOOK))
    assert floors(turns, [])["repeat"] == [NO_CALL, HOOK, NO_CALL]


def test_the_bigram_says_what_most_often_followed_the_previous_action() -> None:
    known = [question("t", ["a", HOOK, "b"], INBOX)] * 2 + [question("t", ["a", HOOK, "b"], PUSH)]
    known += [question("t", ["a"], PUSH)] * 4
    turns = [question("s", ["a", bash("gt hook --json"), "b"], INBOX), question("s", ["a"], HOOK)]
    turns.append(question("s", ["a", bash("make lint"), "b"], HOOK))
    assert floors(turns, known)["bigram"] == [INBOX, PUSH, PUSH]


def test_the_nearest_turn_is_that_whose_last_message_is_most_alike() -> None:
    known = [question("t", ["Push the branch of pe-1."], PUSH), question("t", ["Is there mail for you?"], INBOX)]
    known.append(question("s", ["Is there any mail?"], HOOK))
    assert floors([question("s", ["Is there any mail?"], HOOK)], known)["nearest"] == [INBOX]


def test_a_turn_is_no_neighbour_of_its_own_session() -> None:
    alone = [question("s", ["a"], HOOK), question("s", ["b"], INBOX)]
    assert floors(alone, alone)["nearest"] == [NO_CALL, NO_CALL]


def test_both_forms_of_rows_have_the_same_floors(tmp_path: Path) -> None:
    rows = [row("one", "Look.", HOOK, RESULT, INBOX, RESULT, "Done."), row("two", "Look.", HOOK, RESULT, "None.")]
    ours, theirs = asked(tmp_path, *rows), asked(tmp_path, *map(as_native, rows))
    for name in ("always", "repeat", "bigram"):
        assert floors(ours, ours)[name] == floors(theirs, theirs)[name]


@given(st.lists(st.tuples(st.sampled_from("xyz"), st.sampled_from([HOOK, INBOX, "Done."])), min_size=1, max_size=8))
def test_every_floor_answers_every_question_in_a_valid_form(turns: list[tuple[str, str]]) -> None:
    known = [question(session, ["go"], recorded) for session, recorded in turns]
    found = floors(known, known)
    assert set(found) == set(FLOORS) == set(MEANING)
    for answers in found.values():
        assert len(answers) == len(known)
        assert not any(parse_answer(answer).flags for answer in answers)


def test_without_training_turns_nobody_knows_a_call() -> None:
    found = floors([question("s", ["a"], HOOK)], [])
    assert {name: answers[0] for name, answers in found.items()} == dict.fromkeys(FLOORS, NO_CALL)


def test_the_search_looks_at_a_bounded_number_of_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baselines, "SEARCHED", 10)
    known = [question("t", ["x" * number], bash(f"make t{number:03}")) for number in range(95)]
    answers = baselines.nearest([Turn.of(question("s", ["x" * 94], HOOK))], list(map(Turn.of, known)))
    # Every tenth of 95 is looked at, so that the equal 94th is not found and the 90th is the nearest.
    assert answers == [bash("make t090")]


@pytest.mark.slow
def test_a_thousand_questions_against_five_thousand_turns_take_under_a_minute() -> None:
    known = [question("t", [f"{number} " * 200], HOOK) for number in range(baselines.SEARCHED)]
    turns = [question("s", [f"{number} " * 200], HOOK) for number in range(100)]
    started = time.process_time()
    floors(turns, known)
    assert time.process_time() - started < 6
