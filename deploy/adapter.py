"""Reads an adapter folder as a finished training leaves it (`output/adapters/<role>`).

`read_adapter(folder, base_model)` checks that it is one, finds the Hub id of its base, and says which of its
files may be published.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
TOKENIZER = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "tokenizer.model",
    "chat_template.jinja",
)
# All that ever goes up besides our own README.md. run.json stays here: it names paths, and the card tells the rest.
PUBLISHABLE = (CONFIG, WEIGHTS, *TOKENIZER)

# The Hub's rule for ids: one slash, each part of letters, digits, `-`, `_`, `.`, at most 96 characters.
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)


class Refusal(Exception):
    """Why nothing is done; the message is one sentence that says what is wrong and how to fix it."""


@dataclass(frozen=True)
class Adapter:
    """An adapter folder that was read and checked."""

    folder: Path
    base_model: str
    """Hub id of the base model, never a path."""
    config: Mapping[str, Any]
    """adapter_config.json as PEFT wrote it."""
    files: tuple[str, ...]
    """Names of the files that may be published, in the order of `PUBLISHABLE`."""
    left_out: tuple[str, ...]
    """Names of everything else in the folder."""


def read_adapter(folder: Path, base_model: str | None = None) -> Adapter:
    """The adapter in `folder`; `base_model` is the Hub id to use where adapter_config.json holds a local path.

    Raises `Refusal` where the folder is none, is not an adapter, has broken weights, or belongs to another base.
    """
    if not folder.is_dir():
        raise Refusal(f"{folder} does not exist. Train an adapter first (make train ROLE=...), or fetch one.")
    missing = [name for name in (CONFIG, WEIGHTS) if not (folder / name).is_file()]
    if missing:
        raise Refusal(f"{folder} is not an adapter folder: it has no {' and no '.join(missing)}.")
    config = read_object(folder / CONFIG)
    check_weights(folder / WEIGHTS)
    names = {path.name for path in folder.iterdir()}
    return Adapter(
        folder,
        base_id(config.get("base_model_name_or_path"), base_model, folder),
        config,
        tuple(name for name in PUBLISHABLE if name in names),
        tuple(sorted(names - set(PUBLISHABLE))),
    )


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in `path`; raises `Refusal` where there is none."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValueError) as problem:
        raise Refusal(f"{path} cannot be read as JSON ({problem}).") from None
    if not isinstance(value, dict):
        raise Refusal(f"{path} holds no JSON object.")
    return value


def check_weights(path: Path) -> Mapping[str, str]:
    """The metadata of a safetensors file; raises `Refusal` where the file is cut off or something else.

    Format: 8 bytes with the length of a JSON header, the header, then exactly the bytes that its offsets span.
    """
    try:
        with path.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            header = json.loads(stream.read(min(length, 100_000_000)))
        metadata: dict[str, str] = header.pop("__metadata__", {})
        end = max(tensor["data_offsets"][1] for tensor in header.values())
    except (struct.error, ValueError, KeyError, TypeError, AttributeError, OSError):
        raise Refusal(f"{path} is not a safetensors file with weights in it. Train or fetch it again.") from None
    if path.stat().st_size != 8 + length + end:
        raise Refusal(f"{path} is incomplete. Fetch it again (scripts/pull_adapter.sh checks every byte).")
    return metadata


def base_id(trained_on: Any, given: str | None, folder: Path) -> str:
    """The Hub id of the base: what training wrote, or what the person gave where training used a local path."""
    if given is not None and (HUB_ID.fullmatch(given) is None or is_local(given)):
        raise Refusal(f"--base-model {given} is not a Hub id such as Qwen/Qwen2.5-7B-Instruct.")
    known = trained_on if isinstance(trained_on, str) and not is_local(trained_on) else None
    if known is None and given is None:
        raise Refusal(
            f"{folder} was trained on a base in a local folder, which nobody else can load. "
            "Say which model of the Hub that is: --base-model ORG/NAME."
        )
    if known is not None and given is not None and known != given:
        raise Refusal(f"{folder} was trained on {known}, not on {given}. Leave --base-model out.")
    return known or given or ""


def is_local(name: str) -> bool:
    """Whether a base model's name is a path: no Hub id, in our own output folder, or a folder that is there."""
    return HUB_ID.fullmatch(name) is None or name.startswith(("output/", "outputs/")) or Path(name).exists()
