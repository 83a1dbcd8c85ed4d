"""configs/data.yml as typed values; the only place that resolves paths.

`load_config(path)` returns a `DataConfig` or raises `ConfigError` with every problem at once.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import msgspec
import yaml

SourceKind = Literal["sessions", "observers", "beads", "qna", "pairs", "vault", "pulls"]
ToolFormat = Literal["xml", "native"]


class ConfigError(Exception):
    """Every problem of a configuration, one sentence a line, each with its fix."""


class Struct(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class VaultConfig(Struct, frozen=True):
    """What of an Obsidian vault is a reflection.

    A note or section with one of `tags` (nested ones too, case apart), or under a heading that `journals` matches, or a
    paragraph with one of `phrases`. `leave_out` are folders, by name; a note over `max_bytes` is set aside, and so is
    a reflection under `min_words`.
    """

    tags: tuple[str, ...] = ("reflection", "insight", "learning", "decision", "analysis", "takeaway", "realization")
    phrases: tuple[str, ...] = (
        "I think", "I feel", "I realize", "I wonder", "Looking back", "What if", "On one hand", "Ultimately decided",
    )  # fmt: skip
    journals: str = (  # `Lessons of May` and `Evening, 3 May`, but not `Lesson plan`
        r"(?i)^(?:(?:journal|reflections?|daily (?:log|notes?)|morning pages|gratitude|lessons)\b"
        r"|(?:evening(?: pages| reflections?)?|lesson(?: learned)?)\s*(?:[^\w\s].*|\d.*)?$)"
    )
    leave_out: tuple[str, ...] = (".obsidian", ".trash", "templates", "template", "attachments")
    max_bytes: int = 5_000_000
    min_words: int = 12


class PullsConfig(Struct, frozen=True):
    """Which merged changes of a git repository are examples: on `branch` (empty: the one checked out), of at most
    `max_files` files and `max_lines` changed lines, with at least `min_words` words of message.

    `leave_out` are regular expressions of paths that nobody wrote, beside those that git itself calls generated.
    """

    branch: str = ""
    max_files: int = 12
    max_lines: int = 300
    min_words: int = 4
    leave_out: tuple[str, ...] = (
        r"(?:^|/)(?:vendor|node_modules|third_party|dist|build)/",
        r"(?:^|/)(?:package-lock\.json|yarn\.lock|pnpm-lock\.yaml|uv\.lock|poetry\.lock|Cargo\.lock|go\.sum)$",
        r"\.(?:min\.js|min\.css|map|pb\.go|lock)$|_pb2\.pyi?$",
    )


class SourceConfig(Struct, frozen=True):
    """Where conversations come from. `{sessions}` in the path is the folder given by --sessions.

    Of pairs, `own_answers` says whether answers of our own adapters are learned, and `own_limit` how many at most.
    `vault` and `pulls` are for the sources of these kinds.
    """

    kind: SourceKind
    path: str
    optional: bool = False
    role: str = ""
    own_answers: Literal["leave", "train"] = "leave"
    own_limit: int | None = None
    vault: VaultConfig = VaultConfig()
    pulls: PullsConfig = PullsConfig()


class RoleConfig(Struct, frozen=True):
    """The system prompts of a role: `system` is the compact one, `full` the one it is served with, if that is longer.

    `full_file` names a file with the full one, relative to the configuration; `load_config` reads it into `full`.
    """

    system: str
    full_file: str = ""
    full: str = ""


class PromptsConfig(Struct, frozen=True):
    """Which share (0..1) of conversations carries the full system prompt of its role, and which the compact one."""

    full: float = 0.0
    compact: float = 1.0


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


class NoticeRule(Struct, frozen=True):
    """A notice that the client or a tool adds to results: the literal it begins with, and the regular expression of
    what follows (`.` is any character; the default is the rest of the line).

    It is looked for in results of `tools` (all where none is named), at the beginning of a line; `put` replaces it.
    """

    has: str
    then: str = r"[^\n]*"
    tools: tuple[str, ...] = ()
    put: str = ""


class NormalizeConfig(Struct, frozen=True):
    """`notices` are removed from tool results, by the name of the rule. A result that is one of `no_output` is empty.

    A line of at least `banner_length` of the `banner_characters` and nothing else is removed.
    """

    notices: dict[str, NoticeRule] = {}
    no_output: tuple[str, ...] = ()
    banner_characters: str = "═─━"
    banner_length: int = 8


class TurnRule(Struct, frozen=True):
    """A kind of cycle, or of whole session, from which nothing is to be learned.

    It speaks of sessions of `roles`. All commands must be `of` the named groups and at least one of a group in
    `needs`. `keep` is the share (0..1) that stays trained.
    """

    roles: tuple[str, ...]
    of: tuple[str, ...]
    needs: tuple[str, ...]
    keep: float = 0.0
    scope: Literal["cycle", "session"] = "cycle"
    enabled: bool = True


class BoilerplateConfig(Struct, frozen=True):
    """Turns of town agents in which nothing happened.

    `commands` are groups of commands, each a regular expression of the whole command with another one that its result
    must contain (empty: whatever it prints). `waits` ends a cycle of a patrol. A text that begins with one of
    `town_words` was typed by the town, not by a person. Where `signs` are found, something happened.
    """

    commands: dict[str, dict[str, str]] = {}
    rules: dict[str, TurnRule] = {}
    waits: str = r"(?!)"
    town_words: tuple[str, ...] = ()
    signs: str = r"(?!)"


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


class OutcomeConfig(Struct, frozen=True):
    """Which replies stay as context and are not learned.

    A failed attempt counts as repaired when one of the next `repair_within` replies of its turn makes it good.
    """

    rejected: bool = True
    interrupted: bool = True
    corrected: bool = True
    repaired: bool = True
    repair_within: int = 5


class QualityWeights(Struct, frozen=True):
    """What each part of the quality score counts; together 1."""

    results: float = 0.3
    people: float = 0.25
    tests: float = 0.2
    landed: float = 0.15
    beads: float = 0.1


class QualityConfig(Struct, frozen=True):
    """A window with fewer trained tokens or a lower score (0..1) is dropped.

    So is one whose longest trained answer has fewer than `min_answer_chars`, and, where `code` is required, one without
    a trained answer that shows code in a fence (```).
    """

    min_trained_tokens: int = 4
    min_score: float = 0.25
    min_answer_chars: int = 0
    code: Literal["any", "required"] = "any"
    weights: QualityWeights = QualityWeights()


class DedupConfig(Struct, frozen=True):
    """`threshold` is the true Jaccard similarity of word shingles from which two windows count as duplicates."""

    near: bool = True
    threshold: float = 0.9
    shingle: int = 5
    permutations: int = 128


class OverlapConfig(Struct, frozen=True):
    """`prompts` is the folder of the evaluation's scenarios (eval/prompts) or of the rubric's tasks (eval/domains),
    relative to the repository; empty switches the stage off.

    A window that shares `words` words in a row with a scenario leaves. 13 is the convention since GPT-3's report.
    """

    prompts: str = "eval/prompts"
    words: int = 13


class BalanceConfig(Struct, frozen=True):
    """How many rows a role may train, by name; and the temperature (1 and more) that evens out the roles' shares."""

    max_rows: dict[str, int] = {}
    temperature: float = 1.0


class AuditConfig(Struct, frozen=True):
    """`allow` are regular expressions of whole values that the second scan takes for secrets and that are none."""

    allow: tuple[str, ...] = ()


class PreferencesConfig(Struct, frozen=True):
    """Whether rows of preferences are made, for which methods. `max_tokens` is the limit of one, whose prompt is
    shortened to fit; a window's own limit holds as well.
    """

    dpo: bool = True
    kto: bool = True
    max_tokens: int = 2048


class CurationConfig(Struct, frozen=True):
    """What people decided about single examples: the database that `python -m data.curate` writes, and whether
    examples that nobody has decided about are used (`all`) or only approved ones (`approved`).
    """

    decisions: str = "output/curation.db"
    use: Literal["all", "approved"] = "all"


class SplitConfig(Struct, frozen=True):
    """The shares (0..1) of the rows that are not trained.

    With `exact` they come out as written, also in a small dataset, but a group near a border may change sides when
    data is added. Without it a group's split depends on its own name alone and never changes, and the shares are those
    that chance gives.
    """

    val: float = 0.1
    test: float = 0.1
    exact: bool = False


class DataConfig(Struct, frozen=True):
    """`archive` is the folder that keeps raw transcripts, `forgotten` the list of sessions that no build may use.

    `model_prefix`, `training`, `eval`, `rubric` and `serving` are a pack's words to the other rooms, which check them
    (configs/pack).
    """

    base_model: str
    sources: tuple[SourceConfig, ...]
    roles: dict[str, RoleConfig]
    seed: int = 42
    tool_format: ToolFormat = "xml"
    archive: str = "output/archive"
    forgotten: str = "output/forgotten.txt"
    redact: RedactConfig = RedactConfig()
    tagger: TaggerConfig = TaggerConfig()
    normalize: NormalizeConfig = NormalizeConfig()
    boilerplate: BoilerplateConfig = BoilerplateConfig()
    outcome: OutcomeConfig = OutcomeConfig()
    windows: WindowConfig = WindowConfig()
    quality: QualityConfig = QualityConfig()
    dedup: DedupConfig = DedupConfig()
    prompts: PromptsConfig = PromptsConfig()
    overlap: OverlapConfig = OverlapConfig()
    balance: BalanceConfig = BalanceConfig()
    audit: AuditConfig = AuditConfig()
    preferences: PreferencesConfig = PreferencesConfig()
    curation: CurationConfig = CurationConfig()
    split: SplitConfig = SplitConfig()
    model_prefix: str = ""
    training: dict[str, Any] = {}
    eval: dict[str, Any] = {}
    rubric: dict[str, Any] = {}
    serving: dict[str, Any] = {}


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
    _refuse(path, [*_contradictions(config), *_contradictory_shares(config), *_contradictory_scores(config)])
    return _with_full_prompts(path, config)


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
    if config.preferences.max_tokens < 128:
        yield f"preferences.max_tokens is {config.preferences.max_tokens}; a row needs at least 128 tokens."
    if min(split.val, split.test) < 0 or split.val + split.test >= 1:
        yield f"split.val + split.test must be in 0..1 (1 excluded), not {split.val + split.test}."
    if "unknown" not in config.roles:
        yield "roles.unknown is missing: sessions whose role cannot be told need a system prompt too."
    for index, rule in enumerate(config.tagger.rules):
        if rule.role not in config.roles:
            yield f"tagger.rules[{index}].role: {rule.role} is not one of the roles ({', '.join(config.roles)})."
    yield from _contradictions_of_boilerplate(config)
    for where, pattern in _patterns(config):
        try:
            re.compile(pattern)
        except re.error as error:
            yield f"{where}: {pattern!r} is not a regular expression ({error})."
    for index, source in enumerate(config.sources):
        if source.role and source.role not in config.roles:
            yield f"sources[{index}].role: {source.role} is not one of the roles ({', '.join(config.roles)})."
        if source.kind != "pairs" and (source.own_answers != "leave" or source.own_limit is not None):
            yield f"sources[{index}]: own_answers and own_limit are for pairs. Remove them from {source.kind}."
        for kind in ("vault", "pulls"):
            if source.kind != kind and getattr(source, kind) != getattr(SourceConfig(kind, ""), kind):
                yield f"sources[{index}].{kind} is for the kind {kind}. Remove it from {source.kind}."
        if source.own_limit is not None and (source.own_limit < 1 or source.own_answers == "leave"):
            yield f"sources[{index}].own_limit: at least 1, beside own_answers: train. To learn none, leave both out."


def _contradictory_shares(config: DataConfig) -> Iterator[str]:
    """What is wrong with the shares of prompts and roles and with the words that overlap."""
    prompts, balance = config.prompts, config.balance
    if min(prompts.full, prompts.compact) < 0 or abs(prompts.full + prompts.compact - 1) > 1e-6:
        yield f"prompts.full + prompts.compact must be 1, not {prompts.full} + {prompts.compact}."
    if prompts.full > 0 and not any(role.full_file or role.full for role in config.roles.values()):
        yield "prompts.full: no role has a full prompt. Give one of the roles a full_file, or set full to 0.0."
    for name, role in config.roles.items():
        if role.full_file and role.full:
            yield f"roles.{name}: full and full_file both give the full prompt. Remove one."
    if balance.temperature < 1:
        yield f"balance.temperature must be at least 1 (1 changes nothing), not {balance.temperature}."
    for name, rows in balance.max_rows.items():
        if name not in config.roles:
            yield f"balance.max_rows: {name} is not one of the roles ({', '.join(config.roles)})."
        if rows < 1:
            yield f"balance.max_rows.{name} must be at least 1, not {rows}."
    if config.overlap.words < 5:
        yield f"overlap.words is {config.overlap.words}; fewer than 5 words stand in any text by chance."
    if config.overlap.prompts and not repository_path(config.overlap.prompts).is_dir():
        yield (
            f'overlap.prompts: {config.overlap.prompts} is no folder. Give the scenarios\' folder, or "" for no check.'
        )


def repository_path(path: str) -> Path:
    """A path of the configuration that is relative to the repository, wherever the command was started."""
    return Path(__file__).parent.parent / Path(path).expanduser()


def _with_full_prompts(path: Path, config: DataConfig) -> DataConfig:
    roles, problems = {}, []
    for name, role in config.roles.items():
        roles[name] = role
        if role.full_file:
            try:
                text = (path.parent / Path(role.full_file).expanduser()).read_text("utf-8")
            except (OSError, UnicodeDecodeError) as error:
                reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
                problems.append(
                    f"roles.{name}.full_file: {role.full_file} cannot be read ({reason}). Correct the path."
                )
                continue
            roles[name] = msgspec.structs.replace(role, full=text)
    _refuse(path, problems)
    return msgspec.structs.replace(config, roles=roles)


def _contradictory_scores(config: DataConfig) -> Iterator[str]:
    weights = msgspec.structs.asdict(config.quality.weights)
    if config.outcome.repair_within < 1:
        yield "outcome.repair_within must be at least 1. To train failed attempts too, set outcome.repaired to false."
    if config.quality.min_answer_chars < 0:
        yield f"quality.min_answer_chars must be 0 (no limit) or more, not {config.quality.min_answer_chars}."
    if not 0 <= config.quality.min_score <= 1:
        yield f"quality.min_score must be in 0..1, not {config.quality.min_score}."
    if not all(0 <= weight <= 1 for weight in weights.values()) or not math.isclose(sum(weights.values()), 1):
        said = " + ".join(f"{name} {weight}" for name, weight in weights.items())
        yield f"quality.weights must each be in 0..1 and together 1, not {said}."


def _contradictions_of_boilerplate(config: DataConfig) -> Iterator[str]:
    for name, notice in config.normalize.notices.items():
        if not notice.has.strip():
            yield f"normalize.notices.{name}.has is empty: give the words that the notice begins with."
    if config.normalize.banner_length < 3:
        yield f"normalize.banner_length is {config.normalize.banner_length}; a banner has at least 3 characters."
    groups = config.boilerplate.commands
    for name, rule in config.boilerplate.rules.items():
        where = f"boilerplate.rules.{name}"
        for role in rule.roles:
            if role not in config.roles:
                yield f"{where}.roles: {role} is not one of the roles ({', '.join(config.roles)})."
        for group in (*rule.of, *rule.needs):
            if group not in groups:
                yield f"{where}: {group} is not one of boilerplate.commands ({', '.join(groups)})."
        if not rule.needs or not set(rule.needs) <= set(rule.of):
            yield f"{where}.needs must name at least one of the groups in {where}.of."
        if not 0 <= rule.keep <= 1:
            yield f"{where}.keep must be in 0..1, not {rule.keep}."


def _patterns(config: DataConfig) -> Iterator[tuple[str, str]]:
    for index, source in enumerate(config.sources):
        yield f"sources[{index}].vault.journals", source.vault.journals
        for number, pattern in enumerate(source.pulls.leave_out):
            yield f"sources[{index}].pulls.leave_out[{number}]", pattern
    for index, rule in enumerate(config.tagger.rules):
        yield f"tagger.rules[{index}].cwd", rule.cwd
    for name, notice in config.normalize.notices.items():
        yield f"normalize.notices.{name}.then", f"(?:{notice.then})"  # as it is used: after the literal
    boilerplate = config.boilerplate
    yield "boilerplate.waits", boilerplate.waits
    yield "boilerplate.signs", boilerplate.signs
    for name, group in boilerplate.commands.items():
        for command, prints in group.items():
            yield f"boilerplate.commands.{name}", command
            yield f"boilerplate.commands.{name}[{command!r}]", prints
    for index, pattern in enumerate(config.audit.allow):
        yield f"audit.allow[{index}]", pattern
