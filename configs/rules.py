"""What is wrong with a recipe, found without Axolotl, torch or a GPU.

Every key and type is held against the JSON Schema of Axolotl's own config model, which by itself drops keys
that it does not know. Then come the contradictions (configs/contradictions): what it lets pass, or reports only after
the model is loaded.
"""

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from configs.contradictions import contradictions, doubts
from configs.files import SCHEMA_FILE, shown
from configs.pack.layer import line_in_layer


def problems_of(config: Mapping[str, Any], files: Sequence[Path]) -> list[str]:
    """Every problem of a combined recipe, each with the file and line that brought it in (the last of `files` wins)."""
    found = [(place([keys], files), sentence) for keys, sentence in schema_problems(config)]
    found += [(place(paths(keys), files), sentence) for keys, sentence in contradictions(config)]
    return [f"{where}: {sentence}" for where, sentence in found]


def notes_on(config: Mapping[str, Any], files: Sequence[Path]) -> list[str]:
    """What is worth a look in a combined recipe and stops nothing, with file and line as problems have them."""
    return [f"{place(paths(keys), files)}: {sentence}" for keys, sentence in doubts(config)]


def paths(keys: Iterable[str]) -> list[tuple[str, ...]]:
    """`fsdp_config.fsdp_version` is a key in a mapping."""
    return [tuple(key.split(".")) for key in keys]


def schema_problems(config: Mapping[str, Any]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    for error in validator().iter_errors(config):
        yield from explain(error)


@cache
def validator() -> Draft202012Validator:
    return Draft202012Validator(json.loads(SCHEMA_FILE.read_text(encoding="utf-8")))


def explain(error: Any) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """A schema error as (path of keys, sentence); a choice between shapes is explained by the shape that fits best."""
    path = tuple(error.absolute_path)
    if error.validator == "additionalProperties":
        known: Mapping[str, Any] = error.schema["properties"]
        for key in sorted(set(error.instance) - set(known)):
            yield (*path, key), f"Axolotl knows no key `{key}`{nearest(key, known) or '.'}"
    elif error.validator == "anyOf" and (shape := closest_shape(error)):
        for inner in shape:
            yield from explain(inner)
    elif error.validator == "required":
        yield path, f"{error.message.replace(chr(39), '`')}. Add it."
    else:
        yield path, f"`{dotted(path)}: {error.instance!r}` is not what Axolotl takes: {wanted(error)}"


def closest_shape(error: Any) -> list[Any]:
    """The errors of the one alternative that the value was meant for: mappings and lists against their own kind."""
    shapes: dict[int, list[Any]] = {}
    for inner in error.context or ():
        shapes.setdefault(inner.schema_path[0], []).append(inner)
    fitting = [
        inner
        for inner in shapes.values()
        if all(part.validator not in ("type", "const") or len(part.path) for part in inner)
    ]
    return min(fitting, key=len, default=[])


def nearest(key: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(key, list(known), n=1, cutoff=0.6)
    return f"; did you mean `{close[0]}`?" if close else ""


def wanted(error: Any) -> str:
    """The types or values that a schema allows, in words."""
    if error.validator == "enum":
        values = list(map(str, error.validator_value))
        return nearest(str(error.instance), values).lstrip("; ") or f"use one of {', '.join(values)}"
    options = error.validator_value if error.validator == "anyOf" else [error.schema]
    names = [str(option.get("const") or option.get("type") or "a mapping") for option in options]
    return "use " + " or ".join(dict.fromkeys(name for name in names if name != "null"))


def dotted(path: Sequence[str | int]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def place(candidates: Sequence[tuple[str | int, ...]], files: Sequence[Path]) -> str:
    """`file:line` of the strongest file that sets one of the keys; the first file alone when none does."""
    for file in reversed(files):
        for keys in candidates:
            if (line := line_in_layer(file, keys)) is not None:
                return f"{shown(file)}:{line}"
    return str(shown(files[0]))
