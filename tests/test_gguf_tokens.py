"""How a vocabulary cuts texts, and how a file's answers are counted beside those of its source."""

import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.adapter import Refusal
from deploy.gguf_files import Q4_K_M, refuse_difference
from deploy.gguf_run import Agreement, agreement
from deploy.gguf_tokens import NASTY, SPLITS, check_named, split_of
from deploy.source_model import Answer
from scripts.tiny_base.tokenizer import SPLIT


def tokenizer(folder: Path, *steps: dict[str, Any]) -> Path:
    file = folder / "tokenizer.json"
    file.write_text(json.dumps({"pre_tokenizer": {"type": "Sequence", "pretokenizers": list(steps)}}), encoding="utf-8")
    return file


def split(expression: str, **changes: object) -> dict[str, Any]:
    return {"type": "Split", "pattern": {"Regex": expression}, "behavior": "Isolated", "invert": False, **changes}


BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}


def test_the_tiny_base_cuts_as_qwen2_does() -> None:
    assert SPLITS["qwen2"] == SPLIT


@pytest.mark.parametrize("name", ["qwen2", "llama-bpe"])
def test_a_named_rule_is_taken_where_tokenizer_json_has_it(tmp_path: Path, name: str) -> None:
    check_named(name, tokenizer(tmp_path, split(SPLITS[name]), BYTES))


def test_gpt2_cuts_without_a_step_of_its_own(tmp_path: Path) -> None:
    file = tokenizer(tmp_path)
    file.write_text(json.dumps({"pre_tokenizer": {**BYTES, "use_regex": True}}), encoding="utf-8")
    check_named("gpt-2", file)


def test_a_wrong_name_is_refused_with_the_right_one(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"does not cut texts as llama-bpe does. Say --pre-tokenizer qwen2\."):
        check_named("llama-bpe", tokenizer(tmp_path, split(SPLITS["qwen2"]), BYTES))


@pytest.mark.parametrize(
    "steps",
    [
        (split(SPLITS["qwen2"], behavior="Removed"), BYTES),
        (split(SPLITS["qwen2"], invert=True), BYTES),
        (split(SPLITS["qwen2"]), {**BYTES, "use_regex": True}),
        (split(SPLITS["qwen2"]), {**BYTES, "add_prefix_space": True}),
        ({"type": "Digits", "individual_digits": True}, split(SPLITS["qwen2"]), BYTES),
        ({"type": "Split", "pattern": {"String": " "}, "behavior": "Isolated", "invert": False}, BYTES),
        ({"type": "Metaspace"},),
    ],
)
def test_whatever_cuts_more_or_otherwise_is_no_known_rule(tmp_path: Path, steps: tuple[dict[str, Any], ...]) -> None:
    with pytest.raises(Refusal, match="No pre-tokenizer that can be named here is that of it"):
        check_named("qwen2", tokenizer(tmp_path, *steps))


@settings(max_examples=30)
@given(at=st.integers(0, len(SPLITS["qwen2"])), put=st.sampled_from("|\\. +*a"))
def test_a_rule_with_one_more_character_is_another_rule(
    tmp_path_factory: pytest.TempPathFactory, at: int, put: str
) -> None:
    other = SPLITS["qwen2"][:at] + put + SPLITS["qwen2"][at:]
    assert split_of(tokenizer(tmp_path_factory.mktemp("one"), split(other), BYTES)) not in SPLITS.values()


def test_the_nasty_texts_are_in_the_form_that_both_sides_read_alike() -> None:
    assert all(unicodedata.normalize("NFC", text) == text for text in NASTY)
    assert len(set(NASTY)) == len(NASTY)


def answer(*tokens: int, sure: float = 5.0) -> Answer:
    """An answer of which each token was preferred by `sure` logits to every other one of ten."""
    logits = [[sure if token == wanted else 0.0 for token in range(10)] for wanted in tokens]
    return Answer(({"role": "user", "content": "?"},), "?", (1,), tokens, logits)


def test_equal_answers_are_equal() -> None:
    told = agreement([(answer(3, 4), [3, 4]), (answer(5), [5])], "float32")
    assert told == Agreement(2, 3, 3, 2, 2, 0, 0.0, "float32")
    refuse_difference(told, "F16")


def test_a_token_that_the_source_clearly_prefers_may_not_change_in_16_bits() -> None:
    told = agreement([(answer(3, 4), [3, 7])], "float32")
    assert (told.equal_tokens, told.equal_first_tokens, told.equal_answers, told.largest_gap) == (1, 1, 0, 5.0)
    with pytest.raises(Refusal, match=r"1 of 2 tokens are equal, and the source prefers its own by up to 5\.00"):
        refuse_difference(told, "F16")


def test_two_tokens_that_are_nearly_tied_may_change_places() -> None:
    told = agreement([(answer(3, 4, sure=0.01), [3, 7])], "float32")
    assert told.near_ties == 1
    refuse_difference(told, "F16")


@given(equal=st.integers(0, 50))
def test_in_4_bits_four_of_five_tokens_have_to_be_equal(equal: int) -> None:
    told = agreement([(answer(*[3] * 50), [3] * equal + [4] * (50 - equal))], "float32")
    if equal >= 40:
        refuse_difference(told, Q4_K_M)
    else:
        with pytest.raises(Refusal, match="80% have to be"):
            refuse_difference(told, Q4_K_M)
