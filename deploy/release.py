"""What will be published: an adapter folder, or a version of the registry as adapter, merged model or GGUF files.

`from_folder(...)` and `from_registry(...)` find the files, check that they are whole and the very ones that were
registered or exported, and gather what the model card tells about them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploy.adapter import TOKENIZER, Adapter, Refusal, check_weights, read_adapter, read_object
from deploy.evidence import Dataset, Training, read_manifest, read_training
from deploy.results import Evaluation, read_evaluations

if TYPE_CHECKING:
    from deploy.registry import Export, Registry, Version

ADAPTER, MERGED = "adapter", "merged"
# The kinds of GGUF that may share a repository, with the word that their file's name ends with.
LORA = "gguf-lora"
GGUF = {"gguf-f16": "F16", "gguf-q4_k_m": "Q4_K_M", LORA: "LoRA"}
TEMPLATE = "chat_template.jinja"
KINDS = (ADAPTER, MERGED, *GGUF)
VERSION = re.compile(r"(?P<role>[a-z][a-z0-9_-]{0,63})@v?(?P<number>[1-9][0-9]*)")

MODEL_CONFIG, INDEX = "config.json", "model.safetensors.index.json"
# All of a merged model that goes up; its weights are one file or several shards with an index.
MODEL = (MODEL_CONFIG, "generation_config.json", INDEX, *TOKENIZER)
SHARD = re.compile(r"model(-\d{5}-of-\d{5})?\.safetensors")


@dataclass(frozen=True)
class Release:
    """Files with all that a card says of them."""

    kinds: tuple[str, ...]
    files: Mapping[str, Path]
    """where each file lies, by its name in the repository"""
    base_model: str
    """Hub id"""
    base_revision: str | None
    config: Mapping[str, Any]
    """adapter_config.json"""
    left_out: tuple[str, ...] = ()
    training: Training | None = None
    evaluations: tuple[Evaluation, ...] = ()
    """the base's run before the adapter's"""
    dataset: Dataset | None = None
    sessions: int | None = None
    """how many sessions it learned from, where the registry knows it"""
    version: Version | None = None
    exports: Mapping[str, Export] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """mayor@v3, or the word for a folder that no registry knows."""
        return self.version.name if self.version else ADAPTER


def from_folder(folder: Path, base_model: str | None, results: Sequence[Path], manifest: Path | None) -> Release:
    """The adapter in a folder, with the evidence that was given. Raises `Refusal`."""
    adapter = read_adapter(folder, base_model)
    training = read_training(folder / "run.json")
    return Release(
        kinds=(ADAPTER,),
        files={name: folder / name for name in adapter.files},
        base_model=adapter.base_model,
        base_revision=revision_of(adapter.config),
        config=adapter.config,
        left_out=adapter.left_out,
        training=training,
        evaluations=read_evaluations(results, folder),
        dataset=read_manifest(manifest, training) if manifest else training.manifest if training else None,
    )


def from_registry(
    registry: Registry, role: str, number: int, kinds: Sequence[str], repo: str, base_model: str | None
) -> Release:
    """A registered version in these formats, with the evidence that the registry holds. Raises `Refusal`."""
    version = registry.version(role, number)
    check_version(version)
    adapter = read_adapter(version.folder, base_model)
    exports = {kind: find_export(registry, version, kind) for kind in kinds if kind != ADAPTER}
    training = read_training(version.folder / "run.json")
    return Release(
        kinds=tuple(kinds),
        files=dict(find_files(adapter, kinds, exports, repo.split("/")[1])),
        base_model=adapter.base_model,
        base_revision=version.base_revision or revision_of(adapter.config),
        config=adapter.config,
        left_out=adapter.left_out if exports == {} else (),
        training=training,
        evaluations=evaluations_of(version),
        dataset=training.manifest if training else None,
        sessions=len(registry.sessions_of(role, number)) or None,
        version=version,
        exports=exports,
    )


def check_version(version: Version) -> None:
    """Raises `Refusal` where the folder is not as it was registered."""
    from deploy.registry.folders import faults

    if wrong := list(faults(version.folder, version.files)):
        raise Refusal(
            f"{version.folder} is not as it was registered ({', '.join(wrong)}), so nothing was sent. "
            "Register the adapter again."
        )


def find_export(registry: Registry, version: Version, kind: str) -> Export:
    """The version in one format, unchanged since it was made. Raises `Refusal`."""
    export = registry.exports(version.role, version.number).get(kind)
    maker = "merge" if kind == MERGED else "gguf"
    again = f"python -m deploy.{maker} {version.role} v{version.number}{f' --kind {kind}' if maker == 'gguf' else ''}"
    if export is None:
        raise Refusal(f"{version.name} was never exported as {kind}. Make it: {again}.")
    from deploy.registry.exports import measure

    if not export.path.exists() or measure(export.path)[0] != export.sha256:
        raise Refusal(f"{export.path} is not as it was exported. Make it again: {again}.")
    return export


def find_files(
    adapter: Adapter, kinds: Sequence[str], exports: Mapping[str, Export], name: str
) -> Iterator[tuple[str, Path]]:
    """Each file with its name in the repository. A GGUF file is named for the repository, not for the version."""
    stem = re.sub(r"-gguf$", "", name, flags=re.IGNORECASE)
    for kind in kinds:
        if kind in GGUF:
            yield f"{stem}-{GGUF[kind]}.gguf", exports[kind].path
            # A merged model has the template of the training inside, an adapter has none.
            if kind == LORA and TEMPLATE in adapter.files:
                yield TEMPLATE, adapter.folder / TEMPLATE
        elif kind == MERGED:
            yield from ((file, exports[kind].path / file) for file in model_files(exports[kind].path))
        else:
            yield from ((file, adapter.folder / file) for file in adapter.files)


def model_files(folder: Path) -> tuple[str, ...]:
    """The files of a merged model, its shards whole and all there. Raises `Refusal`."""
    there = {path.name for path in folder.iterdir()}
    shards = sorted(name for name in there if SHARD.fullmatch(name))
    wanted = set(read_object(folder / INDEX).get("weight_map", {}).values()) if INDEX in there else set(shards)
    missing = sorted({MODEL_CONFIG, *wanted} - there)
    if missing or not shards or set(shards) != wanted:
        raise Refusal(
            f"{folder} is not a whole model (missing: {', '.join(missing) or 'weights'}). "
            "Merge it again: python -m deploy.merge."
        )
    for name in shards:
        check_weights(folder / name)
    return (*(name for name in MODEL if name in there), *shards)


def evaluations_of(version: Version) -> tuple[Evaluation, ...]:
    """The results that the gate judged; none of a smoke run, which is too small for a card."""
    told = version.evaluation
    if told is None or told.smoke:
        return ()
    return read_evaluations((told.base_results, told.adapter_results), version.folder)


def revision_of(config: Mapping[str, Any]) -> str | None:
    """The revision of the base that PEFT wrote down."""
    revision = config.get("revision")
    return revision if isinstance(revision, str) and revision else None
