"""The formats that a version is exported to, where they lie, and the base model that they are made from."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any

import yaml

from deploy.adapter import HUB_ID, Refusal
from deploy.registry import Export, Registry, Version

RECIPE = "config.yml"
# What Axolotl's merge needs of a base and what says which one it is: no pickled weights, no pictures.
BASE_FILES = ("*.json", "*.safetensors", "*.jinja", "tokenizer.model", "merges.txt", "vocab.txt")


class Kind(StrEnum):
    """Formats of a version. An adapter as GGUF needs its base as GGUF beside it; all others are whole models."""

    MERGED = "merged"
    GGUF_F16 = "gguf-f16"
    GGUF_Q4_K_M = "gguf-q4_k_m"
    GGUF_LORA = "gguf-lora"
    ONNX_FP32 = "onnx-fp32"
    ONNX_INT8 = "onnx-int8"


def export_path(root: Path, version: Version, kind: Kind) -> Path:
    """`<root>/exports/<role>/v<N>/<kind>`, with `.gguf` where it is one file."""
    folder = root / "exports" / version.role / f"v{version.number}"
    return folder / (f"{kind}.gguf" if kind.startswith("gguf") else str(kind))


def present(registry: Registry, version: Version, kind: Kind) -> Export | None:
    """The recorded export, unless it was deleted since, changed its size, or lost the base that it needs."""
    export = registry.exports(version.role, version.number).get(kind)
    if export is None or not export.path.exists() or size_of(export.path) != export.size:
        return None
    return export if export.base is None or export.base.exists() else None


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


@contextmanager
def unfinished(path: Path) -> Iterator[Path]:
    """A hidden place beside `path` to make it in; moved there when the block ends well, else removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    place = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        yield place
        remove(path)
        place.replace(path)
    finally:
        remove(place)


def remove(path: Path) -> None:
    """Delete a file or a folder; nothing where there is none."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def recipe_of(version: Version) -> Mapping[str, Any]:
    """The resolved Axolotl recipe that the version was trained with; empty where the registry has none."""
    path = version.folder / RECIPE
    recipe = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else None
    return recipe if isinstance(recipe, dict) else {}


def base_folder(version: Version, given: Path | None = None) -> Path:
    """The folder with the base model of a version: `given`, the one it was trained on, or that of the Hub (fetched).

    Raises `Refusal` where there is none.
    """
    trained_on = str(recipe_of(version).get("base_model") or version.base_model)
    for candidate in [given] if given else [Path(trained_on), Path(version.base_model)]:
        if (candidate / "config.json").is_file():
            return candidate
    if given is not None or not HUB_ID.fullmatch(version.base_model):
        raise Refusal(
            f"the base model of {version.name} is not in {given or trained_on}. Say where it lies: --base DIR."
        )
    return _from_hub(version.base_model, version.base_revision)


def _from_hub(base_model: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(base_model, revision=revision, allow_patterns=list(BASE_FILES)))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as problem:
        reason = str(problem).strip().split("\n")[0]
        raise Refusal(f"{base_model} cannot be fetched from the Hub ({reason}). Say where it is: --base DIR.") from None


def base_name(version: Version, folder: Path) -> str:
    """A name for files made from this very base: its Hub id or folder, and the start of the hash of its content."""
    known = version.base_model if HUB_ID.fullmatch(version.base_model) else folder.resolve().name
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.name in ("config.json", "tokenizer.json") or path.suffix == ".safetensors":
            with path.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
    return f"{known.replace('/', '--')}-{digest.hexdigest()[:12]}"
