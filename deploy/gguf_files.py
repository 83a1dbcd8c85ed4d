"""Makes the GGUF files of a version: convert or quantise, verify, put in place, record.

A file that fails its verification never gets its name.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from deploy import gguf_check
from deploy.adapter import CONFIG, Refusal, read_object
from deploy.exports import Kind, base_folder, base_name, export_path, present, size_of, unfinished
from deploy.gguf_convert import convert_adapter, convert_model, quantise
from deploy.gguf_run import NEAR_TIE, Agreement, try_file
from deploy.gguf_tokens import check_named
from deploy.merge import merged_model
from deploy.registry import Export, Registry, Version
from deploy.source_model import Answer, Source, load, prompts, refuse_without_training_libraries

# llama.cpp's own table (tools/perplexity) has the same likeliest token for 92 to 95 % of Wikipedia after Q4_K_M, on
# models of 7 and 8 billion weights; over their own answers models are surer. Far below that something is broken, or
# the model is too small for four bits.
LEAST_EQUAL: Final = 0.8
F16, Q4_K_M = "F16", "Q4_K_M"


@dataclass(frozen=True)
class Asked:
    """A source, and its greedy answers to the prompts of a role."""

    source: Source
    answers: Sequence[Answer]


@dataclass
class Job:
    """One version to export: where everything is, and what the person said."""

    registry: Registry
    root: Path
    version: Version
    base: Path | None = None
    pre_tokenizer: str | None = None
    base_type: str = F16

    @cached_property
    def rows(self) -> Path:
        return self.root / "datasets" / f"{self.version.role}_val.jsonl"

    @cached_property
    def base_model(self) -> Path:
        return base_folder(self.version, self.base)

    @cached_property
    def merged(self) -> Path:
        return merged_model(self.registry, self.root, self.version, self.base).path

    @cached_property
    def of_merged(self) -> Asked:
        return self.ask(load(self.merged))

    def ask(self, source: Source) -> Asked:
        return Asked(source, [source.answer(chat) for chat in prompts(source, self.rows)])


def export_of(job: Job, kind: Kind) -> Export:
    """The export of a kind, made where it is not there yet. Raises `Refusal`."""
    if (export := present(job.registry, job.version, kind)) is not None and _is_asked_for(job, export):
        return export
    refuse_without_training_libraries()
    makers: dict[Kind, Callable[[Job], Export]] = {
        Kind.GGUF_F16: make_f16,
        Kind.GGUF_Q4_K_M: make_q4_k_m,
        Kind.GGUF_LORA: make_lora,
    }
    return makers[kind](job)


def _is_asked_for(job: Job, export: Export) -> bool:
    return export.kind != Kind.GGUF_LORA or export.report.get("base_type") == job.base_type


def make_f16(job: Job) -> Export:
    """The merged model in 16 bits."""
    name = f"{job.version.role}-v{job.version.number}"

    def make(place: Path) -> dict[str, Any]:
        convert(job, job.merged, place, name)
        return verify_model(place, job.merged, F16, job.of_merged)

    return _finish(job, Kind.GGUF_F16, None, make)


def make_q4_k_m(job: Job) -> Export:
    """The merged model in 4 bits, by way of the one in 16."""
    full = export_of(job, Kind.GGUF_F16)

    def make(place: Path) -> dict[str, Any]:
        quantise(full.path, place)
        return verify_model(place, job.merged, Q4_K_M, job.of_merged)

    return _finish(job, Kind.GGUF_Q4_K_M, None, make)


def make_lora(job: Job) -> Export:
    """The adapter alone, for a server that has its base as GGUF."""
    adapter = job.version.folder
    config = read_object(adapter / CONFIG)
    if odd := gguf_check.why_no_adapter(config, adapter):
        raise Refusal(f"{job.version.name} cannot be a GGUF LoRA ({'; '.join(odd)}). Merge it: --kind gguf-q4_k_m.")
    base = base_file(job)

    def make(place: Path) -> dict[str, Any]:
        convert_adapter(adapter, job.base_model, place)
        contents = gguf_check.read(place)
        architecture = str(gguf_check.read(base).fields.get("general.architecture"))
        refuse_faults(gguf_check.faults_of_adapter(contents, config, adapter, architecture))
        asked = job.ask(load(job.base_model, adapter))
        told = try_file(base, place, asked.source, asked.answers)
        refuse_difference(told, job.base_type)
        return {"base_type": job.base_type, **_told(contents, told)}

    return _finish(job, Kind.GGUF_LORA, base, make)


def base_file(job: Job) -> Path:
    """The base model as GGUF, one for all versions that were trained on it; its report lies beside it."""
    name = base_name(job.version, job.base_model)
    folder = job.root / "exports" / "base"
    full = folder / f"{name}-f16.gguf"
    asked = cached_ask(job)

    def make_full(place: Path) -> dict[str, Any]:
        convert(job, job.base_model, place, name)
        return verify_model(place, job.base_model, F16, asked())

    def make_small(place: Path) -> dict[str, Any]:
        quantise(full, place)
        return verify_model(place, job.base_model, Q4_K_M, asked())

    _make_once(full, make_full)
    if job.base_type == F16:
        return full
    small = folder / f"{name}-q4_k_m.gguf"
    _make_once(small, make_small)
    return small


def cached_ask(job: Job) -> Callable[[], Asked]:
    """The base alone and its answers, loaded at the first call."""
    kept: list[Asked] = []

    def asked() -> Asked:
        if not kept:
            kept.append(job.ask(load(job.base_model)))
        return kept[0]

    return asked


def _make_once(path: Path, make: Callable[[Path], dict[str, Any]]) -> None:
    """A file with its report beside it, unless both are there and fit each other."""
    told = path.with_suffix(".json")
    if path.is_file() and told.is_file() and read_object(told).get("bytes") == path.stat().st_size:
        return
    with unfinished(path) as place:
        report = make(place)
    with unfinished(told) as place:
        place.write_text(json.dumps({"bytes": path.stat().st_size, **report}, indent=1) + "\n", encoding="utf-8")


def _finish(job: Job, kind: Kind, base: Path | None, make: Callable[[Path], dict[str, Any]]) -> Export:
    started, path = time.monotonic(), export_path(job.root, job.version, kind)
    with unfinished(path) as place:
        report = make(place)
    report["seconds"] = round(time.monotonic() - started, 1)
    return job.registry.add_export(job.version.role, job.version.number, kind, path, base, report)


def convert(job: Job, model: Path, place: Path, name: str) -> None:
    """A model in 16 bits, with the pre-tokenizer that the person named if it is really that of its vocabulary."""
    if job.pre_tokenizer:
        check_named(job.pre_tokenizer, model / "tokenizer.json")
    convert_model(model, place, name, job.pre_tokenizer)


def verify_model(place: Path, source: Path, file_type: str, asked: Asked) -> dict[str, Any]:
    """The report of a whole model. Raises `Refusal` with everything that is wrong."""
    contents = gguf_check.read(place)
    refuse_faults(gguf_check.faults_of_model(contents, read_object(source / "config.json"), file_type))
    told = try_file(place, None, asked.source, asked.answers)
    refuse_difference(told, file_type)
    return _told(contents, told)


def refuse_faults(faults: Sequence[str]) -> None:
    """Raises `Refusal` where a file is not what it should be."""
    if faults:
        raise Refusal(f"the new file is not what it should be, and was removed: {'; '.join(faults)}.")


def refuse_difference(told: Agreement, file_type: str) -> None:
    """Raises `Refusal` where a file answers otherwise than its source does: at all in 16 bits, too often in 4."""
    if file_type == F16 and told.equal_tokens + told.near_ties < told.tokens:
        raise Refusal(
            f"the new file answers otherwise than its source, and was removed: {told.equal_tokens} of {told.tokens} "
            f"tokens are equal, and the source prefers its own by up to {told.largest_gap:.2f} "
            f"(rounding explains {NEAR_TIE[told.precision]})."
        )
    if file_type == Q4_K_M and told.share < LEAST_EQUAL:
        raise Refusal(
            f"the new file answers otherwise than its source, and was removed: {told.share:.0%} of {told.tokens} "
            f"tokens are equal, and {LEAST_EQUAL:.0%} have to be. A small model loses much in 4 bits: --kind gguf-f16."
        )


def _told(contents: gguf_check.Contents, told: Agreement) -> dict[str, Any]:
    fields: Mapping[str, Any] = contents.fields
    names = ("general.architecture", "general.file_type", "tokenizer.ggml.pre", "adapter.lora.alpha")
    metadata = {name: fields[name] for name in names if name in fields}
    return {"metadata": metadata, "tensors": contents.types, "share": told.share, **asdict(told)}


def told_size(export: Export) -> str:
    """15.7 MB"""
    return f"{size_of(export.path) / 1e6:,.1f} MB"
