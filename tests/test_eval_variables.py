"""Drawn values: the same for the same sample, other ones for others, and never a surprise in a pattern."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.variables import PLAIN, draw, fault, fill, placeholders

patterns = st.from_regex(r"[a-z]{1,4}-[0-9?]{1,3}\?", fullmatch=True)
choices = st.dictionaries(
    st.from_regex(r"[a-z][a-z0-9_]{0,6}", fullmatch=True),
    patterns | st.lists(st.sampled_from(["flint", "ember", "rust", "a b"]), min_size=2, unique=True).map(tuple),
    max_size=4,
)
json_values = st.recursive(
    st.none() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(choices, st.integers(0, 9), st.integers(0, 9))
def test_a_draw_is_of_the_choices_and_the_same_again(
    several: dict[str, str | tuple[str, ...]], sample: int, seed: int
) -> None:
    drawn = draw(several, "mayor-x", sample, seed)
    assert drawn == draw(several, "mayor-x", sample, seed)
    for name, options in several.items():
        shapes = [options] if isinstance(options, str) else options
        assert any(re.fullmatch(re.escape(shape).replace(r"\?", "[0-9]"), drawn[name]) for shape in shapes)
        assert re.fullmatch(re.escape(drawn[name]), drawn[name]) and PLAIN.fullmatch(drawn[name])


@given(json_values)
def test_a_value_without_placeholders_stays_as_it_is(value: object) -> None:
    if not list(placeholders(value)):
        assert fill(value, {}) == value


def test_every_string_is_filled_and_keys_are_not() -> None:
    value = {"{{a}}": ["x {{a}} y {{b}}", {"k": "{{a}}{{a}}"}, 3]}
    assert fill(value, {"a": "1", "b": "2"}) == {"{{a}}": ["x 1 y 2", {"k": "11"}, 3]}
    assert sorted(set(placeholders(value))) == ["a", "b"]


def test_samples_and_scenarios_draw_differently() -> None:
    several = {"bead": "pe-8??"}
    assert len({draw(several, "mayor-x", sample, 0)["bead"] for sample in range(30)}) > 15
    assert draw(several, "a", 0, 0) != draw(several, "b", 0, 0)


@pytest.mark.parametrize(
    ("several", "said"),
    [
        ({"Bead": "pe-?"}, "is no name"),
        ({"a": "x.*"}, "may hold letters"),
        ({"a": ("ok", "$(x)")}, "may hold letters"),
        ({"a": ("one",)}, "one value only"),
        ({"a": "fixed"}, "one value only"),
    ],
)
def test_variables_that_cannot_work_are_named(several: dict[str, str | tuple[str, ...]], said: str) -> None:
    assert said in (fault(several) or "")
