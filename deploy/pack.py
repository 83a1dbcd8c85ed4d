"""What a pack says about serving: the name of its models, and the parameters of their answers.

The rest of its file belongs to the other rooms; `python -m configs.pack check` looks at all of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec

from configs.strict_yaml import ConfigError, load_mapping

Prefix = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,31}$")]


class Serving(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How answers are drawn where a request does not say it, and how much text a chat may have."""

    temperature: Annotated[float, msgspec.Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, msgspec.Meta(gt=0, le=1)] | None = None
    num_ctx: Annotated[int, msgspec.Meta(ge=256, le=1_048_576)] | None = None
    """tokens, prompt and answer together"""

    def sampling(self) -> dict[str, float]:
        """What a request to an engine may hold."""
        given = {"temperature": self.temperature, "top_p": self.top_p}
        return {name: value for name, value in given.items() if value is not None}


class Pack(msgspec.Struct, frozen=True):
    """A pack, as far as it is served: its versions are `model_prefix`:v3 and `model_prefix`:latest."""

    model_prefix: Prefix
    serving: Serving = Serving()


def read_pack(file: Path) -> Pack:
    """The pack in a file. Raises `ConfigError`."""
    given = load_mapping(file)
    problems: list[str] = []
    for name, kind in (("model_prefix", Prefix), ("serving", Serving)):
        try:
            msgspec.convert(given.get(name, {} if name == "serving" else None), kind, strict=True)
        except msgspec.ValidationError as problem:
            reason, _, inner = str(problem).partition(" - at `$")
            problems.append(f"{file}: {name}{inner.rstrip('`')}: {reason[0].lower()}{reason[1:]}.")
    if problems:
        raise ConfigError(problems)
    return msgspec.convert(given, Pack, strict=True)


def read_packs(paths: Iterable[str]) -> dict[str, Pack]:
    """Packs by role, which is the name of the file. A folder stands for every .yml in it. Raises `ConfigError`."""
    packs: dict[str, Pack] = {}
    problems: list[str] = []
    for file in files_of(paths):
        try:
            packs[file.stem] = read_pack(file)
        except ConfigError as error:
            problems += error.problems
    if problems := [*problems, *doubles(packs)]:
        raise ConfigError(problems)
    return packs


def files_of(paths: Iterable[str]) -> Iterator[Path]:
    for path in map(Path, paths):
        yield from sorted(path.glob("*.yml")) if path.is_dir() else (path,)


def doubles(packs: Mapping[str, Pack]) -> Iterator[str]:
    """Names that would mean the models of two packs."""
    owners: dict[str, str] = {}
    for role, pack in packs.items():
        for name in dict.fromkeys((role, pack.model_prefix)):
            if (other := owners.setdefault(name, role)) != role:
                yield f"model_prefix: {name} would mean {other} and {role}. Give one of the packs another one."


def sampling_of(packs: Mapping[str, Pack]) -> dict[str, dict[str, Any]]:
    """By role, what a request has that says nothing else."""
    return {role: pack.serving.sampling() for role, pack in packs.items()}
