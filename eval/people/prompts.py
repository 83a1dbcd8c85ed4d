"""The prompts of a comparison: one from the command line, or several from a file.

A .jsonl file has an object with `prompt` (or `input`) a line, such as a tasks file; any other has one prompt a line.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from eval.errors import BadInput


def prompts_of(prompt: str | None, path: Path | None) -> list[str]:
    """The prompts to ask, in order. Raises BadInput."""
    if (prompt is None) == (path is None):
        raise BadInput('give one prompt in quotes, or --prompts FILE: python -m eval.people.compare "How are you?"')
    if prompt is not None:
        if not prompt.strip():
            raise BadInput("the prompt is empty; write what the models are to be asked.")
        return [prompt]
    assert path is not None
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise BadInput(f"{path} does not exist; give a file with one prompt a line.") from None
    except (OSError, UnicodeDecodeError):
        raise BadInput(f"{path} is no readable text; give a file with one prompt a line.") from None
    found = list(_objects(path, lines)) if path.suffix == ".jsonl" else [line for line in lines if line.strip()]
    if not found:
        raise BadInput(f"{path} holds no prompt; write one a line.")
    return found


def _objects(path: Path, lines: list[str]) -> Iterator[str]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            value = None
        prompt = (value.get("prompt") or value.get("input")) if isinstance(value, dict) else None
        if not isinstance(prompt, str) or not prompt.strip():
            raise BadInput(f'{path}:{number}: needs an object such as {{"prompt": "..."}}; correct the line.')
        yield prompt
