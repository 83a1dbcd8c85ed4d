"""Lays out, in a temporary folder, exactly the files that will be published, cleaned and checked.

`stage(adapter, card, folder, guard)` never writes into the adapter's own folder; the weights are linked, not copied.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from deploy.adapter import WEIGHTS, Adapter, Refusal, check_weights
from deploy.privacy import VOCABULARIES, Guard, publishable_json

CARD = "README.md"


@dataclass(frozen=True)
class Staged:
    """One file as it will be published."""

    name: str
    path: Path
    size: int
    """bytes"""
    sha256: str
    changed: bool
    """whether the text differs from the file in the adapter's folder"""


def stage(adapter: Adapter, card: str, folder: Path, guard: Guard) -> tuple[Staged, ...]:
    """Fills `folder` and returns its files, the card first.

    Raises `Refusal` naming every file that still holds something private.
    """
    texts = {CARD: card}
    for name in adapter.files:
        if name != WEIGHTS and name != "tokenizer.model":
            texts[name] = _published_text(adapter, name)
    metadata = {f"metadata of {WEIGHTS}": "\n".join(check_weights(adapter.folder / WEIGHTS).values())}
    _refuse_private({**texts, **metadata}, guard)
    return tuple(_lay_out(adapter, name, texts.get(name), folder) for name in (CARD, *adapter.files))


def _published_text(adapter: Adapter, name: str) -> str:
    try:
        text = (adapter.folder / name).read_text(encoding="utf-8")
        if not name.endswith(".json") or name in VOCABULARIES:
            return text
        return publishable_json(text, adapter.base_model)
    except (OSError, ValueError) as problem:
        raise Refusal(f"{adapter.folder / name} cannot be read ({problem}). Train or fetch it again.") from None


def _refuse_private(texts: dict[str, str], guard: Guard) -> None:
    faults = [f"{name}, {fault}" for name, text in texts.items() if (fault := guard.fault(name, text))]
    if faults:
        raise Refusal(
            f"nothing was sent, because this must not leave the machine: {'; '.join(faults)}. Remove it first."
        )


def _lay_out(adapter: Adapter, name: str, text: str | None, folder: Path) -> Staged:
    source, path = adapter.folder / name, folder / name
    if text is not None:
        path.write_text(text, encoding="utf-8", newline="")
    else:
        _link_or_copy(source, path)
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    changed = text is not None and not (source.is_file() and source.read_bytes() == text.encode())
    return Staged(name, path, path.stat().st_size, digest, changed)


def _link_or_copy(source: Path, path: Path) -> None:
    try:
        os.link(source, path)
    except OSError:
        shutil.copyfile(source, path)
