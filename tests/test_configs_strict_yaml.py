"""YAML that PyYAML reads without a word and a person did not mean."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from configs.strict_yaml import ConfigError, line_of, load_mapping

# No digits: text that looks like a number is what the loader refuses.
TEXT = st.text(st.characters(exclude_categories=["N", "C"]), max_size=10)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT
MAPPINGS = st.dictionaries(
    TEXT,
    st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3)),
    max_size=6,
)


@given(mapping=MAPPINGS)
def test_what_yaml_writes_is_read_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, mapping: dict[str, object]
) -> None:
    file = tmp_path_factory.mktemp("yaml") / "file.yml"
    file.write_text(yaml.safe_dump(mapping), encoding="utf-8")
    assert load_mapping(file) == mapping


@given(digits=st.integers(1, 99), exponent=st.integers(1, 30), sign=st.sampled_from(("", "-", "+")))
def test_the_number_that_is_proposed_is_one(
    tmp_path_factory: pytest.TempPathFactory, digits: int, exponent: int, sign: str
) -> None:
    file = tmp_path_factory.mktemp("yaml") / "file.yml"
    file.write_text(f"rate: {digits}e{sign}{exponent}\n", encoding="utf-8")
    with pytest.raises(ConfigError) as error:
        load_mapping(file)
    proposed = error.value.problems[0].removesuffix(".").rpartition("Write ")[2]
    assert yaml.safe_load(proposed) == float(f"{digits}e{sign}{exponent}")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a: 1\nb: 2\na: 3\n", "3: `a` is already set in line 1. Keep one of them."),
        ("a:\n  b: 1\n  b: 1\n", "3: `b` is already set in line 2. Keep one of them."),
        ("rate: 2e-4\n", "1: `2e-4` is text to YAML. Write 2.0e-4."),
        ("a: [1, 2\n", "2: not valid YAML: expected ',' or ']', but got '<stream end>'."),
        ("- 1\n", " holds a list, not `key: value` lines."),
    ],
)
def test_a_slip_is_named_with_its_line(tmp_path: Path, text: str, sentence: str) -> None:
    file = tmp_path / "slip.yml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as error:
        load_mapping(file)
    assert error.value.problems == (f"{file}:{sentence}",)


def test_every_slip_of_a_file_is_named_at_once(tmp_path: Path) -> None:
    file = tmp_path / "slips.yml"
    file.write_text("a: 1e5\na: 2\nb: 3e4\n", encoding="utf-8")
    with pytest.raises(ConfigError) as error:
        load_mapping(file)
    assert len(error.value.problems) == 3


def test_a_quoted_number_stays_the_text_that_it_says_it_is(tmp_path: Path) -> None:
    file = tmp_path / "file.yml"
    file.write_text('a: "2e-4"\n', encoding="utf-8")
    assert load_mapping(file) == {"a": "2e-4"}


def test_a_block_may_reuse_another_and_change_a_key(tmp_path: Path) -> None:
    file = tmp_path / "file.yml"
    file.write_text("a: &a {x: 1, y: 2}\nb: {<<: *a, x: 3}\n", encoding="utf-8")
    assert load_mapping(file)["b"] == {"x": 3, "y": 2}


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load_mapping(tmp_path / "none.yml")


def test_a_line_is_found_by_its_path_of_keys(tmp_path: Path) -> None:
    file = tmp_path / "file.yml"
    file.write_text("a: 1\nb:\n  - c: 1\n    d: 2\n", encoding="utf-8")
    assert line_of(file, ("b", 0, "d")) == 4
    assert line_of(file, ("b", 0, "missing")) == 3
    assert line_of(file, ("missing",)) is None
