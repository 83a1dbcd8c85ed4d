"""Values that a scenario draws anew for each sample, so that no answer can be learned by heart.

`{{bead}}` in any string of a scenario becomes what `vars.bead` draws: one of a list, or a pattern whose `?` are
digits. The same seed, scenario and sample give the same values on every machine.
"""

import hashlib
import random
import re
from collections.abc import Iterator, Mapping
from typing import Any

PLACEHOLDER = re.compile(r"\{\{([a-z][a-z0-9_]*)\}\}")
# What is drawn may stand in a regular expression and in a shell word: nothing in it needs quoting in either.
PLAIN = re.compile(r"[A-Za-z0-9?][A-Za-z0-9_ ?/-]*")

Choices = str | tuple[str, ...]


def draw(choices: Mapping[str, Choices], scenario: str, sample: int, seed: int) -> dict[str, str]:
    """One value per variable, for this scenario, sample and seed."""
    return {name: _draw(options, f"{seed}/{scenario}/{sample}/{name}") for name, options in choices.items()}


def fill(value: Any, drawn: Mapping[str, str]) -> Any:
    """A copy of a JSON value whose strings have `{{name}}` replaced; keys of objects stay as they are."""
    if isinstance(value, str):
        return PLACEHOLDER.sub(lambda found: drawn[found[1]], value)
    if isinstance(value, dict):
        return {key: fill(inner, drawn) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [fill(inner, drawn) for inner in value]
    return value


def placeholders(value: Any) -> Iterator[str]:
    """The names of all placeholders in the strings of a JSON value."""
    if isinstance(value, str):
        yield from PLACEHOLDER.findall(value)
    elif isinstance(value, dict):
        yield from (name for inner in value.values() for name in placeholders(inner))
    elif isinstance(value, list | tuple):
        yield from (name for inner in value for name in placeholders(inner))


def fault(choices: Mapping[str, Choices]) -> str | None:
    """Why these variables cannot be drawn, or None."""
    for name, options in choices.items():
        several = (options,) if isinstance(options, str) else options
        if not PLACEHOLDER.fullmatch(f"{{{{{name}}}}}"):
            return f"vars: {name!r} is no name; use small letters, digits and _"
        if bad := [option for option in several if not PLAIN.fullmatch(option)]:
            return f"vars.{name}: {bad[0]!r} may hold letters, digits, blanks and _ / - only, and ? for a digit"
        if not several or (len(several) == 1 and "?" not in several[0]):
            return f"vars.{name} can draw one value only; write the value itself, or give more"
    return None


def _draw(options: Choices, key: str) -> str:
    dice = random.Random(hashlib.sha256(key.encode()).digest())
    chosen = options if isinstance(options, str) else dice.choice(options)
    return "".join(dice.choice("0123456789") if letter == "?" else letter for letter in chosen)
