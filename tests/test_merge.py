"""What a merge takes from a recipe and says of itself, and where exports and their base lie.

The merges themselves run in test_gguf.py.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.adapter import Refusal
from deploy.exports import Kind, base_folder, base_name, export_path, size_of, unfinished
from deploy.merge import main, merge_recipe, told, version_number
from deploy.registry import Version
from deploy.source_model import read_chats

REPORT = {
    "base_in_4_bits": False,
    "texts_are": "fixed texts",
    "texts": 6,
    "tokens": 1234,
    "max_logit_difference": 2.7e-07,
    "argmax_agreement": 1.0,
}


@pytest.fixture
def version(tmp_path: Path) -> Version:
    """A version on a base in a local folder, with the recipe of its training."""
    folder = tmp_path / "adapters" / "mayor" / "v3"
    folder.mkdir(parents=True)
    base = tmp_path / "base"
    base.mkdir()
    (base / "config.json").write_text("{}", encoding="utf-8")
    recipe = {
        "base_model": str(base), "adapter": "qlora", "load_in_4bit": True, "lora_r": 8, "plugins": ["x.Y"],
        "datasets": [{"path": "gone.jsonl"}], "flash_attention": True, "deepspeed": "zero3.json",
    }  # fmt: skip
    (folder / "config.yml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
    return Version(
        role="mayor",
        number=3,
        folder=folder,
        base_model=str(base),
        base_revision=None,
        sha256="0" * 64,
        run="mayor",
        manifest_sha256=None,
        files={},
        notes=(),
        registered_at="2026-01-01T00:00:00+00:00",
        evaluation=None,
    )


def test_a_merge_takes_what_makes_the_weights_and_nothing_of_the_machine(version: Version, tmp_path: Path) -> None:
    recipe = merge_recipe(version, tmp_path / "base")
    assert (recipe["adapter"], recipe["load_in_4bit"], recipe["lora_r"]) == ("qlora", True, 8)
    assert recipe["base_model"] == str(tmp_path / "base")
    assert not {"plugins", "flash_attention", "deepspeed"} & set(recipe)
    assert recipe["datasets"] != [{"path": "gone.jsonl"}]


def test_a_version_without_a_recipe_is_a_plain_lora(version: Version, tmp_path: Path) -> None:
    (version.folder / "config.yml").unlink()
    assert merge_recipe(version, tmp_path / "base")["adapter"] == "lora"


def test_the_base_is_the_one_of_the_training_or_the_one_that_is_named(version: Version, tmp_path: Path) -> None:
    assert base_folder(version) == tmp_path / "base"
    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(Refusal, match=r"the base model of mayor@v3 is not in .*other. Say where it lies: --base DIR\."):
        base_folder(version, other)
    (other / "config.json").write_text("{}", encoding="utf-8")
    assert base_folder(version, other) == other


def test_a_base_that_moved_away_is_missed_by_its_name(version: Version, tmp_path: Path) -> None:
    (tmp_path / "base").rename(tmp_path / "moved")
    with pytest.raises(Refusal, match=r"is not in .*base\. Say where it lies: --base DIR"):
        base_folder(version)


def test_another_base_of_the_same_name_has_another_file(version: Version, tmp_path: Path) -> None:
    (tmp_path / "base" / "model.safetensors").write_bytes(b"one")
    first = base_name(version, tmp_path / "base")
    assert first.startswith("base-") and first == base_name(version, tmp_path / "base")
    (tmp_path / "base" / "model.safetensors").write_bytes(b"two")
    assert base_name(version, tmp_path / "base") != first
    of_hub = replace(version, base_model="Qwen/Qwen2.5-7B-Instruct")
    assert base_name(of_hub, tmp_path / "base").startswith("Qwen--Qwen2.5-7B-Instruct-")


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (Kind.MERGED, "merged"),
        (Kind.GGUF_F16, "gguf-f16.gguf"),
        (Kind.GGUF_Q4_K_M, "gguf-q4_k_m.gguf"),
        (Kind.GGUF_LORA, "gguf-lora.gguf"),
        (Kind.ONNX_INT8, "onnx-int8"),
    ],
)
def test_exports_lie_by_role_and_version(version: Version, kind: Kind, name: str) -> None:
    assert export_path(Path("out"), version, kind) == Path("out/exports/mayor/v3") / name


def test_what_fails_halfway_never_gets_its_name(tmp_path: Path) -> None:
    wanted = tmp_path / "there" / "gguf-f16.gguf"
    with pytest.raises(RuntimeError), unfinished(wanted) as place:
        place.write_bytes(b"half")
        raise RuntimeError
    assert list(wanted.parent.iterdir()) == []
    with unfinished(wanted) as place:
        place.write_bytes(b"whole")
    assert [path.name for path in wanted.parent.iterdir()] == [wanted.name] and size_of(wanted) == 5


def test_a_plain_merge_is_told_in_one_sentence(version: Version) -> None:
    assert told(version, REPORT) == (
        "Beside the adapter on its base, over 1,234 tokens of fixed texts: logits differ by 2.7e-07 at most, and the "
        "likeliest token is the same for 100.0%."
    )


def test_a_merge_onto_4_bits_is_told_as_another_model(version: Version) -> None:
    said = told(version, {**REPORT, "base_in_4_bits": True, "max_logit_difference": 0.137, "argmax_agreement": 0.95})
    assert said.startswith("mayor@v3 was trained on a base in 4 bits") and "another model" in said
    assert "differ by 0.14 at most" in said and said.endswith("Evaluate the one that you serve.")


@pytest.mark.parametrize("row", [
    {"conversations": [{"from": "human", "value": "Hi", "train": False}, {"from": "gpt", "value": "Ho"}]},
    {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]},
    {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"},
                  {"role": "assistant", "content": None, "tool_calls": []}, {"role": "tool", "content": "ok"}]},
])  # fmt: skip
def test_rows_of_both_forms_are_read_as_chats(tmp_path: Path, row: dict[str, Any]) -> None:
    rows = tmp_path / "mayor_val.jsonl"
    rows.write_text(3 * (json.dumps(row) + "\n"), encoding="utf-8")
    chat = ({"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"})
    assert read_chats(rows, 2) == [chat, chat]
    assert read_chats(tmp_path / "none.jsonl", 2) == []


@pytest.mark.parametrize(("text", "number"), [("3", 3), ("v12", 12)])
def test_a_version_is_a_number_with_or_without_its_letter(text: str, number: int) -> None:
    assert version_number(text) == number


def test_an_unknown_version_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["mayor", "7", "--root", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: ") and said.count("\n") == 1
