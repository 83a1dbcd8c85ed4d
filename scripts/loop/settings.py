"""configs/loop.yml as typed values: who is asked for examples, how many, what is kept of them, and when rounds start.

`load_settings(path)` raises `BadInput` with every problem at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_type_hints

import msgspec

from configs.strict_yaml import ConfigError, load_mapping
from scripts.loop.errors import BadInput

DEFAULT = Path("configs/loop.yml")


class Struct(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class Strong(Struct, frozen=True):
    """The stronger model: `endpoint` is URL#MODEL or empty. `seconds` is the limit of one request, `tries` how often
    one is sent before the endpoint counts as down, `at_once` how many examples one request wants.
    """

    endpoint: str = ""
    seconds: float = 120
    tries: int = 3
    at_once: int = 10
    max_tokens: int = 4096
    temperature: float = 0.8


class Examples(Struct, frozen=True):
    """How many of the weakest families get examples, and how many each."""

    families: int = 3
    each: int = 20


class Miners(Struct, frozen=True):
    """Git repositories whose merged changes `python -m data.mine` looks for, `limit` new ones a round."""

    repositories: tuple[str, ...] = ()
    limit: int = 200


class Shares(Struct, frozen=True):
    """The most that generated rows, and answers of our own adapters, may be of a role's rows; 0..1."""

    generated: float = 0.3
    own: float = 0.1


class Curation(Struct, frozen=True):
    """Rules for examples. Lengths are characters of the answer; `likeness` (0..1) is from where two questions count as
    one; `words` in a row in common with the evaluation are too many; `refusals` are regular expressions.
    """

    min_answer: int = 20
    max_answer: int = 6000
    likeness: float = 0.9
    words: int = 13
    refusals: tuple[str, ...] = ()


class Gate(Struct, frozen=True):
    """The loss in 0..1 that is still accepted: against the base, and against the version that is live."""

    margin: float = 0.05
    live: float = 0.05


class Evaluation(Struct, frozen=True):
    """How versions are asked: runs of each scenario (town roles), tokens of one answer, answers at a time."""

    samples: int = 1
    max_new_tokens: int = 0
    batch_size: int = 16


class Export(Struct, frozen=True):
    """What a version is made into before it goes live, such as gguf-q4_k_m, because the gateway serves that; empty:
    nothing.
    """

    kind: str = ""
    pre_tokenizer: str = ""


class Auto(Struct, frozen=True):
    """When `auto` starts a round: after so many new examples, or so many hours (0: never for that reason). It looks
    every `check_seconds`, and gives a round up that failed `give_up_after` times.
    """

    new_examples: int = 50
    hours: float = 24
    check_seconds: float = 60
    give_up_after: int = 5


class Settings(Struct, frozen=True):
    """All of configs/loop.yml. `gateway` is where a running gateway is told of a new version; empty: nowhere."""

    strong: Strong = Strong()
    examples: Examples = Examples()
    miners: Miners = Miners()
    shares: Shares = Shares()
    curation: Curation = Curation()
    gate: Gate = Gate()
    evaluation: Evaluation = Evaluation()
    export: Export = Export()
    gateway: str = "http://127.0.0.1:18793"
    auto: Auto = Auto()


def load_settings(path: Path = DEFAULT) -> Settings:
    """The settings in a file. Raises `BadInput`."""
    try:
        raw = load_mapping(path)
    except ConfigError as error:
        raise BadInput(str(error)) from None
    problems = list(_problems(raw, Settings, ""))
    if not problems:
        settings = msgspec.convert(raw, Settings)
        problems = list(contradictions(settings))
    if problems:
        raise BadInput("\n".join(f"{path}: {problem}" for problem in problems))
    return settings


def _problems(raw: Mapping[str, Any], kind: type[msgspec.Struct], inside: str) -> Iterator[str]:
    types = get_type_hints(kind)
    for key, value in raw.items():
        if key not in types:
            yield f"{inside}{key} is not a key. Known: {', '.join(types)}."
        elif issubclass_struct(types[key]) and isinstance(value, dict):
            yield from _problems(value, types[key], f"{inside}{key}.")
        else:
            try:
                msgspec.convert(value, types[key])
            except msgspec.ValidationError as error:
                yield f"{inside}{key}: {error}."


def issubclass_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def contradictions(settings: Settings) -> Iterator[str]:
    """What cannot be meant, one sentence each."""
    for name, share in (("generated", settings.shares.generated), ("own", settings.shares.own)):
        if not 0 <= share < 1:
            yield f"shares.{name} must be in 0..1 (1 excluded), not {share}."
    for name, loss in (("margin", settings.gate.margin), ("live", settings.gate.live)):
        if not 0 <= loss < 1:
            yield f"gate.{name} must be in 0..1 (1 excluded), not {loss}."
    if not 0 < settings.curation.likeness <= 1:
        yield f"curation.likeness must be in 0..1 (0 excluded), not {settings.curation.likeness}."
    counts = {
        "strong.tries": settings.strong.tries, "strong.at_once": settings.strong.at_once,
        "strong.seconds": settings.strong.seconds, "strong.max_tokens": settings.strong.max_tokens,
        "examples.families": settings.examples.families, "examples.each": settings.examples.each,
        "miners.limit": settings.miners.limit,
        "curation.words": settings.curation.words, "evaluation.samples": settings.evaluation.samples,
        "evaluation.batch_size": settings.evaluation.batch_size,
        "auto.check_seconds": settings.auto.check_seconds, "auto.give_up_after": settings.auto.give_up_after,
    }  # fmt: skip
    yield from (f"{name} must be more than 0, not {value}." for name, value in counts.items() if value <= 0)
    if settings.curation.min_answer > settings.curation.max_answer:
        yield "curation.min_answer is more than curation.max_answer, so no example would be kept."
    yield from _broken_patterns(settings.curation.refusals)
    yield from faults_of_endpoint(settings.strong.endpoint, "strong.endpoint")


def _broken_patterns(patterns: tuple[str, ...]) -> Iterator[str]:
    for pattern in patterns:
        try:
            re.compile(pattern)
        except re.error as error:
            yield f"curation.refusals: {pattern} is no regular expression ({error})."


def faults_of_endpoint(endpoint: str, where: str) -> Iterator[str]:
    """What is wrong with URL#MODEL; nothing where there is none."""
    if endpoint and not re.fullmatch(r"https?://[^\s#@]+#[^\s#]+", endpoint):
        yield f"{where} is no URL#MODEL. Write http://HOST/v1#NAME, without a password: the key is in OPENAI_API_KEY."
