"""The texts inside binary model files: the metadata of safetensors, the key-value pairs of GGUF.

`texts_in(path)` reads the header only, never the tensors: the converters write names, addresses and the chat template
there, and whatever was a path on this machine may be among them. It needs no llama.cpp, so that a file can be pushed
from a machine without one.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from deploy.adapter import Refusal, check_weights

# Format of GGUF: "GGUF", version, number of tensors and of pairs; a pair is a key, a type and a value
# (ggml's docs/gguf.md). Strings are their length in 8 bytes and UTF-8; numbers are little-endian.
MAGIC = b"GGUF"
VERSIONS = (2, 3)
STRING, ARRAY = 8, 9
SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}  # bytes of a number, by its type
# Nothing in a header is longer; a larger number means that this is no header.
LONGEST = 100_000_000
# Word pieces by the hundred thousand: they are read as a vocabulary, not as prose.
VOCABULARY = re.compile(r"tokenizer\.ggml\.(tokens|merges)")


@dataclass(frozen=True)
class Text:
    """One text of a file; `label` says where it stands."""

    label: str
    content: str
    vocabulary: bool = False
    """whether it holds word pieces, in which only long and certain finds count"""


def texts_in(path: Path) -> Iterator[Text]:
    """The texts of a binary file. Raises `Refusal` where it is damaged, or of a kind that we do not know."""
    match path.suffix:
        case ".safetensors":
            yield Text(f"metadata of {path.name}", "\n".join(check_weights(path).values()))
        case ".gguf":
            yield from _gguf_texts(path)
        case ".model":
            yield Text(path.name, path.read_bytes().decode("latin-1"), vocabulary=True)
        case _:
            raise Refusal(f"{path} is of a kind that is not published.")


def _gguf_texts(path: Path) -> Iterator[Text]:
    try:
        with path.open("rb") as stream:
            for key, texts in _pairs(stream):
                yield Text(f"{key} of {path.name}", "\n".join(texts), VOCABULARY.fullmatch(key) is not None)
    except (OSError, ValueError, struct.error, KeyError) as problem:
        raise Refusal(f"{path} is not a whole GGUF file ({problem}). Make it again: python -m deploy.gguf.") from None


def _pairs(stream: BinaryIO) -> Iterator[tuple[str, list[str]]]:
    """Each key with the strings in its value; keys can hold a name as well, so they count as text of their own."""
    magic, version, _, count = struct.unpack("<4sIQQ", stream.read(24))
    if magic != MAGIC or version not in VERSIONS:
        raise ValueError("its first bytes are not those of a GGUF file")
    for _ in range(count):
        key = _string(stream)
        (kind,) = struct.unpack("<I", stream.read(4))
        yield key, [key, *_strings(stream, kind)]


def _strings(stream: BinaryIO, kind: int) -> Iterator[str]:
    """The strings of a value; numbers are passed over."""
    if kind == STRING:
        yield _string(stream)
    elif kind == ARRAY:
        inner, length = struct.unpack("<IQ", stream.read(12))
        if inner in SIZES:
            _skip(stream, SIZES[inner] * length)
        else:
            for _ in range(length):
                yield from _strings(stream, inner)
    else:
        _skip(stream, SIZES[kind])


def _string(stream: BinaryIO) -> str:
    (length,) = struct.unpack("<Q", stream.read(8))
    if length > LONGEST or len(content := stream.read(length)) < length:
        raise ValueError("a text in it is cut off")
    return content.decode("utf-8", errors="replace")


def _skip(stream: BinaryIO, length: int) -> None:
    if length > LONGEST or len(stream.read(length)) < length:
        raise ValueError("a number in it is cut off")
