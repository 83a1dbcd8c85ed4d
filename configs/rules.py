"""What is wrong with a recipe, found without Axolotl, torch or a GPU.

Every key and type is held against the JSON Schema of Axolotl's own config model, which by itself drops keys
that it does not know. Then come the contradictions that it lets pass or reports only after the model is
loaded.
"""

import difflib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

from jsonschema import Draft202012Validator

from configs.files import SCHEMA_FILE, shown
from configs.strict_yaml import line_of

Rule = tuple[tuple[str, ...], Callable[[Mapping[str, Any]], bool], str]


def trains_blocks(config: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [block for block in config.get("datasets", []) if isinstance(block, dict)]


def reads_no_calls(block: Mapping[str, Any]) -> bool:
    """Whether a block reads native rows so that Axolotl drops calls which it does not find in the template."""
    return block.get("field_messages") == "messages" and "tool_calls" not in block.get("message_property_mappings", {})


# (the keys concerned, when it is wrong, what to do): one sentence each, in the order in which a reader meets the keys.
RULES: Final[tuple[Rule, ...]] = (
    (
        ("load_in_4bit", "adapter"),
        lambda c: c.get("adapter") == "qlora" and not c.get("load_in_4bit"),
        "`adapter: qlora` needs `load_in_4bit: true`. Set it, or use `adapter: lora`.",
    ),
    (
        ("load_in_4bit", "adapter"),
        lambda c: c.get("adapter") == "lora" and bool(c.get("load_in_4bit")),
        "`adapter: lora` with `load_in_4bit: true` is QLoRA under another name. Use `adapter: qlora`.",
    ),
    (
        ("lora_r", "adapter"),
        lambda c: c.get("adapter") in ("lora", "qlora") and not c.get("lora_r"),
        "an adapter without `lora_r` has no rank. Set lora_r.",
    ),
    (
        ("lora_target_linear",),
        lambda c: bool(c.get("lora_target_linear") and c.get("lora_target_modules")),
        "`lora_target_linear` and `lora_target_modules` are joined without a word. Keep one of them.",
    ),
    (
        ("datasets",),
        lambda c: any(str(block.get("type")).startswith("sharegpt") for block in trains_blocks(c)),
        "`type: sharegpt` is gone from Axolotl. Use `type: chat_template` with `field_messages: conversations`.",
    ),
    (
        ("datasets",),
        lambda c: any(block.get("message_field_training") != "train" for block in trains_blocks(c)),
        "without `message_field_training: train` every reply is trained, whatever its row says. Add it.",
    ),
    (
        ("datasets",),
        lambda c: any(reads_no_calls(block) for block in trains_blocks(c)),
        "native rows without `tool_calls` in `message_property_mappings` may lose their calls. Use `--with native`.",
    ),
    (
        ("val_set_size",),
        lambda c: bool(c.get("val_set_size") and c.get("test_datasets")),
        "`val_set_size` and `test_datasets` exclude each other. Remove val_set_size: our split is by session.",
    ),
    (
        ("warmup_steps", "warmup_ratio"),
        lambda c: bool(c.get("warmup_steps") and c.get("warmup_ratio")),
        "`warmup_steps` and `warmup_ratio` exclude each other. Remove one.",
    ),
    (
        ("flash_attention",),
        lambda c: "flash_attention" in c and "attn_implementation" in c,
        "`flash_attention` is the old name of `attn_implementation` and cannot stand beside it. Remove it.",
    ),
    (
        ("early_stopping_patience",),
        lambda c: bool(c.get("early_stopping_patience")) and not c.get("test_datasets"),
        "`early_stopping_patience` needs `test_datasets`. Add them, or remove it.",
    ),
    (
        ("eval_steps", "save_steps"),
        lambda c: bool(c.get("load_best_model_at_end")) and not divides(c.get("eval_steps"), c.get("save_steps")),
        "`load_best_model_at_end` needs a `save_steps` that is a multiple of `eval_steps`.",
    ),
)


def divides(part: Any, whole: Any) -> bool:
    """Whether `whole` is a multiple of `part`; both may be fractions of the run."""
    if not (isinstance(part, int | float) and isinstance(whole, int | float)) or part <= 0:
        return False
    ratio = whole / part
    return ratio >= 1 and abs(ratio - round(ratio)) < 1e-9


def problems_of(config: Mapping[str, Any], files: Sequence[Path]) -> list[str]:
    """Every problem of a combined recipe, each with the file and line that brought it in (the last of `files` wins)."""
    found = [(place([keys], files), sentence) for keys, sentence in schema_problems(config)]
    found += [(place([(key,) for key in keys], files), sentence) for keys, sentence in contradictions(config)]
    return [f"{where}: {sentence}" for where, sentence in found]


def contradictions(config: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], str]]:
    yield from ((keys, sentence) for keys, is_wrong, sentence in RULES if is_wrong(config))


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
            if (line := line_of(file, keys)) is not None:
                return f"{shown(file)}:{line}"
    return str(shown(files[0]))
