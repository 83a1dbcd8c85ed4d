"""A recipe's mistakes are found before a GPU is rented, each with its file, line and fix."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.combine import combine
from configs.files import BASE_FILE
from configs.rules import problems_of
from configs.strict_yaml import load_mapping
from configs.validate import check

KEYS = sorted(load_mapping(BASE_FILE))


def problems_with(tmp_path: Path, text: str) -> list[str]:
    file = tmp_path / "mine.yml"
    file.write_text(text, encoding="utf-8")
    return [problem.removeprefix(f"{file}:") for problem in check("mayor", (str(file),))]


@given(key=st.sampled_from(KEYS), letter=st.characters(categories=["Ll"]))
def test_a_misspelt_key_is_always_found_and_the_right_one_proposed(
    tmp_path_factory: pytest.TempPathFactory, key: str, letter: str
) -> None:
    wrong = f"{key}{letter}"
    config = {**combine("mayor"), wrong: load_mapping(BASE_FILE)[key]}
    (problem,) = problems_of(config, [BASE_FILE])
    assert f"`{wrong}`; did you mean `{key}`?" in problem


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("lora_rr: 64", "1: Axolotl knows no key `lora_rr`; did you mean `lora_r`?"),
        ("\nlora_dropout: lots", "2: `lora_dropout: 'lots'` is not what Axolotl takes: use number"),
        ("optimizer: sgdd", "1: `optimizer: 'sgdd'` is not what Axolotl takes: did you mean `sgd`?"),
        ("lr_scheduler: cosin", "1: `lr_scheduler: 'cosin'` is not what Axolotl takes: did you mean `cosine`?"),
        ("unsloth: true", "1: Axolotl knows no key `unsloth`."),
        ("load_in_4bit: false", "1: `adapter: qlora` needs `load_in_4bit: true`. Set it, or use `adapter: lora`."),
        ("val_set_size: 0.1", "1: `val_set_size` and `test_datasets` exclude each other."),
        ("lora_target_linear: true", "1: `lora_target_linear` and `lora_target_modules` are joined without a word."),
        ("warmup_steps: 5", "1: `warmup_steps` and `warmup_ratio` exclude each other. Remove one."),
        ("flash_attention: true", "1: `flash_attention` is the old name of `attn_implementation`"),
        ("save_steps: 0.25", "1: `load_best_model_at_end` and early stopping need a `save_steps` that is a multiple"),
    ],
)  # fmt: skip
def test_one_mistake_is_one_sentence_with_its_line(tmp_path: Path, text: str, problem: str) -> None:
    found = problems_with(tmp_path, text + "\n")
    assert len(found) == 1
    assert found[0].startswith(problem)


def test_lora_on_4_bit_weights_is_called_by_its_name(tmp_path: Path) -> None:
    (problem,) = problems_with(tmp_path, "adapter: lora\n")
    assert "is QLoRA under another name" in problem


def test_an_old_dataset_type_and_a_lost_mask_are_named(tmp_path: Path) -> None:
    text = "datasets:\n  - path: rows.jsonl\n    type: sharegpt\n    field_mesages: conversations\n"
    problems = problems_with(tmp_path, text)
    assert "4: Axolotl knows no key `field_mesages`; did you mean `field_messages`?" in problems
    assert sum("`type: sharegpt` is gone" in problem for problem in problems) == 1
    assert sum("every reply is trained" in problem for problem in problems) == 1


def test_native_rows_whose_calls_could_get_lost_are_named(tmp_path: Path) -> None:
    text = (
        "datasets:\n  - {path: r.jsonl, type: chat_template, field_messages: messages, message_field_training: train}\n"
    )
    [problem] = problems_with(tmp_path, text)
    assert problem.endswith("may lose their calls. Use `--with native`.")


def test_all_mistakes_of_a_recipe_come_at_once(tmp_path: Path) -> None:
    assert len(problems_with(tmp_path, "lora_rr: 64\nsequence_len: long\nload_in_4bit: false\n")) == 3
