"""Everything that is wrong with a pack is told at once, each with its line and the fix."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.files import PACKS
from configs.pack import values
from configs.pack.__main__ import main
from configs.pack.check import problems_of_packs
from deploy.pack import Serving
from eval.rubric_config import DEFAULT_WEIGHTS

LEGAL = (PACKS / "legal.yml").read_text("utf-8").replace("forge-legal", "forge-bicycles")
LEGAL = LEGAL.replace("  legal:\n", "  bicycles:\n").replace("role: legal", "role: bicycles")
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


def problems(folder: Path, text: str, name: str = "bicycles") -> list[str]:
    """What is wrong with a pack of this text, without the file's own path."""
    file = folder / f"{name}.yml"
    file.write_text(text, "utf-8")
    return [problem.replace(str(file), "pack") for problem in problems_of_packs([file])]


def line_of(text: str, words: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), 1) if words in line)


@given(st.dictionaries(st.sampled_from(["model_prefix", "eval", "rubric", "serving", "roles", "sources"]), anything))
def test_whatever_a_section_holds_is_told_and_nothing_raises(raw: dict[str, Any]) -> None:
    found = [
        *values.of_prefix(raw), *values.of_tasks(Path("x.yml"), raw), *values.of_rubric(raw),
        *values.of_serving(raw), *values.of_names("x", raw, ["mayor"]),
    ]  # fmt: skip
    assert all(sentence.endswith(".") for _, sentence in found)


@given(st.sampled_from(["temperature", "top_p", "num_ctx"]), st.integers(-3, 3_000_000) | st.floats(-1, 3) | st.text())
def test_what_the_check_takes_is_what_deploy_serves(key: str, value: object) -> None:
    try:
        msgspec.convert({key: value}, Serving, strict=True)
        served = True
    except msgspec.ValidationError:
        served = False
    assert (not list(values.of_serving({"serving": {key: value}}))) == served


def test_the_parts_are_those_of_the_rubric() -> None:
    assert tuple(DEFAULT_WEIGHTS) == values.PARTS
    assert set(values.SERVING) == set(Serving.__struct_fields__)


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ("temperature: 0.3", "temprature: 0.3", "serving.temprature is not a key. Did you mean temperature?"),
        ("top_p: 0.9", "top_p: 1.9", "serving.top_p is 1.9. Give a number above 0 to 1."),
        ("num_ctx: 4096", "num_ctx: 4.5", "serving.num_ctx is 4.5. Give a whole number from 256 to 1,048,576."),
        ("structure: 20", "structure: 0", "rubric.weights.structure is 0. Give a number above 0."),
        (
            "structure: 20", "style: 20",
            "rubric.weights.style is no part. The parts are structure, correctness, similarity, completeness.",
        ),
        (
            "eval/domains/legal.jsonl", "eval/domains/lagal.jsonl",
            "eval.tasks: eval/domains/lagal.jsonl is no file, neither beside the pack nor in the repository.",
        ),
        (
            "model_prefix: forge-bicycles", "model_prefix: The Bicycles",
            "model_prefix is 'The Bicycles'. Give up to 32 of a-z, 0-9, dot, - and _, such as forge-legal.",
        ),
        (
            "model_prefix: forge-bicycles", "model_prefix: forge-coding",
            "model_prefix forge-coding is that of the pack coding too. Give it another one.",
        ),
        ("lora_r: 32", "lora_rr: 32", "Axolotl knows no key `lora_rr`; did you mean `lora_r`?"),
        (
            "lora_r: 32", "output_dir: x",
            "training.output_dir: a pack says that elsewhere (--root). Remove it here.",
        ),
        (
            "lora_r: 32", "sequence_len: 2048",
            "training.sequence_len is 2048, and windows.max_tokens allows rows of 4096. Make the two equal.",
        ),
    ],
)  # fmt: skip
def test_a_mistake_is_a_sentence_with_its_line(tmp_path: Path, before: str, after: str, sentence: str) -> None:
    assert before in LEGAL
    text = LEGAL.replace(before, after, 1)
    assert f"pack:{line_of(text, after)}: {sentence}" in problems(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (LEGAL.replace("  bicycles:\n", "  cars:\n"), "roles.bicycles is missing."),
        (LEGAL.replace("role: bicycles", "role: unknown"), "no source is for bicycles. Add `role: bicycles`"),
        (LEGAL.replace("eval:\n  tasks: eval/domains/legal.jsonl\n", ""), "eval.tasks is missing."),
        (LEGAL.replace("  max_tokens: 4096 ", "  max_tokans: 4096 "), "windows.max_tokans is not a key. Did you mean"),
        (LEGAL.replace("base_model:", "bass_model:"), "base_model is missing."),
        (LEGAL.replace("learning_rate: 1.0e-4", "learning_rate: 1e-4"), "`1e-4` is text to YAML. Write 1.0e-4."),
        (LEGAL.replace("  lora_alpha", "  lora_r: 3\n  lora_alpha"), "`lora_r` is already set in line"),
        ("lora_r: 8\n", "no pack: it has no `sources` and `roles`. See docs/packs.md."),
        ("a: [", "not valid YAML"),
        (LEGAL + "serving2: {}\n", "serving2 is not a key. Did you mean serving?"),
    ],
)
def test_what_is_missing_or_not_readable_is_told(tmp_path: Path, text: str, sentence: str) -> None:
    assert any(sentence in problem for problem in problems(tmp_path, text)), problems(tmp_path, text)


def test_mistakes_of_all_rooms_come_at_once(tmp_path: Path) -> None:
    text = LEGAL
    for before, after in (
        ("top_p: 0.9", "top_p: 9"),
        ("structure: 20", "structure: -1"),
        ("lora_r: 32", "lora_rr: 32"),
        ("  max_tokens: 4096 ", "  max_tokans: 4096 "),
        ("model_prefix: forge-bicycles", "model_prefix: ''"),
        ("eval/domains/legal.jsonl", "nowhere.jsonl"),
    ):
        text = text.replace(before, after)
    found = problems(tmp_path, text)
    wanted = ("serving.top_p", "structure", "lora_rr", "max_tokans", "model_prefix is missing", "nowhere.jsonl")
    assert len(found) == 6
    assert all(any(word in problem for problem in found) for word in wanted)


@pytest.mark.parametrize("name", ["Legal", "mayor", "unknown", "gastown", "a b"])
def test_a_name_that_is_none_or_a_towns_is_refused(tmp_path: Path, name: str) -> None:
    text = LEGAL.replace("  bicycles:\n", f"  '{name}':\n").replace("role: bicycles", f"role: '{name}'")
    if name == "unknown":
        text = LEGAL
    assert any("ename the file" in problem or "another name" in problem for problem in problems(tmp_path, text, name))


def test_a_good_pack_elsewhere_is_right_and_several_are_told_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert problems(tmp_path, LEGAL) == []
    assert main(["check", str(tmp_path / "bicycles.yml"), "legal", "coding"]) == 0
    assert capsys.readouterr().out == "3 packs are right: bicycles, legal, coding.\n"
    (tmp_path / "cars.yml").write_text("a: [")
    assert main(["check", str(tmp_path / "cars.yml"), str(tmp_path / "boats.yml"), "--json"]) == 1
    said = capsys.readouterr()
    assert json.loads(said.out)["problems"] == said.err.splitlines()
    assert said.err.splitlines()[1] == f"{tmp_path}/boats.yml: no such file."


def test_all_packs_of_the_repository_are_right_and_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check"]) == 0
    assert main(["list"]) == 0
    said = capsys.readouterr().out
    assert all(f"forge-{name}:latest" in said for name in ("coding", "legal", "finance"))
    assert "companion:latest" in said
