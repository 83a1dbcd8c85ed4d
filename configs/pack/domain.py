"""A domain in JSON (`id, name, base_model, model_prefix, system_prompt, data, eval, training, ollama`) as a pack.

`translate(raw)` gives the pack's keys and notes: a sentence for each thing that a pack has no word for. Spellings are
taken as they come (domain_words.py); values are checked afterwards, like those of any pack.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from configs.pack import domain_words as words
from configs.pack.domain_parts import Keys, data_of, numbers_of, seed_of, tasks_of, training_of, weights_of
from configs.pack.domain_section import Section
from configs.pack.domain_sources import sources_of
from configs.pack.values import NAME, PREFIX
from configs.strict_yaml import ConfigError

_QUANTISED: Final = re.compile(r"(?:-unsloth)?-bnb-4bit$")
_OLLAMA: Final = re.compile(r"(?i)qwen2\.5(-coder)?:(\d+(?:\.\d+)?)b(?:-instruct)?[\w.-]*")


@dataclass(frozen=True, slots=True)
class Domain:
    """A pack's keys, made of a domain; `title` and `about` say what it is for."""

    name: str
    title: str
    about: str
    pack: Keys
    tasks: str
    notes: tuple[str, ...]


def translate(raw: object, base_model: str = "") -> Domain:
    """The pack of a domain. Raises `ConfigError` with everything that is missing, at once."""
    if not isinstance(raw, Mapping):
        raise ConfigError(["The domain is no JSON object with an id, a system_prompt and so on."])
    notes: list[str] = []
    top = Section.of("", raw, notes)
    name, title, about = name_of(top), top.text(words.NAME), top.text(words.ABOUT)
    base = base_of(top, base_model)
    system = top.text(words.SYSTEM)
    if missing := list(missing_of(name, base, system)):
        raise ConfigError(missing)
    data, training = top.section(words.DATA), top.section(words.TRAINING)
    evaluation, serving = top.section(words.EVAL), top.section(words.OLLAMA)
    length = training.number(words.LENGTH) or data.number(words.LENGTH)
    pack = {
        "base_model": base,
        "model_prefix": prefix_of(top, name),
        **seed_of(data),
        "sources": sources_of(data, name),
        "roles": {name: {"system": system}, "unknown": {"system": system}},
        **({"windows": {"max_tokens": length}} if length else {}),
        **data_of(data),
        "overlap": {"prompts": "eval/domains"},
        "training": training_of(training) | ({"sequence_len": length} if length else {}),
        **weights_of(evaluation),
        "serving": numbers_of(serving, words.SERVING),
    }
    tasks = tasks_of(evaluation)
    notes += [sentence for part in (top, data, evaluation, training, serving) for sentence in part.left()]
    return Domain(name, title or name, about, pack, tasks, tuple(dict.fromkeys(notes)))


def name_of(top: Section) -> str:
    written = top.text(words.ID)
    name = re.sub(r"[^a-z0-9_-]+", "-", written.lower()).strip("-")
    if name != written:
        top.notes.append(f"id {written!r} is called {name} here: files and models carry the name.")
    return name


def base_of(top: Section, instead: str) -> str:
    """The base model as the hub calls it: copies in 4 bit are what the recipe makes itself."""
    written = top.text(words.BASE)
    if instead:
        return instead
    base = _QUANTISED.sub("", written)
    if base.startswith("unsloth/Qwen2.5-"):
        base = base.replace("unsloth/", "Qwen/", 1)
    if found := _OLLAMA.fullmatch(base):
        base = f"Qwen/Qwen2.5{'-Coder' if found[1] else ''}-{found[2]}B-Instruct"
    if base != written:
        top.notes.append(f"base_model {written} is {base} here: the recipe quantises it itself.")
    return base


def missing_of(name: str, base: str, system: str) -> Iterator[str]:
    if not NAME.fullmatch(name):
        yield "id is missing, or no name. Give the domain an id such as legal."
    if "/" not in base:
        wrong = f"{base!r} is no model of the hub" if base else "is missing"
        yield f"base_model {wrong}. Name one: --base-model Qwen/Qwen2.5-7B-Instruct."
    if not system:
        yield "system_prompt is missing. Say in it what the model is."


def prefix_of(top: Section, name: str) -> str:
    """Up to the colon: `forge-legal:latest` is served by the name alone."""
    written = top.text(words.PREFIX).partition(":")[0].lower()
    prefix = re.sub(r"[^a-z0-9._-]+", "-", written).strip("-")
    if not PREFIX.fullmatch(prefix):
        prefix = f"forge-{name}"[:32]
        top.notes.append(
            f"model_prefix {'is missing' if not written else f'{written!r} is no name'}: it is {prefix} here."
        )
    return prefix
