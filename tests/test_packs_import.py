"""A domain written as JSON becomes a pack that is right, or none; what has no counterpart is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from configs.pack import domain_words as words
from configs.pack.__main__ import main
from configs.pack.check import problems_of_packs
from configs.pack.domain import translate
from configs.strict_yaml import ConfigError
from data.config import load_config

FOLDER = Path(__file__).parent / "packs"
GARDEN: dict[str, Any] = json.loads((FOLDER / "gardening.json").read_text("utf-8"))
LEAST = {
    "id": "garden",
    "base_model": "Qwen/Qwen2.5-7B-Instruct",
    "model_prefix": "garden",
    "system_prompt": "You dig.",
}
Said = pytest.CaptureFixture[str]

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
known = sorted(
    {name for one in vars(words).values() if isinstance(one, tuple) for name in one}
    | {
        name
        for table in (words.NUMBERS, words.TEXTS, words.SERVING, words.SHARES)
        for one in table.values()
        for name in one
    }
)
sections = st.dictionaries(st.sampled_from(known), anything, max_size=5) | anything
foreign = st.text("xyz", min_size=3, max_size=8)


@given(st.dictionaries(st.sampled_from(known), sections, max_size=8), st.booleans())
def test_whatever_a_domain_holds_becomes_keys_or_a_sentence(raw: dict[str, Any], whole: bool) -> None:
    try:
        domain = translate(raw | LEAST if whole else raw)
    except ConfigError as error:
        assert not whole and all(problem.endswith(".") for problem in error.problems)
        return
    assert domain.pack["sources"] and all(note.endswith((".", ")")) or "\n" in note for note in domain.notes)
    yaml.safe_dump(domain.pack)


@given(st.sampled_from(["", "data", "eval", "training", "ollama"]), foreign, st.integers() | st.text() | st.booleans())
def test_a_key_that_means_nothing_here_is_named_where_it_stands(section: str, key: str, value: object) -> None:
    raw = LEAST | ({section: {key: value}} if section else {key: value})
    place = f"{section}.{key}" if section else key
    assert f"{place} has no counterpart in a pack and was left out." in translate(raw).notes


@given(st.sampled_from(sorted(words.NUMBERS)), st.data())
def test_every_spelling_of_a_number_is_axolotls_key(key: str, data: st.DataObject) -> None:
    spelling = data.draw(st.sampled_from(words.NUMBERS[key]))
    camel = spelling.split("_")[0] + "".join(word.capitalize() for word in spelling.split("_")[1:])
    number = data.draw(st.integers(1, 99))
    for name in (spelling, camel, spelling.replace("_", "-"), spelling.upper()):
        for value in (number, str(number)):
            assert translate(LEAST | {"training": {name: value}}).pack["training"][key] == number


def test_a_domain_of_the_forge_is_the_pack_that_it_means() -> None:
    domain = translate(GARDEN)
    prompt = {"system": GARDEN["system_prompt"]}
    assert domain.pack == {
        "base_model": "Qwen/Qwen2.5-7B-Instruct",
        "model_prefix": "forge-gardening",
        "sources": [
            {"kind": "qna", "path": "garden/answers.jsonl", "role": "gardening"},
            {"kind": "vault", "path": "garden/notes", "role": "gardening", "vault": {"tags": ["reflection"]}},
            {"kind": "qna", "path": "garden/more", "role": "gardening"},
        ],
        "roles": {"gardening": prompt, "unknown": prompt},
        "windows": {"max_tokens": 2048},
        "quality": {"min_answer_chars": 40},
        "dedup": {"near": False},
        "split": {"val": 0.1, "test": 0.1, "exact": True},
        "overlap": {"prompts": "eval/domains"},
        "training": {
            "lora_r": 16, "lora_alpha": 32, "num_epochs": 4, "learning_rate": 2.0e-4, "micro_batch_size": 1,
            "gradient_accumulation_steps": 4, "warmup_steps": 5, "warmup_ratio": None, "optimizer": "adamw_8bit",
            "lora_target_modules": ["q_proj", "v_proj"], "sequence_len": 2048,
        },
        "rubric": {"weights": {"structure": 25, "correctness": 40, "similarity": 20, "completeness": 15}},
        "serving": {"temperature": 0.3, "top_p": 0.9, "num_ctx": 4096},
    }  # fmt: skip
    left = {note.split(" ")[0] for note in domain.notes if "has no counterpart in a pack" in note}
    assert left == {
        "icon", "data.max_response_length", "eval.judge_model", "training.use_rslora", "ollama.top_k", "ollama.stop",
    }  # fmt: skip
    assert [note.split(":")[0] for note in domain.notes if "sources" in note] == ["data.sources[2]", "data.sources[3]"]


def test_other_spellings_mean_the_same() -> None:
    pack = translate(json.loads((FOLDER / "spellings.json").read_text("utf-8"))).pack
    assert pack["base_model"] == "Qwen/Qwen2.5-Coder-7B-Instruct"
    assert pack["sources"] == [{"kind": "pulls", "path": "harbour/repositories", "role": "harbour"}]
    assert pack["quality"] == {"min_answer_chars": 60, "code": "required"}
    assert pack["dedup"] == {"near": True, "threshold": 0.85}
    assert pack["split"] == {"val": 0.1, "test": 0.1, "exact": True}
    assert pack["training"] == {
        "lora_r": 8, "lora_alpha": 16, "lora_dropout": 0.1, "lora_target_modules": ["q_proj"], "num_epochs": 2.0,
        "learning_rate": 1e-05, "micro_batch_size": 2, "lr_scheduler": "linear", "sequence_len": 1024,
    }  # fmt: skip
    assert pack["serving"] == {"temperature": 0, "num_ctx": 8192}


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"data": {"dedup": False}}, "data.dedup is off: here exact copies leave all the same."),
        ({"data": {"dedup": "magic"}}, "data.dedup: 'magic' is no way to find copies here; exact ones leave."),
        ({"data": {"train_split": 0.9}}, "the split's shares are not 1 together: val 0.1, test 0.1, the rest trains."),
        ({"data": {"sources": ["https://x.y/z"]}}, "data.sources[0]: a source at https://x.y/z has no counterpart."),
        ({"data": {"sources": [7]}}, "data.sources[0] is no object, so nothing of it was taken."),
        ({"data": 3}, "data is no object, so nothing of it was taken."),
        ({"training": {"lora_r": "many"}}, "training.lora_r is 'many', which is no number, and was left out."),
        ({"eval": {"tasks": [{"prompt": "x"}]}}, "eval.tasks is no .jsonl file of the rubric's tasks"),
        ({"eval": {"rubric": {"style": 1}}}, "eval.rubric does not weigh structure, correctness, similarity,"),
        ({"model_prefix": None}, "model_prefix is missing: it is forge-garden here."),
        ({"id": "My Garden"}, "id 'My Garden' is called my-garden here: files and models carry the name."),
    ],
)
def test_what_means_something_else_here_is_said(changed: dict[str, Any], sentence: str) -> None:
    assert any(note.startswith(sentence) for note in translate(LEAST | changed).notes)


def test_without_sources_the_answers_are_given_with_sessions() -> None:
    assert translate(LEAST).pack["sources"] == [{"kind": "qna", "path": "{sessions}", "role": "garden"}]


def test_everything_that_is_missing_comes_at_once() -> None:
    with pytest.raises(ConfigError) as error:
        translate({"id": "!", "base_model": "gpt"})
    assert list(error.value.problems) == [
        "id is missing, or no name. Give the domain an id such as legal.",
        "base_model 'gpt' is no model of the hub. Name one: --base-model Qwen/Qwen2.5-7B-Instruct.",
        "system_prompt is missing. Say in it what the model is.",
    ]


def imported(tmp_path: Path, *more: str, file: Path = FOLDER / "gardening.json") -> int:
    return main(["import", str(file), "--to", str(tmp_path / "packs"), *more])


def test_the_imported_pack_is_right_and_says_what_it_left_out(tmp_path: Path, capsys: Said) -> None:
    assert imported(tmp_path) == 0
    *notes, last = capsys.readouterr().out.splitlines()
    file = tmp_path / "packs" / "gardening.yml"
    assert last == f"Wrote {file}. Look at it: python -m configs.pack show {file}"
    text = file.read_text("utf-8")
    comments = " ".join(line.lstrip("# ") for line in text.splitlines() if line.startswith("#"))
    assert all(note in comments for note in notes) and len(notes) > 8
    assert problems_of_packs([file]) == []
    assert load_config(file).eval["tasks"] == "tests/packs/gardening.jsonl"
    assert main(["show", str(file)]) == 0


def test_a_pack_that_is_there_stays_unless_force_is_given(tmp_path: Path, capsys: Said) -> None:
    assert imported(tmp_path) == 0
    file = tmp_path / "packs" / "gardening.yml"
    file.write_text("mine: true\n")
    capsys.readouterr()
    assert imported(tmp_path) == 1
    assert capsys.readouterr().err == (
        f"{file} is there already. Give --force to replace it, or the domain another id.\n"
    )
    assert file.read_text() == "mine: true\n"
    assert imported(tmp_path, "--force", "--json") == 0
    assert json.loads(capsys.readouterr().out)["file"] == str(file)
    assert problems_of_packs([file]) == []


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"ollama": {"temperature": 9}}, "serving.temperature is 9. Give a number from 0 to 2."),
        ({"training": {"optim": "magic"}}, "`optimizer: 'magic'` is not what Axolotl takes"),
        ({"data": {"train_split": 0.1, "val_split": 0.6, "test_split": 0.6}}, "split.val + split.test must be in 0..1"),
    ],
)
def test_a_domain_that_would_be_a_wrong_pack_leaves_none(
    tmp_path: Path, capsys: Said, changed: dict[str, Any], sentence: str
) -> None:
    file = tmp_path / "garden.json"
    file.write_text(json.dumps(GARDEN | changed))
    tasks = ["--tasks", str(FOLDER / "gardening.jsonl")]
    assert imported(tmp_path, *tasks, file=file) == 1
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "packs").exists()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"{", "not the JSON of a domain"),
        (b"\xff\xfe", "not the JSON of a domain"),
        (b"[" * 200_000, "not the JSON of a domain"),
        (b"[1]", "The domain is no JSON object with an id, a system_prompt and so on."),
        (b" " * 1_000_001, "more than 1,000,000 bytes: no domain."),
        (json.dumps(LEAST).encode(), "garden has no tasks. Write eval/domains/garden.jsonl (docs/packs.md), or name a"),
    ],
)
def test_a_file_that_is_no_domain_is_one_sentence(tmp_path: Path, capsys: Said, content: bytes, sentence: str) -> None:
    file = tmp_path / "x.json"
    file.write_bytes(content)
    assert imported(tmp_path, file=file) == 1
    (said,) = capsys.readouterr().err.splitlines()
    assert sentence in said
    assert imported(tmp_path, file=tmp_path / "none.json") == 1
    assert capsys.readouterr().err == f"{tmp_path}/none.json: cannot be read (No such file or directory).\n"
