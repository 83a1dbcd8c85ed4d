"""What must be true of a GGUF file before anybody runs it: its metadata and the types of its tensors.

Each check returns what is wrong, one phrase each, and an empty list where nothing is.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from deploy.adapter import WEIGHTS, Refusal
from deploy.engine import find_converters

# llama.cpp's numbers in general.file_type (enum llama_ftype).
FILE_TYPES: Final = {"F16": 1, "Q4_K_M": 15}
# llama.cpp's names of architectures, where they are not those of transformers without the underscores.
ARCHITECTURES: Final = {"mistral": "llama", "mixtral": "llama", "gemma3_text": "gemma3"}
SIZES: Final = {
    "embedding_length": "hidden_size",
    "block_count": "num_hidden_layers",
    "attention.head_count": "num_attention_heads",
    "attention.head_count_kv": "num_key_value_heads",
    "feed_forward_length": "intermediate_size",
    "context_length": "max_position_embeddings",
}
# Q4_K_M gives the tensors that matter more 6 bits (5 in some architectures). A block of these types has 256 weights of
# a row; where rows are no multiple of it, llama.cpp takes a type with blocks of 32 instead, and f16 where not even
# that fits (tensor_type_fallback in llama-quant.cpp).
K_QUANTS: Final = ("Q4_K", "Q5_K", "Q6_K")
FALLBACKS: Final = ("Q5_0", "Q5_1", "Q8_0")


@dataclass(frozen=True)
class Tensor:
    """One tensor: `shape[0]` is the length of a row, as llama.cpp writes it."""

    name: str
    shape: tuple[int, ...]
    type: str


@dataclass(frozen=True)
class Contents:
    """What a GGUF file says of itself."""

    fields: Mapping[str, Any]
    tensors: tuple[Tensor, ...]

    @property
    def types(self) -> dict[str, int]:
        """How many tensors there are of each type."""
        return dict(sorted(Counter(tensor.type for tensor in self.tensors).items()))


def read(path: Path) -> Contents:
    """Metadata (arrays as their length) and tensors of a file, by llama.cpp's own reader. Raises `Refusal`."""
    try:
        reader = gguf_library().GGUFReader(path)
        fields = {name: _value(field) for name, field in reader.fields.items()}
        tensors = tuple(Tensor(t.name, tuple(map(int, t.shape)), t.tensor_type.name) for t in reader.tensors)
    except (OSError, ValueError, IndexError, KeyError, OverflowError, UnicodeDecodeError) as problem:
        raise Refusal(f"{path} is not a whole GGUF file ({problem}). Make it again.") from None
    return Contents(fields, tensors)


def gguf_library() -> Any:
    """gguf-py of the very llama.cpp that converts. Raises `Refusal` where there is none."""
    folder = find_converters()
    if folder is None:
        raise Refusal("llama.cpp's converters are not here. Run: make engine.")
    library = str(folder / "gguf-py")
    if library not in sys.path:
        sys.path.insert(0, library)
    return importlib.import_module("gguf")


def _value(field: Any) -> Any:
    return len(field.data) if field.types and field.types[0].name == "ARRAY" else field.contents()


def faults_of_model(contents: Contents, config: Mapping[str, Any], file_type: str) -> list[str]:
    """What is wrong with a model of type F16 or Q4_K_M that was made from this config.json."""
    return [
        *_faults_of_sizes(contents.fields, config),
        *_faults_of_tokenizer(contents.fields),
        *_faults_of_types(contents, file_type),
    ]


def _faults_of_sizes(fields: Mapping[str, Any], config: Mapping[str, Any]) -> Iterator[str]:
    kind = str(config.get("model_type"))
    architecture = ARCHITECTURES.get(kind, kind.replace("_", ""))
    name = str(fields.get("general.architecture"))
    if name != architecture:
        yield f"general.architecture is {name}, not {architecture}"
    for key, of_config in SIZES.items():
        found, wanted = fields.get(f"{name}.{key}"), config.get(of_config)
        if wanted is not None and found != wanted:
            yield f"{name}.{key} is {found}, not {wanted}"
    found, theta = fields.get(f"{name}.rope.freq_base"), rope_theta(config)
    if theta is not None and (found is None or abs(found - theta) > 1e-6 * theta):
        yield f"{name}.rope.freq_base is {found}, not {theta:g}"


def rope_theta(config: Mapping[str, Any]) -> float | None:
    """The base of the rotation: in `rope_parameters` since transformers 5, `rope_theta` before."""
    parameters = config.get("rope_parameters")
    inside = parameters.get("rope_theta") if isinstance(parameters, Mapping) else None
    theta = config.get("rope_theta") if inside is None else inside
    return None if theta is None else float(theta)


def _faults_of_tokenizer(fields: Mapping[str, Any]) -> Iterator[str]:
    if not fields.get("tokenizer.chat_template"):
        yield "tokenizer.chat_template is missing"
    if not fields.get("tokenizer.ggml.tokens"):
        yield "tokenizer.ggml.tokens is missing"
    if fields.get("tokenizer.ggml.model") == "gpt2" and fields.get("tokenizer.ggml.pre") in (None, "", "default"):
        yield "tokenizer.ggml.pre is missing"


def _faults_of_types(contents: Contents, file_type: str) -> Iterator[str]:
    found = contents.fields.get("general.file_type")
    if found != FILE_TYPES[file_type]:
        yield f"general.file_type is {found}, not {FILE_TYPES[file_type]} ({file_type})"
    for tensor in contents.tensors:
        allowed = allowed_types(tensor, file_type)
        if tensor.type not in allowed:
            yield f"{tensor.name} with rows of {tensor.shape[0]} is {tensor.type}, not {' or '.join(allowed)}"
    if file_type == "Q4_K_M" and "Q4_K" not in contents.types:
        yield "no tensor is Q4_K, because no row is a multiple of 256: there is no Q4_K_M of this model"


def allowed_types(tensor: Tensor, file_type: str) -> tuple[str, ...]:
    """The types that a tensor may have; what has one dimension, or only steers, stays in full."""
    matrix = len(tensor.shape) > 1 and tensor.name.endswith(".weight") and "_norm" not in tensor.name
    if not matrix:
        return ("F32",)
    if "ffn_gate_inp" in tensor.name:
        return ("F32", "F16")
    if file_type == "F16":
        return ("F16",)
    if tensor.shape[0] % 256 == 0:
        return K_QUANTS
    return FALLBACKS if tensor.shape[0] % 32 == 0 else ("F16",)


def faults_of_adapter(contents: Contents, config: Mapping[str, Any], adapter: Path, architecture: str) -> list[str]:
    """What is wrong with a LoRA that was made from the folder `adapter` (`config` is its adapter_config.json)."""
    alpha = float(config["lora_alpha"])
    wanted = {
        "general.type": "adapter",
        "adapter.type": "lora",
        "adapter.lora.alpha": alpha,
        "general.architecture": architecture,
    }
    wrong = [
        f"{key} is {contents.fields.get(key)}, not {value}"
        for key, value in wanted.items()
        if contents.fields.get(key) != value
    ]
    matrices = sum(".lora_" in name for name in _tensor_names(adapter / WEIGHTS))
    if len(contents.tensors) != matrices:
        wrong.append(f"there are {len(contents.tensors)} tensors, not {matrices}")
    wrong += [f"{tensor.name} is {tensor.type}, not F32" for tensor in contents.tensors if tensor.type != "F32"]
    return wrong


def _tensor_names(weights: Path) -> list[str]:
    with weights.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        return [name for name in json.loads(stream.read(length)) if name != "__metadata__"]


def why_no_adapter(config: Mapping[str, Any], adapter: Path) -> list[str]:
    """What of an adapter has no place in a GGUF LoRA, which knows pairs of matrices and one alpha for all of them."""
    plain: Mapping[str, Any] = {
        "peft_type": "LORA", "modules_to_save": None, "trainable_token_indices": None, "use_dora": False,
        "use_rslora": False, "alpha_pattern": {}, "bias": "none", "lora_bias": False,
    }  # fmt: skip
    odd = [f"{key}: {config[key]}" for key, usual in plain.items() if config.get(key) and config[key] != usual]
    whole = [name for name in _tensor_names(adapter / WEIGHTS) if "embed_tokens" in name or "lm_head" in name]
    return [*odd, *(f"weights of {name}" for name in whole[:1])]
