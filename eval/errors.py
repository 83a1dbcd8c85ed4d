"""The one error that every eval command turns into a sentence, and the file helpers that raise it.

A command's `main` is wrapped in `one_sentence`: a `BadInput` ends in `error: <sentence>` on stderr and exit
code 2.
"""

import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130


class BadInput(Exception):
    """Input that cannot be used; the message is one sentence that says what is wrong and how to fix it."""


def one_sentence(command: Callable[[Sequence[str] | None], int], argv: Sequence[str] | None = None) -> int:
    """Runs a command line; a `BadInput` becomes one line on stderr and exit code 2."""
    try:
        return command(argv)
    except BadInput as problem:
        print(f"error: {problem}", file=sys.stderr)
        return EXIT_BAD_INPUT
    except KeyboardInterrupt:
        print("interrupted; run the same command again.", file=sys.stderr)
        return EXIT_INTERRUPTED


def read_json(path: Path, made_by: str) -> Any:
    """The JSON value in `path`; `made_by` names the command that writes such a file."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadInput(f"{path} does not exist; make it with `{made_by}`.") from None
    except (OSError, UnicodeDecodeError, ValueError) as problem:
        raise BadInput(f"{path} is not readable JSON ({problem}); make it again with `{made_by}`.") from None


def write_json(path: Path, value: Any) -> None:
    """Writes `value` to `path` whole or not at all."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=1) + "\n")


def write_text(path: Path, text: str) -> None:
    """Writes `text` to `path` through a temporary file, so that a reader sees all of it or nothing."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def writable(path: Path, option: str = "--out") -> Path:
    """`path`, after making its folder: called before a model is loaded.

    So that no long run ends without a file.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise BadInput(f"{path.parent} cannot be created ({problem}); choose another {option}.") from None
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise BadInput(f"{path} cannot be written; choose another {option}, a file in a folder you may write.")
    return path


def sha256(*parts: bytes) -> str:
    """Hex digest over the parts, each preceded by its length so that moving a border changes the digest."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()
