"""The files of a finished build and how to read them, rows one at a time.

Everything that looks at datasets (the schema check, the statistics, the report) goes through here. A folder or
a file that cannot be read raises `DatasetError`, one sentence with the fix.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from data.record import SPLITS, Split
from data.stage import Ledger
from data.transform.chat_formatter import NativeRow, Row

COMBINED = "gastown"  # the files with the rows of all roles; <role>_<split>.jsonl hold the same rows again

_SPLIT_NAME = re.compile(r"(?P<family>.+?)(?:_|(?P<method>\.(?:dpo|kto))\.)(?P<split>train|val|test)\.jsonl")
_Value = TypeVar("_Value")


class DatasetError(Exception):
    """A dataset that cannot be read, in one sentence with the fix."""


class File(msgspec.Struct, frozen=True):
    """One dataset file as the manifest names it."""

    sha256: str
    rows: int
    bytes: int


class Manifest(msgspec.Struct, frozen=True):
    """The description that makes a dataset a fact. The same input and configuration give the same manifest.

    `sample` says that the rows are of the invented town. `rows`, `tokens` and `trained_tokens` are by split,
    `roles` counts rows; `input_bytes` and `units` measure what was read. `balanced` counts the train rows of each role
    before and after balancing.
    """

    version: int = 1
    sample: bool = False
    base_model: str = ""
    seed: int = 0
    config_sha256: str = ""
    input_bytes: int = 0
    units: int = 0
    sessions: int = 0
    rows: dict[str, int] = {}
    tokens: dict[str, int] = {}
    trained_tokens: dict[str, int] = {}
    roles: dict[str, int] = {}
    balanced: dict[str, tuple[int, int]] = {}
    files: dict[str, File] = {}


def open_build(folder: Path) -> Manifest:
    """The manifest of a finished build. Raises DatasetError where the build is missing, unfinished or damaged."""
    if not folder.is_dir():
        raise DatasetError(f"{folder} is not a folder. Give the output folder of a build, or run `make all` first.")
    path = folder / "manifest.json"
    if not path.is_file():
        raise DatasetError(f"{folder} has no manifest.json: the build did not finish. Run `make all` again.")
    manifest = _decode_file(path, Manifest)
    missing = sorted(name for name in manifest.files if not (folder / name).is_file())
    if missing:
        raise DatasetError(f"{folder} lacks {', '.join(missing)}, named in its manifest. Run `make all` again.")
    return manifest


def open_ledger(folder: Path) -> Ledger:
    """The ledger of a build. Raises DatasetError where there is none."""
    path = folder / "ledger.json"
    if not path.is_file():
        raise DatasetError(f"{folder} has no ledger.json: it is not the output of a build. Run `make all` first.")
    return _decode_file(path, Ledger)


def read_build(folder: Path) -> Iterator[tuple[Split, Row | NativeRow]]:
    """Every row of a build once, split by split."""
    for split in SPLITS:
        path = folder / f"{COMBINED}_{split}.jsonl"
        if path.is_file():
            for row in read_rows(path):
                yield split, row


def read_rows(path: Path) -> Iterator[Row | NativeRow]:
    """The rows of a file in order, of either form. Raises DatasetError with file and line at the first that is none."""
    xml, native = msgspec.json.Decoder(Row), msgspec.json.Decoder(NativeRow)
    for number, raw in read_lines(path):
        try:
            yield native.decode(raw) if raw.startswith(b'{"messages"') else xml.decode(raw)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise DatasetError(f"{path}:{number}: not a row: {error}. Build the dataset again.") from None


def read_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of a file with their numbers (1-based). Raises DatasetError where it cannot be read."""
    try:
        with path.open("rb") as file:
            yield from enumerate(file, 1)
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror}). Give a dataset file of a build.") from None


def file_name(family: str, split: str, method: str = "") -> str:
    """Where the rows of a family and split stand, or with a method its preferences: `mayor.dpo.train.jsonl`.

    Without an underscore, so that whoever takes all `*_train.jsonl` or `mayor_*` gets no preferences among the rows.
    """
    return f"{family}.{method}.{split}.jsonl" if method else f"{family}_{split}.jsonl"


def is_dataset_file(name: str) -> bool:
    return _SPLIT_NAME.fullmatch(name) is not None


def dataset_files(path: Path) -> list[Path]:
    """The file itself, or the dataset files of a folder. Raises DatasetError where a folder has none."""
    if not path.is_dir():
        return [path]
    files = sorted(file for file in path.glob("*.jsonl") if is_dataset_file(file.name))
    if not files:
        raise DatasetError(
            f"{path} holds no dataset files. Give the output folder of a build, or run `make all` first."
        )
    return files


def split_of(path: Path) -> tuple[str, Split | None]:
    """The family and the split in a file's name: `mayor_val.jsonl` is ("mayor", "val").

    The preferences of a role are a family of their own: `mayor.dpo.val.jsonl` is ("mayor.dpo", "val").
    """
    match = _SPLIT_NAME.fullmatch(path.name)
    split = next((s for s in SPLITS if match and s == match["split"]), None)
    return (f"{match['family']}{match['method'] or ''}" if match else path.stem), split


def _decode_file(path: Path, kind: type[_Value]) -> _Value:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise DatasetError(f"{path}: damaged ({error}). Run `make all` again.") from None
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror}). Check its permissions.") from None
