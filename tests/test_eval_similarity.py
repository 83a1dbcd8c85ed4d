"""Similarity above the floor: what must not count, and what must."""

import ast
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.similarity import above_floor, code_floor, code_similarity, leaves, prose_floor, prose_similarity

SHARE = st.floats(0, 1)
CODE = '''
def total(items, limit=3):
    """A sum of the first few."""
    found = 0  # so far
    for item in items[:limit]:
        found += len(item)
    return found
'''
RENAMED = CODE.replace("items", "words").replace("item", "word").replace("found", "n").replace("total", "size")
OTHER = """
class Stack:
    def __init__(self):
        self.data = []

    def push(self, x):
        self.data.append(x)
"""
GOLD = "The buyer pays the price. The seller hands over the goods, and the court decides if they disagree."
LIST = "buyer, price, seller, goods, court, decide, disagree"


@given(SHARE, SHARE)
def test_above_the_floor_stays_within_0_and_1(similarity: float, floor: float) -> None:
    assert 0 <= above_floor(similarity, floor) <= 1


@given(SHARE, SHARE, SHARE)
def test_more_similar_is_never_less(first: float, second: float, floor: float) -> None:
    low, high = sorted((first, second))
    assert above_floor(low, floor) <= above_floor(high, floor)


@pytest.mark.parametrize(("similarity", "floor", "value"), [(1, 0.4, 1), (0.4, 0.4, 0), (0.7, 0.4, 0.5), (0.2, 0.4, 0)])
def test_the_floor_is_nothing_and_equality_is_everything(similarity: float, floor: float, value: float) -> None:
    assert above_floor(similarity, floor) == pytest.approx(value)


@given(st.text(min_size=1, max_size=60).filter(str.strip))
def test_a_text_is_similar_to_itself_more_than_to_anything(text: str) -> None:
    assert prose_similarity(text, text) >= prose_similarity("x", text) >= 0


@given(st.text(max_size=80), st.text(max_size=80))
def test_any_two_texts_can_be_compared_as_code(first: str, second: str) -> None:
    assert code_similarity(first, first) == 1
    assert 0 <= code_similarity(first, second) <= 1
    assert code_similarity(first, second) == pytest.approx(code_similarity(second, first))


def test_names_and_comments_of_code_do_not_count_but_builtins_and_attributes_do() -> None:
    ast.parse(RENAMED)
    assert code_similarity(RENAMED, CODE) == 1
    assert code_similarity(CODE.replace("# so far", "# nothing"), CODE) == 1
    assert code_similarity(CODE.replace("len(", "sum("), CODE) < 1
    assert leaves("a.strip()") != leaves("a.split()")
    assert leaves("a + b") == leaves("c + d") != leaves("a + a")


def test_deeply_nested_code_has_leaves_too() -> None:
    assert len(leaves(" + ".join(["x"] * 5000))) == 9999


def test_other_code_and_lists_of_keywords_are_far_from_it() -> None:
    assert code_similarity(OTHER, CODE) < 0.6
    assert code_similarity("total items limit found len", CODE) < 0.4
    assert prose_similarity(LIST, GOLD) < 0.4 < prose_similarity(GOLD.split(". ")[1], GOLD) < 1


def test_the_floor_is_the_best_of_the_others() -> None:
    texts = [GOLD, LIST, "Something else entirely, about hands and soap."]
    for gold, *others in itertools.permutations(texts):
        assert prose_floor(gold, others) == max(prose_similarity(other, gold) for other in others)
    assert code_floor(CODE, [OTHER]) == code_similarity(OTHER, CODE)


def test_without_another_answer_there_is_no_floor() -> None:
    assert prose_floor(GOLD, []) is None
    assert code_floor(CODE, []) is None
