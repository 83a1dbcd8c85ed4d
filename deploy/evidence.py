"""Reads what training and the pipeline left behind as JSON, for the model card: numbers, never content.

Each reader takes a path and returns a frozen value, or raises `Refusal` with the reason.
"""

from __future__ import annotations

import hashlib
import os
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


class DataFile(msgspec.Struct, frozen=True):
    """What a manifest says of one file of rows."""

    sha256: str


class Manifest(Dataset, frozen=True, kw_only=True):
    """manifest.json of a dataset."""

    files: dict[str, DataFile]


def read_training(path: Path) -> Training | None:
    """run.json, None where the folder has none (an adapter that was not trained by this rig)."""
    fix = "Train again with scripts/train.sh."
    return decode(path, msgspec.json.Decoder(Training), fix) if path.is_file() else None


def read_manifest(path: Path, training: Training | None) -> Manifest:
    """manifest.json of the very datasets that were trained; raises `Refusal` where it describes other rows."""
    manifest = decode(path, msgspec.json.Decoder(Manifest), "Make the datasets again: make all.")
    for rows in training.data if training else ():
        known = manifest.files.get(rows.name)
        if known is None or known.sha256 != rows.sha256:
            raise Refusal(
                f"{path} does not describe the {rows.name} that this adapter was trained on. "
                "Give the manifest of that build, or leave --manifest out."
            )
    return manifest


def adapter_digest(folder: Path) -> str:
    """What evaluations write as facts.adapter.sha256: config and weights, each after its length in 8 bytes."""
    digest = hashlib.sha256()
    for name in (CONFIG, WEIGHTS):
        with (folder / name).open("rb") as stream:
            digest.update(os.fstat(stream.fileno()).st_size.to_bytes(8, "big"))
            while part := stream.read(1 << 20):
                digest.update(part)
    return digest.hexdigest()


def decode(path: Path, decoder: msgspec.json.Decoder[Kind], fix: str) -> Kind:
    """What a JSON file holds. Raises `Refusal` with the reason and what to do."""
    try:
        return decoder.decode(path.read_bytes())
    except OSError as problem:
        raise Refusal(f"{path} cannot be read ({problem.strerror}). {fix}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        raise Refusal(f"{path} is not what it should be ({problem}). {fix}") from None
