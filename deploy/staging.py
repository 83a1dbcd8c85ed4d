"""Lays out, in a temporary folder, exactly the files that will be published, cleaned and checked.

`stage(...)` never writes into the source's own folder; large files are linked, not copied. SHA256SUMS is the last file:
with it `python -m deploy.pull_hf`, or `sha256sum -c SHA256SUMS`, tells that everything arrived.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.adapter import Refusal
from deploy.privacy import VOCABULARIES, Guard, publishable_json
from deploy.texts import Text, texts_in

CARD = "README.md"
SUMS = "SHA256SUMS"
BINARY = (".safetensors", ".gguf", ".model")
LINE = re.compile(r"(?P<sha256>[0-9a-f]{64})  (?P<name>(?:\.eval_results/)?[A-Za-z0-9][\w.-]*)", re.ASCII)


@dataclass(frozen=True)
class Staged:
    """One file as it will be published."""

    name: str
    path: Path
    size: int
    """bytes"""
    sha256: str
    changed: bool
    """whether the text differs from the file that it was made from"""


def stage(
    files: Mapping[str, Path], written: Mapping[str, str], base_model: str, folder: Path, guard: Guard
) -> tuple[Staged, ...]:
    """Fills `folder` with the texts that were `written` and the `files`, by their names; returns all, SHA256SUMS last.

    Raises `Refusal` naming every file that still holds something private.
    """
    texts = {name: _published_text(path, base_model) for name, path in files.items() if path.suffix not in BINARY}
    inside = [text for path in files.values() if path.suffix in BINARY for text in texts_in(path)]
    _refuse_private([*_as_texts({**written, **texts}), *inside], guard)
    laid_out = [_write(name, text, folder, None) for name, text in written.items()]
    for name, path in files.items():
        laid_out.append(_write(name, texts[name], folder, path) if name in texts else _link(name, path, folder))
    return (*laid_out, _write(SUMS, sums(laid_out), folder, None))


def sums(staged: Sequence[Staged]) -> str:
    """What `sha256sum -c` reads."""
    return "".join(f"{file.sha256}  {file.name}\n" for file in sorted(staged, key=lambda file: file.name))


def read_sums(text: str) -> dict[str, str]:
    """Digests by name. Raises `Refusal` where a line is no digest with a plain name, which could lead elsewhere."""
    found = [LINE.fullmatch(line) for line in text.splitlines()]
    if not all(found):
        raise Refusal(f"{SUMS} has lines that deploy.upload_hf does not write, so nothing was done with it.")
    return {match["name"]: match["sha256"] for match in found if match}


def file_sha256(path: Path) -> str:
    """Hex digest of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _published_text(path: Path, base_model: str) -> str:
    """A file's text, without a change where there is nothing to hide, so that an adapter keeps its digest."""
    try:
        text = path.read_bytes().decode("utf-8")
        if path.suffix != ".json" or path.name in VOCABULARIES:
            return text
        return publishable_json(text, base_model)
    except (OSError, ValueError) as problem:
        raise Refusal(f"{path} cannot be read ({problem}). Make or fetch it again.") from None


def _as_texts(texts: Mapping[str, str]) -> list[Text]:
    return [Text(name, text, name in VOCABULARIES) for name, text in texts.items()]


def _refuse_private(texts: Sequence[Text], guard: Guard) -> None:
    faults = [f"{text.label}, {fault}" for text in texts if (fault := guard.fault(text.content, text.vocabulary))]
    if faults:
        raise Refusal(
            f"nothing was sent, because this must not leave the machine: {'; '.join(faults)}. Remove it first."
        )


def _write(name: str, text: str, folder: Path, source: Path | None) -> Staged:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="")
    return _staged(name, path, changed=source is None or source.read_bytes() != text.encode())


def _link(name: str, source: Path, folder: Path) -> Staged:
    """The same bytes even if a training replaces the file meanwhile; from another file system, the file itself."""
    path = folder / name
    try:
        os.link(source, path)
    except OSError:
        path = source
    return _staged(name, path, changed=False)


def _staged(name: str, path: Path, changed: bool) -> Staged:
    return Staged(name, path, path.stat().st_size, file_sha256(path), changed)
