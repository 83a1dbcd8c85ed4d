"""configs/data.yml as typed values; the only place that resolves paths.

`load_config(path)` returns a `DataConfig` or raises `ConfigError` with every problem at once.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import msgspec
import yaml

SourceKind = Literal["sessions", "observers", "beads", "qna"]


class ConfigError(Exception):
    """Every problem of a configuration, one sentence a line, each with its fix."""


class Struct(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class SourceConfig(Struct, frozen=True):
    """Where conversations come from. `{sessions}` in the path is the folder given by --sessions."""

    kind: SourceKind
    path: str
    optional: bool = False
    role: str = ""


class RoleConfig(Struct, frozen=True):
    system: str


class RedactConfig(Struct, frozen=True):
    """`names` are further user, host or customer names to replace; `literals` is a file of secrets, one a line."""

    names: tuple[str, ...] = ()
    literals: str = ""
    env_files: tuple[str, ...] = ()


class RoleRule(Struct, frozen=True):
    """A working directory, as a regular expression, and the role of the sessions in it."""

    cwd: str
    role: str


class TaggerConfig(Struct, frozen=True):
    """`towns` are folder names of Gas Town roots; `rules` speak for everybody who runs no town."""

    towns: tuple[str, ...] = ("gt",)
    rules: tuple[RoleRule, ...] = ()


class NormalizeConfig(Struct, frozen=True):
    """`boilerplate` are regular expressions whose matches in tool results are removed, with the name of the rule."""

    boilerplate: dict[str, str] = {}


class WindowConfig(Struct, frozen=True):
    """Limits of a window. Budgets are tokens; what is over is cut in the middle.

    `result_tokens` bounds one result, `step_tokens` all results of one step, `human_tokens` one text on the human
    side, `opening_tokens` the text that opened a turn where a window starts later in it.
    """

    pairs: int = 8
    overlap: float = 0.5
    max_tokens: int = 4096
    result_tokens: int = 512
    step_tokens: int = 1536
    human_tokens: int = 1024
    opening_tokens: int = 384


class QualityConfig(Struct, frozen=True):
    min_trained_tokens: int = 4
    min_score: float = 0.1


class DedupConfig(Struct, frozen=True):
    """`threshold` is the true Jaccard similarity of word shingles from which two windows count as duplicates."""

    near: bool = True
    threshold: float = 0.9
    shingle: int = 5
    permutations: int = 128


class SplitConfig(Struct, frozen=True):
    val: float = 0.1
    test: float = 0.1


class DataConfig(Struct, frozen=True):
    base_model: str
    sources: tuple[SourceConfig, ...]
    roles: dict[str, RoleConfig]
    seed: int = 42
    redact: RedactConfig = RedactConfig()
    tagger: TaggerConfig = TaggerConfig()
    normalize: NormalizeConfig = NormalizeConfig()
    windows: WindowConfig = WindowConfig()
    quality: QualityConfig = QualityConfig()
    dedup: DedupConfig = DedupConfig()
    split: SplitConfig = SplitConfig()


class StrictLoader(yaml.SafeLoader):
    """YAML in which a key may stand only once and `2e-4` is not silently a string."""


def _mapping(loader: StrictLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: dict[Any, int] = {}
    for key_node, _ in node.value:
        key = loader.construct_object(key_node)
        line = key_node.start_mark.line + 1
        if key in seen:
            raise ConfigError(f"line {line}: {key!r} stands twice (first in line {seen[key]}). Remove one.")
        seen[key] = line
    return yaml.SafeLoader.construct_mapping(loader, node, deep=True)


StrictLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def load_config(path: Path) -> DataConfig:
    """The configuration in a file. Raises ConfigError with all problems, each with the key and the fix."""
    try:
        raw = yaml.load(path.read_text("utf-8"), StrictLoader)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}). Give another file with --config.") from None
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: is not valid YAML: {' '.join(str(error).split())}") from None
    _refuse(path, _problems(raw, DataConfig, ""))
    config = msgspec.convert(raw, DataConfig)
    _refuse(path, _contradictions(config))
    return config


def _refuse(path: Path, problems: Iterable[str]) -> None:
    if found := [f"{path}: {problem}" for problem in problems]:
        raise ConfigError("\n".join(found))


def _problems(raw: Any, kind: Any, where: str) -> Iterator[str]:
    """Every unknown key, missing key and wrong type in a value, however deep, each with its place."""
    origin, inner = get_origin(kind), get_args(kind)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and isinstance(raw, dict):
        yield from _problems_of_keys(raw, kind, where)
    elif origin is tuple and isinstance(raw, list):
        for index, value in enumerate(raw):
            yield from _problems(value, inner[0], f"{where}[{index}]")
    elif origin is dict and isinstance(raw, dict):
        for key, value in raw.items():
            yield from _problems(value, inner[1], f"{where}.{key}")
    else:
        try:
            msgspec.convert(raw, kind)
        except msgspec.ValidationError as error:
            yield f"{where or 'the file'}: {error}."


def _problems_of_keys(raw: dict[Any, Any], kind: type[msgspec.Struct], where: str) -> Iterator[str]:
    fields = {field.name: field for field in msgspec.structs.fields(kind)}
    inside = f"{where}." if where else ""
    for key, value in raw.items():
        if key in fields:
            yield from _problems(value, fields[key].type, f"{inside}{key}")
        else:
            near = difflib.get_close_matches(str(key), fields, n=1)
            yield f"{inside}{key} is not a key. " + (
                f"Did you mean {near[0]}?" if near else f"Known: {', '.join(fields)}."
            )
    for name, field in fields.items():
        if field.required and name not in raw:
            yield f"{inside}{name} is missing."


def _contradictions(config: DataConfig) -> Iterator[str]:
    windows, split = config.windows, config.split
    if windows.pairs < 1:
        yield "windows.pairs must be at least 1."
    if not 0 <= windows.overlap < 1:
        yield f"windows.overlap must be in 0..1 (1 excluded), not {windows.overlap}."
    if windows.max_tokens < 128:
        yield f"windows.max_tokens is {windows.max_tokens}; a window needs at least 128 tokens."
    if min(split.val, split.test) < 0 or split.val + split.test >= 1:
        yield f"split.val + split.test must be in 0..1 (1 excluded), not {split.val + split.test}."
    if "unknown" not in config.roles:
        yield "roles.unknown is missing: sessions whose role cannot be told need a system prompt too."
    for index, rule in enumerate(config.tagger.rules):
        if rule.role not in config.roles:
            yield f"tagger.rules[{index}].role: {rule.role} is not one of the roles ({', '.join(config.roles)})."
    for where, pattern in _patterns(config):
        try:
            re.compile(pattern)
        except re.error as error:
            yield f"{where}: {pattern!r} is not a regular expression ({error})."
    for index, source in enumerate(config.sources):
        if source.role and source.role not in config.roles:
            yield f"sources[{index}].role: {source.role} is not one of the roles ({', '.join(config.roles)})."


def _patterns(config: DataConfig) -> Iterator[tuple[str, str]]:
    for index, rule in enumerate(config.tagger.rules):
        yield f"tagger.rules[{index}].cwd", rule.cwd
    for name, pattern in config.normalize.boilerplate.items():
        yield f"normalize.boilerplate.{name}", pattern
