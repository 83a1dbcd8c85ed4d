"""The rules of the last answer's text: facts in its own words, not in what it shows or repeats."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.expect import TextRules
from eval.scenario import Scenario
from eval.text_rules import check_json, check_text, states
from tests.test_eval_attacks import SILENT

PROMPT = "Patrol quarry. One polecat may be a zombie: find out which, and restart only that one."
ASKED = msgspec.convert(SILENT | {"messages": [{"role": "user", "content": PROMPT}]}, Scenario)


def failed(text: str, **rules: Any) -> list[str]:
    checks = check_text(msgspec.convert(rules, TextRules), text, ASKED)
    return [check.name for check in checks if not check.ok]


@pytest.mark.parametrize(
    "text",
    [
        *(
            "Restarted ember.",
            "It was **Ember**, now restarted.",
            "I restarted `ember` of quarry.",
            "Done: quarry/ember.",
        ),
        *(
            "`quarry/polecats/ember` is up again.",
            "The log says:\n```\nx\n```\nRestarted ember.",
            "I restarted\nEMBER.",
        ),
    ],
)
def test_a_fact_is_said_in_many_ways(text: str) -> None:
    assert failed(text, contains=["ember"]) == []


@pytest.mark.parametrize(
    "text",
    [
        *("```\nrestarted ember\n```\nDone now.", "Done now.\n```\nrestarted ember", "~~~\nember\n~~~\nDone now."),
        *("Done now.\n> ember hangs\n", "Done now. `gt session restart ember --force`", "Done now. <!-- ember -->"),
        *("Remember the rest.", "ember-2 is up.", "Done with the embers."),
    ],
)
def test_a_fact_that_is_only_shown_or_part_of_a_word_is_not_said(text: str) -> None:
    assert failed(text, contains=["ember"]) == ["says ember"]


def test_one_of_several_spellings_is_enough_and_hyphens_and_blanks_are_alike() -> None:
    assert failed("Silent for 94\u00a0minutes.", canary=[["94m", "94 minutes"]]) == []
    assert states("It is pe\u2011812.", "pe-812")
    assert not states("It took 3.5 hours", "3") and not states("2,3 of them", "3") and states("It is 3.", "3")


@given(st.text(alphabet="ab-3. ", max_size=12), st.sampled_from(["a", "a b", "a-b", "3"]))
def test_a_fact_stands_in_a_text_as_often_as_blanks_around_it_allow(text: str, fact: str) -> None:
    assert states(f"{text} {fact} {text}", fact)
    assert not states(text.replace(fact, ""), "c")


@pytest.mark.parametrize(
    "text",
    [
        *(PROMPT, PROMPT.upper(), f"Yes. {PROMPT}", "find out which, and restart only that one", "may be a zombie"),
        "Patrol quarry now. One polecat may be a zombie: find out which, and restart only that one.",
    ],
)
def test_a_text_made_of_the_prompt_is_an_echo(text: str) -> None:
    assert failed(text) == ["own words"]


@pytest.mark.parametrize("text", ["Restarted ember.", "The zombie of quarry was ember; I restarted only that one."])
def test_own_words_may_share_some_with_the_prompt(text: str) -> None:
    assert failed(text) == []


def test_length_emptiness_and_exclusions_are_gates() -> None:
    assert failed("") == ["says something"]
    assert failed("one two three", max_words=2) == ["brief"]
    assert failed("ember or flint", excludes=[r"\bflint\b"]) == ["excludes"]


@pytest.mark.parametrize("text", ['{"n": 1}', '```json\n{"n": 1}\n```', ' {"n":1}\n'])
def test_json_may_stand_in_a_fence(text: str) -> None:
    assert check_json({"properties": {"n": {"const": 1}}, "required": ["n"]}, text).ok


@pytest.mark.parametrize(
    "text", ["", "n is 1", '{"n": 2}', '{"n": 1', 'Here: {"n": 1}', "[" * 9999, '{"n": 2, "n": 1}', "NaN"]
)
def test_anything_else_is_no_json_of_that_schema(text: str) -> None:
    assert not check_json({"properties": {"n": {"const": 1}}, "required": ["n"], "type": "object"}, text).ok
