"""Reads what training, the pipeline and the evaluation left behind as JSON, for the model card: numbers, never content.

Each reader takes a path and returns a frozen value, or raises `Refusal` with the reason.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Any, TypeVar

import msgspec
import yaml

from deploy.adapter import CONFIG, WEIGHTS, Refusal

Kind = TypeVar("Kind")


class Rows(msgspec.Struct, frozen=True):
    """One file of rows: how many, and their tokens by the base model's tokenizer."""

    rows: int
    tokens: int
    trained_tokens: int
    path: str
    sha256: str

    @property
    def name(self) -> str:
        """The file's name, such as mayor_train.jsonl."""
        return PurePath(self.path).name


class Outcome(msgspec.Struct, frozen=True):
    """What a finished run did; losses are means over the first and the last tenth of its steps."""

    steps: int
    epochs: float
    first_loss: float
    last_loss: float
    eval_losses: tuple[tuple[int, float], ...] = ()
    early_stopped: bool = False


class Dataset(msgspec.Struct, frozen=True):
    """What a card may tell of the datasets: how many sessions they were made of, and whether those were invented."""

    sample: bool = False
    sessions: int | None = None


class Training(msgspec.Struct, frozen=True):
    """run.json: the resolved Axolotl config as text, the counts of the rows, versions, and how it ended."""

    config: str
    data: tuple[Rows, ...]
    outcome: Outcome
    versions: dict[str, str | None] = {}
    manifest: Dataset | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """The resolved Axolotl config."""
        value = yaml.safe_load(self.config)
        return value if isinstance(value, dict) else {}


class Rate(msgspec.Struct, frozen=True):
    """A share of passed scenarios in 0..1 with its 95 % interval."""

    passed: float
    low: float
    high: float
    scenarios: float
    families: float


class Evaluation(msgspec.Struct, frozen=True, tag="role_bench", tag_field="kind"):
    """One run of eval.role_bench: its rates by role, and `facts` about what was run."""

    model: str
    facts: dict[str, Any]
    summary: dict[str, Rate]
    floor: dict[str, float]
    smoke: bool

    @property
    def adapter_digest(self) -> str | None:
        """The digest of the adapter that answered, None for the base alone."""
        adapter = self.facts.get("adapter")
        return adapter.get("sha256") if isinstance(adapter, dict) else None

    @property
    def is_base(self) -> bool:
        """Whether the base model answered alone, loaded here (a server does not prove what it serves)."""
        return self.facts.get("adapter") is None and self.facts.get("backend") == "hf"


class DataFile(msgspec.Struct, frozen=True):
    """What a manifest says of one file of rows."""

    sha256: str


class Manifest(Dataset, frozen=True, kw_only=True):
    """manifest.json of a dataset."""

    files: dict[str, DataFile]


def read_training(path: Path) -> Training | None:
    """run.json, None where the folder has none (an adapter that was not trained by this rig)."""
    return _decode(path, Training, "Train again with scripts/train.sh.") if path.is_file() else None


def read_manifest(path: Path, training: Training | None) -> Manifest:
    """manifest.json of the very datasets that were trained; raises `Refusal` where it describes other rows."""
    manifest = _decode(path, Manifest, "Make the datasets again: make all.")
    for rows in training.data if training else ():
        known = manifest.files.get(rows.name)
        if known is None or known.sha256 != rows.sha256:
            raise Refusal(
                f"{path} does not describe the {rows.name} that this adapter was trained on. "
                "Give the manifest of that build, or leave --manifest out."
            )
    return manifest


def read_evaluations(paths: Sequence[Path], folder: Path) -> tuple[Evaluation, ...]:
    """The results in `paths`: of the adapter in `folder`, and of its base where one of them is that.

    Raises `Refusal` for the results of anything else, because they would say something untrue on the card.
    """
    found = tuple(_decode(path, Evaluation, "Run it again: python -m eval.role_bench.") for path in paths)
    digest = adapter_digest(folder)
    for path, run in zip(paths, found, strict=True):
        if run.smoke:
            raise Refusal(f"{path} is a smoke run, too small for a card. Score again without --smoke.")
        if run.adapter_digest != digest and not run.is_base:
            raise Refusal(
                f"{path} is not about this adapter (it scored {run.model}). "
                f"Score this one: python -m eval.role_bench --model {folder} --out {path.parent}."
            )
    if found and all(run.is_base for run in found):
        raise Refusal(f"{paths[0]} scores the base alone. Add the adapter's results with another --eval.")
    return tuple(sorted(found, key=lambda run: not run.is_base))


def adapter_digest(folder: Path) -> str:
    """What eval.role_bench writes as facts.adapter.sha256: config and weights, each after its length in 8 bytes."""
    digest = hashlib.sha256()
    for name in (CONFIG, WEIGHTS):
        with (folder / name).open("rb") as stream:
            digest.update(os.fstat(stream.fileno()).st_size.to_bytes(8, "big"))
            while part := stream.read(1 << 20):
                digest.update(part)
    return digest.hexdigest()


def _decode(path: Path, kind: type[Kind], fix: str) -> Kind:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except OSError as problem:
        raise Refusal(f"{path} cannot be read ({problem.strerror}). {fix}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        raise Refusal(f"{path} is not what it should be ({problem}). {fix}") from None
