"""What --model names, and the adapters that are refused before anything is loaded."""

import json
from pathlib import Path

import pytest

from eval.errors import BadInput
from eval.targets import Server, read_adapter, resolve_target, shape_fault, tensor_shapes

BASE = "Qwen/Qwen2.5-7B-Instruct"
Q_PROJ = "base_model.model.model.layers.1.self_attn.q_proj.lora_A.weight"


def write_adapter(folder: Path, base: str = BASE, shapes: dict[str, list[int]] | None = None) -> Path:
    """An adapter folder with the header of its weights and no numbers."""
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": base}))
    entries = {name: {"dtype": "F32", "shape": shape, "data_offsets": [0, 0]} for name, shape in (shapes or {}).items()}
    header = json.dumps({"__metadata__": {"format": "pt"}, **entries}).encode()
    (folder / "adapter_model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    return folder


def test_base_is_the_configured_model_unless_another_is_given() -> None:
    assert resolve_target("base", None, BASE).base_model == BASE
    assert resolve_target("base", "other/model", BASE).base_model == "other/model"


def test_an_adapter_brings_its_own_base(tmp_path: Path) -> None:
    folder = write_adapter(tmp_path / "mayor", base="other/model")
    assert resolve_target(str(folder), None, BASE).base_model == "other/model"
    assert resolve_target(str(folder), "other/model/", BASE).base_model == "other/model/"


def test_an_adapter_of_another_base_is_refused_with_the_right_option(tmp_path: Path) -> None:
    folder = write_adapter(tmp_path / "mayor", base="other/model")
    with pytest.raises(BadInput, match=r"was trained on other/model, not on .* give --base-model other/model"):
        resolve_target(str(folder), BASE, BASE)


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ("adapter_config.json", "does not exist; make it with `scripts/train.sh ROLE`"),
        ("adapter_model.safetensors", "holds no readable adapter_model.safetensors"),
    ],
)
def test_an_unfinished_adapter_is_refused(tmp_path: Path, broken: str, said: str) -> None:
    folder = write_adapter(tmp_path / "mayor")
    (folder / broken).unlink()
    with pytest.raises(BadInput, match=said):
        read_adapter(folder)


@pytest.mark.parametrize("config", ["", "[]", "{}", '{"base_model_name_or_path": null}'])
def test_an_adapter_config_without_a_base_is_refused(tmp_path: Path, config: str) -> None:
    folder = write_adapter(tmp_path / "mayor")
    (folder / "adapter_config.json").write_text(config)
    with pytest.raises(BadInput, match=r"adapter_config\.json"):
        read_adapter(folder)


def test_the_hash_of_an_adapter_changes_with_its_weights(tmp_path: Path) -> None:
    one = read_adapter(write_adapter(tmp_path / "a", shapes={"x": [1]}))
    two = read_adapter(write_adapter(tmp_path / "b", shapes={"x": [2]}))
    assert one.sha256 != two.sha256


def test_shapes_are_compared_with_the_base(tmp_path: Path) -> None:
    shapes = tensor_shapes(write_adapter(tmp_path / "a", shapes={Q_PROJ: [8, 64]}) / "adapter_model.safetensors")
    assert shapes == {Q_PROJ: (8, 64)}
    assert shape_fault(shapes, {"hidden_size": 64, "num_hidden_layers": 2}) is None
    assert "read 64 values" in (shape_fault(shapes, {"hidden_size": 32, "num_hidden_layers": 2}) or "")
    assert "layer 1" in (shape_fault(shapes, {"hidden_size": 64, "num_hidden_layers": 1}) or "")


@pytest.mark.parametrize("raw", [b"", b"123", b"\xff" * 40, (5).to_bytes(8, "little") + b"[1,2]"])
def test_weights_that_are_no_safetensors_file_are_refused(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "w").write_bytes(raw)
    with pytest.raises(BadInput, match="is not a safetensors file"):
        tensor_shapes(tmp_path / "w")


def test_a_server_is_named_by_address_and_model_and_no_password_is_kept() -> None:
    target = resolve_target("http://me:secret@host:8000/v1/#mayor", None, BASE)
    assert target.server == Server("http://me:secret@host:8000/v1", "mayor")
    assert "secret" not in target.label
    with pytest.raises(BadInput, match="names no model"):
        resolve_target("http://host/v1", None, BASE)
