"""What has to be true of a GGUF file: the rules on values, and llama.cpp's own reader on a file made by hand."""

import json
import struct
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.adapter import Refusal
from deploy.engine import find_converters
from deploy.gguf_check import (
    FALLBACKS,
    K_QUANTS,
    Contents,
    Tensor,
    allowed_types,
    faults_of_adapter,
    faults_of_model,
    gguf_library,
    read,
    rope_theta,
    why_no_adapter,
)

CONFIG = {
    "model_type": "qwen2",
    "hidden_size": 256,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 512,
    "max_position_embeddings": 1024,
    "rope_parameters": {"rope_theta": 1.0e6, "rope_type": "default"},
}
FIELDS = {
    "general.architecture": "qwen2",
    "general.file_type": 15,
    "qwen2.embedding_length": 256,
    "qwen2.block_count": 1,
    "qwen2.attention.head_count": 4,
    "qwen2.attention.head_count_kv": 2,
    "qwen2.feed_forward_length": 512,
    "qwen2.context_length": 1024,
    "qwen2.rope.freq_base": 1.0e6,
    "tokenizer.chat_template": "{{ messages }}",
    "tokenizer.ggml.model": "gpt2",
    "tokenizer.ggml.pre": "qwen2",
    "tokenizer.ggml.tokens": 300,
}
TENSORS = (
    Tensor("token_embd.weight", (256, 300), "Q6_K"),
    Tensor("blk.0.attn_norm.weight", (256,), "F32"),
    Tensor("blk.0.attn_q.bias", (256,), "F32"),
    Tensor("blk.0.attn_q.weight", (256, 256), "Q4_K"),
    Tensor("blk.0.ffn_down.weight", (512, 256), "Q6_K"),
)
MODEL = Contents(FIELDS, TENSORS)


def test_a_right_model_has_no_fault() -> None:
    assert faults_of_model(MODEL, CONFIG, "Q4_K_M") == []


@pytest.mark.parametrize(
    ("key", "value", "fault"),
    [
        ("general.architecture", "llama", "general.architecture is llama, not qwen2"),
        ("general.file_type", 1, "general.file_type is 1, not 15 (Q4_K_M)"),
        ("qwen2.embedding_length", 128, "qwen2.embedding_length is 128, not 256"),
        ("qwen2.rope.freq_base", 10_000.0, "qwen2.rope.freq_base is 10000.0, not 1e+06"),
        ("qwen2.rope.freq_base", None, "qwen2.rope.freq_base is None, not 1e+06"),
        ("tokenizer.chat_template", "", "tokenizer.chat_template is missing"),
        ("tokenizer.ggml.pre", None, "tokenizer.ggml.pre is missing"),
        ("tokenizer.ggml.pre", "default", "tokenizer.ggml.pre is missing"),
        ("tokenizer.ggml.tokens", 0, "tokenizer.ggml.tokens is missing"),
    ],
)
def test_each_wrong_word_is_named(key: str, value: object, fault: str) -> None:
    assert fault in faults_of_model(replace(MODEL, fields={**FIELDS, key: value}), CONFIG, "Q4_K_M")


def test_the_base_of_the_rotation_is_read_from_both_generations_of_transformers() -> None:
    assert rope_theta({"rope_theta": 5.0e5}) == rope_theta({"rope_parameters": {"rope_theta": 5.0e5}}) == 5.0e5
    # Both are there in a file that was converted: the newer one is what transformers 5 reads.
    assert rope_theta({"rope_theta": 1.0e4, "rope_parameters": {"rope_theta": 1.0e6}}) == 1.0e6
    assert rope_theta({}) is None


@given(blocks=st.integers(1, 40), others=st.integers(1, 4096))
def test_rows_of_whole_blocks_must_be_k_quants_and_others_what_llama_cpp_falls_back_to(
    blocks: int, others: int
) -> None:
    assert allowed_types(Tensor("blk.0.ffn_up.weight", (256 * blocks, 8), "?"), "Q4_K_M") == K_QUANTS
    allowed = allowed_types(Tensor("blk.0.ffn_up.weight", (others, 8), "?"), "Q4_K_M")
    assert allowed == (K_QUANTS if others % 256 == 0 else FALLBACKS if others % 32 == 0 else ("F16",))


@pytest.mark.parametrize("name", ["blk.0.attn_norm.weight", "blk.0.attn_q.bias"])
@pytest.mark.parametrize("file_type", ["F16", "Q4_K_M"])
def test_what_has_one_dimension_stays_in_full(name: str, file_type: str) -> None:
    assert allowed_types(Tensor(name, (256,), "?"), file_type) == ("F32",)


def test_a_wrong_type_is_named_with_its_rows() -> None:
    wrong = Contents(FIELDS, (*TENSORS, Tensor("blk.0.ffn_up.weight", (512, 256), "Q5_0")))
    assert faults_of_model(wrong, CONFIG, "Q4_K_M") == [
        "blk.0.ffn_up.weight with rows of 512 is Q5_0, not Q4_K or Q5_K or Q6_K"
    ]


def test_a_model_in_which_nothing_fits_is_no_q4_k_m() -> None:
    """Its name would say Q4_K_M, and no tensor of it would be."""
    small = Contents(FIELDS, (Tensor("token_embd.weight", (128, 300), "Q8_0"), TENSORS[1]))
    (fault,) = faults_of_model(small, CONFIG, "Q4_K_M")
    assert fault.startswith("no tensor is Q4_K, because no row is a multiple of 256")


def test_a_model_in_16_bits_has_no_other_matrix() -> None:
    full = Contents({**FIELDS, "general.file_type": 1}, tuple(replace(one, type="F16") for one in TENSORS))
    assert faults_of_model(full, CONFIG, "F16") == [
        "blk.0.attn_norm.weight with rows of 256 is F16, not F32",
        "blk.0.attn_q.bias with rows of 256 is F16, not F32",
    ]


LORA = {"peft_type": "LORA", "lora_alpha": 32, "r": 16, "bias": "none", "use_dora": False, "modules_to_save": None}


def adapter(folder: Path, *names: str) -> Path:
    """A folder whose weights are only names."""
    header = json.dumps({name: {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for name in names}).encode()
    (folder / "adapter_model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    return folder


PAIR = ("layers.0.q_proj.lora_A.weight", "layers.0.q_proj.lora_B.weight")


@pytest.mark.parametrize(
    ("config", "names", "odd"),
    [
        ({}, PAIR, []),
        ({"modules_to_save": ["lm_head"]}, PAIR, ["modules_to_save: ['lm_head']"]),
        ({"trainable_token_indices": [1, 2]}, PAIR, ["trainable_token_indices: [1, 2]"]),
        ({"use_dora": True}, PAIR, ["use_dora: True"]),
        # llama.cpp divides alpha by the rank, not by its root.
        ({"use_rslora": True}, PAIR, ["use_rslora: True"]),
        ({"alpha_pattern": {"q_proj": 8}}, PAIR, ["alpha_pattern: {'q_proj': 8}"]),
        ({"bias": "all", "peft_type": "LORA"}, PAIR, ["bias: all"]),
        ({"peft_type": "IA3"}, PAIR, ["peft_type: IA3"]),
        ({}, (*PAIR, "model.embed_tokens.weight"), ["weights of model.embed_tokens.weight"]),
    ],
)
def test_what_a_gguf_lora_cannot_hold_is_named(
    tmp_path: Path, config: Mapping[str, Any], names: tuple[str, ...], odd: list[str]
) -> None:
    assert why_no_adapter({**LORA, **config}, adapter(tmp_path, *names)) == odd


def test_an_adapter_has_its_alpha_and_all_of_its_matrices(tmp_path: Path) -> None:
    folder = adapter(tmp_path, *PAIR)
    fields = {"general.type": "adapter", "adapter.type": "lora", "adapter.lora.alpha": 32.0}
    tensors = tuple(Tensor(f"blk.0.attn_q.weight.lora_{side}", (16, 256), "F32") for side in "ab")
    right = Contents({**fields, "general.architecture": "qwen2"}, tensors)
    assert faults_of_adapter(right, LORA, folder, "qwen2") == []
    assert faults_of_adapter(right, {**LORA, "lora_alpha": 8}, folder, "qwen2") == [
        "adapter.lora.alpha is 32.0, not 8.0"
    ]
    assert faults_of_adapter(right, LORA, folder, "llama") == ["general.architecture is qwen2, not llama"]
    assert faults_of_adapter(replace(right, tensors=tensors[:1]), LORA, folder, "qwen2") == [
        "there are 1 tensors, not 2"
    ]


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A file with llama.cpp's own writer."""
    if find_converters() is None:
        pytest.skip("llama.cpp's converters are not here; get them once: make engine")
    numpy = pytest.importorskip("numpy")
    writer = gguf_library().GGUFWriter(tmp_path / "one.gguf", "qwen2")
    writer.add_file_type(1)
    writer.add_rope_freq_base(1.0e6)
    writer.add_token_list(["a", "b", "c"])
    writer.add_tensor("token_embd.weight", numpy.zeros((3, 64), numpy.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return tmp_path / "one.gguf"


def test_a_file_is_read_as_it_was_written(written: Path) -> None:
    contents = read(written)
    assert contents.fields["general.architecture"] == "qwen2"
    assert contents.fields["qwen2.rope.freq_base"] == 1.0e6
    assert contents.fields["tokenizer.ggml.tokens"] == 3
    assert contents.tensors == (Tensor("token_embd.weight", (64, 3), "F16"),)
    assert contents.types == {"F16": 1}


@pytest.mark.parametrize("kept", [0, 3, 40, 0.5, 0.9])
def test_a_file_that_was_cut_is_refused_wherever_it_was_cut(written: Path, kept: float) -> None:
    whole = written.read_bytes()
    written.write_bytes(whole[: int(kept * len(whole)) if isinstance(kept, float) else kept])
    with pytest.raises(Refusal, match=r"one\.gguf is not a whole GGUF file"):
        read(written)
