"""Small whole model files for tests of what is published: GGUF with any metadata, a merged model in two shards."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Mapping
from pathlib import Path

Value = str | int | list[str] | list[int]


def gguf(pairs: Mapping[str, Value], data: bytes = b"") -> bytes:
    """A GGUF file of version 3 with these pairs and no tensors; `data` is appended as it is."""
    body = b"".join(_string(key) + _value(value) for key, value in pairs.items())
    return b"GGUF" + struct.pack("<IQQ", 3, 0, len(pairs)) + body + data


def _string(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


def _value(value: Value) -> bytes:
    if isinstance(value, str):
        return struct.pack("<I", 8) + _string(value)
    if isinstance(value, int):
        return struct.pack("<Ii", 5, value)
    inner = 8 if all(isinstance(item, str) for item in value) else 5
    items = b"".join(_string(item) if isinstance(item, str) else struct.pack("<i", item) for item in value)
    return struct.pack("<IIQ", 9, inner, len(value)) + items


def merged_model(folder: Path, base: str = "/home/somebody/base", seed: int = 1) -> Path:
    """A folder as a merge leaves it, with what must stay here beside it."""
    folder.mkdir(parents=True)
    shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    for number, name in enumerate(shards):
        (folder / name).write_bytes(safetensors(seed * 10 + number, tensor=f"layer.{number}"))
    weight_map = {f"layer.{number}": name for number, name in enumerate(shards)}
    write(folder / "model.safetensors.index.json", {"metadata": {"total_size": 8192}, "weight_map": weight_map})
    write(folder / "config.json", {"_name_or_path": base, "model_type": "qwen2"})
    write(folder / "generation_config.json", {"temperature": 0.2})
    write(folder / "tokenizer.json", {"model": {"vocab": {"a": 0}}})
    write(folder / "debug.json", {"dataset": "/home/somebody/rows.jsonl"})
    return folder


def safetensors(seed: int, metadata: Mapping[str, str] | None = None, tensor: str = "a") -> bytes:
    """A whole safetensors file with one tensor of noise."""
    data = random.Random(seed).randbytes(4096)
    tensors = {tensor: {"dtype": "F32", "shape": [1024], "data_offsets": [0, 4096]}}
    header = json.dumps({**({"__metadata__": dict(metadata)} if metadata else {}), **tensors}).encode()
    return struct.pack("<Q", len(header)) + header + data


def write(path: Path, value: object) -> Path:
    """A JSON file."""
    path.write_text(json.dumps(value), encoding="utf-8")
    return path
