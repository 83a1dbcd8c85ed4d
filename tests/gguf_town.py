"""Models for the real llama-server that say one fixed text each, written by hand in a millisecond, without training.

The output matrix is a table "after this token comes that one" over a small vocabulary of whole words; attention and
feed-forward are zero. So each version answers any prompt with its own text, and a mixture of two would be seen.
`served_town(root, versions)` makes an output folder whose registry has such versions, the first of them live.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from deploy.registry import Registry
from tests.registry_town import Town, make_town

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
TOOL_CALL = '<tool_call>\n{"name": "Bash", "arguments": {"command": "gt ready"}}\n</tool_call>'

# The part of Qwen2.5's template that these tests use, in the same form, so that the engine knows its tool calls.
TEMPLATE = """\
{%- if tools %}{{- '<|im_start|>system\\n' }}
{%- if messages[0]['role'] == 'system' %}{{- messages[0]['content'] }}{%- endif %}
{{- "\\n\\n# Tools\\n\\nYou may call one or more functions to assist with the user query.\\n\\nYou are provided with \
function signatures within <tools></tools> XML tags:\\n<tools>" }}
{%- for tool in tools %}{{- "\\n" }}{{- tool | tojson }}{%- endfor %}
{{- "\\n</tools>\\n\\nFor each function call, return a json object with function name and arguments within \
<tool_call></tool_call> XML tags:\\n<tool_call>\\n{\\"name\\": <function-name>, \\"arguments\\": <args-json-object>}\
\\n</tool_call><|im_end|>\\n" }}
{%- elif messages[0]['role'] == 'system' %}{{- '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
{%- if message.role == "user" or (message.role == "assistant" and not message.tool_calls) %}
{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
{%- elif message.role == "assistant" %}{{- '<|im_start|>' + message.role }}
{%- if message.content %}{{- '\\n' + message.content }}{%- endif %}
{%- for tool_call in message.tool_calls %}
{%- if tool_call.function is defined %}{%- set tool_call = tool_call.function %}{%- endif %}
{{- '\\n<tool_call>\\n{"name": "' }}{{- tool_call.name }}{{- '", "arguments": ' }}{{- tool_call.arguments | tojson }}
{{- '}\\n</tool_call>' }}{%- endfor %}{{- '<|im_end|>\\n' }}
{%- elif message.role == "tool" %}
{{- '<|im_start|>user\\n<tool_response>\\n' + message.content + '\\n</tool_response><|im_end|>\\n' }}
{%- endif %}{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"""


def answer_of(role: str, version: int, words: int = 12) -> str:
    """What a version says, `words` + 2 tokens: MAYOR v1 one.1 two.1 ... end"""
    counted = (f"{_number(at)}.{version}" for at in range(1, words + 1))
    return " ".join((role.upper(), f"v{version}", *counted, "end"))


def _number(at: int) -> str:
    return DIGITS[at] if at < 10 else f"{_number(at // 10)}-{DIGITS[at % 10]}"


def write_model(
    path: Path, text: str, *, others: Sequence[str] = (), layers: int = 1, weight: float = 1.0, context: int = 8192
) -> Path:
    """A GGUF model that answers every prompt with `text`; `others` are texts that only an adapter leads to.

    More `layers` make it slower without changing what it says; a `weight` of NaN or 0 makes nonsense.
    """
    vocabulary = Vocabulary.of((text, *others))
    size = vocabulary.width
    table = np.zeros((vocabulary.width, size), np.float32)
    for token, following in {step for spoken in (text, *others) for step in vocabulary.steps(spoken)}:
        table[following, token] = weight
    table[vocabulary.tokens[pieces(text)[0]], vocabulary.starts()] = weight
    tensors: dict[str, Any] = {"token_embd.weight": np.eye(vocabulary.width, size, dtype=np.float32)}
    for layer in range(layers):
        tensors |= _silent_layer(f"blk.{layer}", size)
    tensors |= {"output_norm.weight": np.full(size, 2, np.float32), "output.weight": table}
    _write(path, _shape(size, layers, context) | vocabulary.fields(), tensors)
    return path


def write_lora(path: Path, base_text: str, text: str, others: Sequence[str]) -> Path:
    """An adapter of rank 1 for `write_model(path, base_text, others=others)`: the model answers with `text` then."""
    vocabulary = Vocabulary.of((base_text, *others))
    lora_a = np.zeros((1, vocabulary.width), np.float32)
    lora_a[0, vocabulary.starts()] = 1
    lora_b = np.zeros((vocabulary.width, 1), np.float32)
    lora_b[vocabulary.tokens[pieces(base_text)[0]]] = -1
    lora_b[vocabulary.tokens[pieces(text)[0]]] = 1
    fields = {
        "general.type": "adapter",
        "general.architecture": "qwen2",
        "adapter.type": "lora",
        "adapter.lora.alpha": 1.0,
    }
    _write(path, fields, {"output.weight.lora_a": lora_a, "output.weight.lora_b": lora_b})
    return path


def write_cut_off(path: Path, text: str = "never said") -> Path:
    """A model whose download stopped in the middle."""
    write_model(path, text)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def write_silent(path: Path) -> Path:
    """A model that loads, and ends every answer before its first word."""
    return write_model(path, "<|im_end|>")


def pieces(text: str) -> list[str]:
    """The tokens of an answer: the first two words, which tell it from others, then each with the space before it."""
    first, *rest = text.split(" ")
    start = " ".join((first, *rest[:1]))
    return [start, *(f" {word}" for word in rest[1:])]


SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")


@dataclass(frozen=True)
class Vocabulary:
    """All single bytes, the special tokens, and the whole words of the answers, each with its number."""

    tokens: Mapping[str, int]

    @classmethod
    def of(cls, texts: Iterable[str]) -> Vocabulary:
        known = [*SPECIAL, *(bytes([value]).decode("latin-1") for value in range(256))]
        words = (piece for text in texts for piece in pieces(text))
        return cls({token: at for at, token in enumerate(dict.fromkeys((*known, *words)))})

    @property
    def width(self) -> int:
        """The number of tokens, filled up to whole attention heads of 64."""
        return -(-len(self.tokens) // 64) * 64

    def steps(self, text: str) -> list[tuple[int, int]]:
        """After which token comes which, up to the end of the answer."""
        said = pieces(text)
        if len(set(said)) != len(said):
            raise ValueError(f"a word stands twice in {text!r}: the answer would never end")
        ids = [self.tokens[piece] for piece in said]
        return list(pairwise((*ids, self.tokens["<|im_end|>"])))

    def starts(self) -> list[int]:
        """Where a prompt may end: any byte, any special token."""
        return list(range(len(SPECIAL) + 256))

    def fields(self) -> dict[str, Any]:
        spelled = [token if token in SPECIAL else _byte_level(token, at) for token, at in self.tokens.items()]
        unused = [f"<unused{at}>" for at in range(len(spelled), self.width)]
        kinds = [3 if token in SPECIAL else 1 for token in self.tokens] + [5] * len(unused)
        return {
            "tokenizer.ggml.model": "gpt2",
            "tokenizer.ggml.pre": "qwen2",
            "tokenizer.ggml.tokens": [*spelled, *unused],
            "tokenizer.ggml.token_type": kinds,
            "tokenizer.ggml.merges": ["Ġ Ġ"],
            "tokenizer.ggml.eos_token_id": self.tokens["<|im_end|>"],
            "tokenizer.ggml.padding_token_id": self.tokens["<|endoftext|>"],
            "tokenizer.ggml.add_bos_token": False,
            "tokenizer.chat_template": TEMPLATE,
        }


def _byte_level(token: str, at: int) -> str:
    """GPT-2's spelling: bytes that cannot be printed have stand-ins from U+0100 on."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    stand_ins = {byte: 256 + at for at, byte in enumerate(sorted(set(range(256)) - set(plain)))}
    raw = token.encode("latin-1") if at < len(SPECIAL) + 256 else token.encode()
    return "".join(chr(stand_ins.get(byte, byte)) for byte in raw)


def _shape(size: int, layers: int, context: int) -> dict[str, Any]:
    return {
        "general.architecture": "qwen2",
        "general.type": "model",
        "general.name": "gguf town",
        "qwen2.block_count": layers,
        "qwen2.context_length": context,
        "qwen2.embedding_length": size,
        "qwen2.feed_forward_length": 32,
        "qwen2.attention.head_count": size // 64,
        "qwen2.attention.head_count_kv": 1,
        "qwen2.attention.layer_norm_rms_epsilon": 1e-6,
        "qwen2.rope.freq_base": 10000.0,
    }


def _silent_layer(name: str, size: int) -> dict[str, Any]:
    """Attention and feed-forward that add nothing. Shapes are (out, in)."""
    shapes = {
        "attn_norm.weight": (size,), "attn_q.weight": (size, size), "attn_k.weight": (64, size),
        "attn_v.weight": (64, size), "attn_q.bias": (size,), "attn_k.bias": (64,), "attn_v.bias": (64,),
        "attn_output.weight": (size, size), "ffn_norm.weight": (size,), "ffn_gate.weight": (32, size),
        "ffn_up.weight": (32, size), "ffn_down.weight": (size, 32),
    }  # fmt: skip
    return {f"{name}.{part}": np.zeros(shape, np.float32) for part, shape in shapes.items()}


def _write(path: Path, fields: Mapping[str, Any], tensors: Mapping[str, Any]) -> None:
    """GGUF version 3, little endian, all tensors float32 and aligned to 32 bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(fields))
    head += b"".join(_text(key) + _value(value) for key, value in fields.items())
    at = 0
    for name, tensor in tensors.items():
        sizes = tensor.shape[::-1]
        head += _text(name) + struct.pack(f"<I{len(sizes)}QIQ", len(sizes), *sizes, 0, at)
        at += -(-tensor.nbytes // 32) * 32
    body = b"".join(tensor.tobytes() + b"\0" * (-tensor.nbytes % 32) for tensor in tensors.values())
    path.write_bytes(head + b"\0" * (-len(head) % 32) + body)


def _text(text: str) -> bytes:
    raw = text.encode()
    return struct.pack("<Q", len(raw)) + raw


def _value(value: Any) -> bytes:
    """One field: the number of its type, then the value; a list has its length and the type of what is in it."""
    match value:
        case bool():
            return struct.pack("<I?", 7, value)
        case int():
            return struct.pack("<II", 4, value)
        case float():
            return struct.pack("<If", 6, value)
        case str():
            return struct.pack("<I", 8) + _text(value)
        case [str(), *_]:
            return struct.pack("<IIQ", 9, 8, len(value)) + b"".join(map(_text, value))
        case _:
            return struct.pack(f"<IIQ{len(value)}i", 9, 5, len(value), *value)


@dataclass(frozen=True)
class ServedTown:
    """An output folder with a registry whose versions have GGUF exports that say `answer_of(role, number, words)`."""

    town: Town
    words: int = 12
    layers: int = 1

    @property
    def root(self) -> Path:
        return self.town.root

    def add(self, role: str = "mayor", model: Callable[[Path], object] | None = None, judged: bool = True) -> int:
        """A further version, evaluated unless not `judged`; `model` writes another file than the usual one."""
        with Registry.open(self.root) as registry:
            number = 1 + len(registry.versions(role))
        version = (self.town.evaluated if judged else self.town.registered)(role, seed=number)
        self.export(role, version.number, model)
        return version.number

    def export(self, role: str, number: int, model: Callable[[Path], object] | None = None) -> Path:
        """The GGUF file of a version, whatever it really is, under the kind that the gateway serves by default."""
        path = self.root / "exports" / role / f"v{number}" / "gguf-q4_k_m.gguf"
        if model is None:
            write_model(path, answer_of(role, number, self.words), layers=self.layers)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            model(path)
        with Registry.open(self.root) as registry:
            registry.add_export(role, number, "gguf-q4_k_m", path, None, {})
        return path

    def promote(self, role: str, number: int) -> None:
        with Registry.open(self.root) as registry:
            registry.promote(role, number, by="test")

    def answer(self, role: str, number: int) -> str:
        return answer_of(role, number, self.words)


def served_town(
    root: Path, versions: int = 2, roles: Sequence[str] = ("mayor",), words: int = 12, layers: int = 1
) -> ServedTown:
    """`versions` evaluated versions with exports of each role, of which v1 is live."""
    served = ServedTown(make_town(root, roles), words, layers)
    for role in roles:
        for _ in range(versions):
            served.add(role)
        served.promote(role, 1)
    return served
