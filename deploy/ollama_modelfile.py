"""What Ollama has to know of a version besides its weights: where answers end, how much text fits, whose licence holds.

No template is written: current versions of Ollama use the one that stands in the GGUF file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from deploy.adapter import Refusal, read_object
from deploy.exports import recipe_of
from deploy.licences import licence_of
from deploy.pack import Serving
from deploy.registry import Version

NO_SERVING: Final = Serving()


@dataclass(frozen=True)
class Family:
    """How the models of a family write chats."""

    opening: str
    """what a chat template writes before each message"""
    stops: tuple[str, ...]
    """what ends an answer"""


# From the generation_config.json and the chat templates of Qwen2.5 and Llama 3.1.
FAMILIES: Final = {
    "<|im_end|>": Family("<|im_start|>", ("<|im_end|>", "<|endoftext|>")),
    "<|eot_id|>": Family("<|start_header_id|>", ("<|eot_id|>", "<|eom_id|>", "<|end_of_text|>")),
}
NAMES: Final = {"Qwen/": "<|im_end|>", "meta-llama/Llama-3": "<|eot_id|>", "meta-llama/Meta-Llama-3": "<|eot_id|>"}


@dataclass(frozen=True)
class Described:
    """What a tag holds: the model's file with its digest, parameters as Ollama's API takes them, and a licence."""

    model: Path
    sha256: str
    parameters: Mapping[str, Any]
    licence: str
    opening: str | None
    """what the model's chat template has to write, where its family is known"""

    @property
    def digest(self) -> str:
        """As Ollama names blobs."""
        return f"sha256:{self.sha256}"

    def lines(self) -> list[tuple[str, str]]:
        """The parameters one by one, values as they stand in a Modelfile; a list is several of the same name."""
        pairs = [
            (name, each)
            for name, value in self.parameters.items()
            for each in (value if isinstance(value, list) else [value])
        ]
        return [(name, json.dumps(value, ensure_ascii=False)) for name, value in pairs]


def describe(
    version: Version,
    model: Path,
    sha256: str,
    temperature: float,
    stops: Sequence[str] | None = None,
    serving: Serving = NO_SERVING,
) -> Described:
    """What the tag of a version holds. Raises `Refusal` where nobody knows what ends its answers.

    A chat may be as long as its pack says, else as the rows were that it was trained on.
    """
    family = family_of(version)
    if family is None and not stops:
        raise Refusal(
            f"nobody here knows what ends an answer of {version.base_model}. "
            "Say it, once for each such text: --stop '<|im_end|>'."
        )
    for stop in stops or ():
        if not stop or '"' in stop or "\n" in stop:
            raise Refusal(
                f"--stop {stop!r} cannot stand in a Modelfile: it is empty, or holds a quote or a line break."
            )
    length = serving.num_ctx or recipe_of(version).get("sequence_len")
    parameters: dict[str, Any] = {"num_ctx": length} if isinstance(length, int) else {}
    parameters |= {"top_p": serving.top_p} if serving.top_p is not None else {}
    parameters |= {"temperature": temperature, "stop": list(stops or (family.stops if family else ()))}
    return Described(model, sha256, parameters, licence_line(version.base_model), family.opening if family else None)


def family_of(version: Version) -> Family | None:
    """By the name of the base, else by the special tokens of the version's own tokenizer."""
    for start, end in NAMES.items():
        if version.base_model.startswith(start):
            return FAMILIES[end]
    path = version.folder / "tokenizer.json"
    added = read_object(path).get("added_tokens", []) if path.is_file() else []
    known = [token.get("content") for token in added if isinstance(token, dict)]
    return next((family for end, family in FAMILIES.items() if end in known), None)


def licence_line(base_model: str) -> str:
    """Under what the model may be used: that of its base."""
    licence = licence_of(base_model)
    if licence is None:
        return f"The licence of the base model {base_model} applies."
    link = f" ({licence.link})" if licence.link else ""
    said = [f"{licence.name or licence.identifier}{link}, the licence of the base model {base_model}, applies."]
    said += [f"{licence.built_with}."] if licence.built_with else []
    return " ".join([*said, licence.notice]).strip()


def modelfile(described: Described, folder: Path) -> str:
    """The Modelfile that makes the same tag with `ollama create NAME -f Modelfile`, to lie in `folder`."""
    beside = os.path.relpath(described.model, folder)
    source = described.model.resolve() if beside.startswith("..") else f"./{beside}"
    parameters = [f"PARAMETER {name} {value}" for name, value in described.lines()]
    return "\n".join([f"FROM {source}", *parameters, f'LICENSE """{described.licence}"""', ""])
