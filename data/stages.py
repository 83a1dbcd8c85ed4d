"""The order of the stages, and the worker that takes a unit through all that need no other unit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path

import msgspec
from msgspec.structs import replace

from data.config import ConfigError, DataConfig, RoleConfig, SourceKind
from data.curate.decisions import Verdict, digest
from data.extract import beads, glance, observers, pairs, pulls, qna, sessions, vault
from data.extract.unit import Unit
from data.finish import finish
from data.finished import Done, Extracted, Preferred, drop_lines, pack
from data.forms import Form, load_form
from data.preferences import Maker, are_made, prefer, problems_of
from data.prompts import check_prompts, redact_prompts
from data.record import Conversation, Drop, dropped
from data.signals.facts import BeadFate
from data.stage import Ledger, Outcome, Stage, run
from data.tokens import vocabulary_of
from data.transform import overlap as scenarios
from data.transform.boilerplate import boilerplate
from data.transform.chunker import chunker
from data.transform.curate import Tools, curate, verdict_of
from data.transform.outcome import outcome
from data.transform.overlap import overlap
from data.transform.quality_filter import quality_filter
from data.transform.redact_own import load_literals
from data.transform.redactor import redactor, text_redactor, texts_redactor
from data.transform.role_tagger import role_tagger
from data.transform.tool_normalizer import tool_normalizer

ORDER = (
    "redact", "roles", "normalize", "boilerplate", "outcome", "windows", "overlap", "quality", "curate", "dedup",
    "balance",
)  # fmt: skip
CLEANING = ORDER.index("windows")  # so many of them come before extracted conversations are written down
RATING = ORDER.index("quality")  # a window too bad to learn from may still show what was preferred to it
FORGOTTEN = "forgotten on request"
LIBRARIES = ("gigatoken", "kingfisher-secret-scanner", "detect-secrets", "hyperscan", "rensa", "numpy")

Reader = Callable[[Unit], Iterator[Outcome]]
Finder = Callable[[Path, str], Iterator[Unit]]

# Adding a source is a file and a line.
SOURCES: dict[SourceKind, tuple[Finder, Reader]] = {
    "sessions": (sessions.units, sessions.read),
    "observers": (observers.units, observers.read),
    "beads": (beads.units, beads.read),
    "qna": (qna.units, qna.read),
    "pairs": (pairs.units, pairs.read),
    "vault": (vault.units, vault.read),
    "pulls": (pulls.units, pulls.read),
}


class Setting(msgspec.Struct, frozen=True):
    """All that decides what becomes of a unit besides its own files.

    `people` are the user names of all units: a colleague's name stands in other sessions than their own, too.
    `beads` say how the work items ended that sessions name, `verdicts` what curators decided about examples: read
    once, so that all workers of a build, and its cache, follow the same ones.
    """

    config: DataConfig
    people: frozenset[str] = frozenset()
    beads: dict[str, BeadFate] = {}
    verdicts: dict[str, Verdict] = {}

    def key(self) -> bytes:
        """The hash of the setting, of the code and of the libraries that give the results their bytes."""
        config = self.config
        parts = (
            msgspec.json.encode(config, order="sorted"),
            msgspec.json.encode((sorted(self.people), self.beads), order="sorted"),
            msgspec.json.encode(sorted(map(repr, load_literals(config.redact).items()))),
            msgspec.json.encode([*_code(), *((str(p), *_stat(p)) for p in vocabulary_of(config.base_model))]),
            scenarios.digest(config.overlap).encode(),
            digest(self.verdicts),
            msgspec.json.encode([version(name) for name in LIBRARIES]),
        )
        return blake2b(b"\0".join(parts), digest_size=20).digest()


def _code() -> Iterator[tuple[str, str]]:
    """The files of this package with their hashes: other code may make other rows."""
    folder = Path(__file__).parent
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".py", ".yml", ".json", ".jinja") and "sample" not in path.parts:
            yield str(path.relative_to(folder)), blake2b(path.read_bytes(), digest_size=16).hexdigest()


def _stat(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns


def check_config(config: DataConfig) -> None:
    """Whatever would stop a worker stops here, before a file is opened: no tokenizer, an unreadable secrets file.

    Raises TokenizerNotFound or ConfigError, one sentence with the fix.
    """
    load_literals(config.redact)
    scenarios.load_runs(config.overlap)
    if config.tool_format == "xml" and not config.prompts.full and vocabulary_of(config.base_model):
        return  # a tokenizer is at hand; loading it takes 0.2 s, which a build that changes nothing can do without
    form = load_form(config.base_model, config.tool_format)
    if problems := check_prompts(config, form.counter):
        raise ConfigError("\n".join(problems))


class Worker:
    """Reads units and takes them to finished rows. Loads the tokenizer and the secret scanner once, when needed."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting

    @cached_property
    def stages(self) -> list[tuple[str, Stage]]:
        config, people = self.setting.config, self.setting.people
        form, compare = load_form(config.base_model, config.tool_format), overlap(config.overlap)
        stages = (
            redactor(config.redact, people),
            role_tagger(config.tagger),
            tool_normalizer(config.normalize),
            boilerplate(config.boilerplate),
            outcome(config.outcome, self.setting.beads),
            chunker(config.windows, self._roles(), form, config.prompts),
            compare,
            quality_filter(config.quality),
            curate(config.curation, self.setting.verdicts, self._tools(form, compare)),
        )
        return list(zip(ORDER, stages, strict=False))

    def _tools(self, form: Form, compare: Stage) -> Tools:
        """What edited windows pass through again. The scanner is loaded when there is an edit."""
        return Tools(form, self.setting.config.windows.max_tokens, lambda texts: self.redact(texts), compare)

    def _roles(self) -> dict[str, RoleConfig]:
        """The roles with full prompts that name nobody."""
        redact = text_redactor(self.setting.config.redact, self.setting.people)
        return redact_prompts(self.setting.config.roles, redact)

    @cached_property
    def redact(self) -> Callable[[Iterable[str]], dict[str, str]]:
        return texts_redactor(self.setting.config.redact, self.setting.people)

    def look(self, paths: Sequence[Path]) -> list[glance.Glance]:
        """A first look at some files."""
        return glance.look_at_all(paths)

    def extract(self, unit: Unit) -> Extracted:
        """The clean conversations and drops of a unit, and their books."""
        ledger = Ledger()
        items = list(run(read_unit(unit, ledger), self.stages[:CLEANING], ledger))
        return self._without_names(items), ledger

    def _without_names(self, items: list[Outcome]) -> list[Outcome]:
        """A reader's drop never passed the redact stage, and the path in it names its owner."""
        drops = [item for item in items if isinstance(item, Drop)]
        clean = self.redact(text for drop in drops for text in (drop.subject, drop.detail, drop.file))
        return [
            replace(item, subject=clean[item.subject], detail=clean[item.detail], file=clean[item.file])
            if isinstance(item, Drop)
            else item
            for item in items
        ]

    def transform(self, items: Sequence[Outcome], ledger: Ledger | None = None) -> bytes:
        """The packed result of clean conversations, added to their books so far."""
        ledger = Ledger() if ledger is None else ledger
        outcomes: list[Outcome] = []
        preferred: list[Preferred] = []
        for item in items:
            cut = list(run([item], self.stages[CLEANING:RATING], ledger))
            outcomes += run(cut, self.stages[RATING:], ledger)
            for made in self._prefer(item, cut, ledger):
                if isinstance(made, Preferred):
                    preferred.append(made)
                else:
                    outcomes.append(made)
        rows, problems = finish([item for item in outcomes if isinstance(item, Conversation)], self.setting.config)
        drops = drop_lines(outcome for outcome in outcomes if isinstance(outcome, Drop))
        problems += problems_of(preferred, self.setting.config)
        return pack(Done(ledger, drops, tuple(rows), tuple(problems), tuple(preferred)))

    def _prefer(self, item: Outcome, cut: Sequence[Outcome], ledger: Ledger) -> Iterator[Preferred | Drop]:
        """The rows of preferences of a conversation, given its windows, and what made none."""
        if are_made(self.setting.config) and isinstance(item, Conversation):
            windows = [one for one in cut if isinstance(one, Conversation) and self._is_as_made(one)]
            yield from prefer(item, windows, self._maker, ledger)

    def _is_as_made(self, window: Conversation) -> bool:
        """Whether curators let a window through unchanged. What they took out must not come back as a preference."""
        verdict = verdict_of(window, self.setting.verdicts)
        if verdict is None:
            return self.setting.config.curation.use == "all"
        return not verdict.reject and not verdict.change

    @cached_property
    def _maker(self) -> Maker:
        config = self.setting.config
        return Maker(config, load_form(config.base_model, config.tool_format), dict(self.stages)["overlap"])

    def work(self, unit: Unit) -> bytes:
        """The packed result of a unit: its rows, its drops and its books."""
        return self.transform(*self.extract(unit))


def read_unit(unit: Unit, ledger: Ledger) -> Iterator[Outcome]:
    """What a reader makes of a unit; records are booked, and only what is a loss goes on."""
    _, read = SOURCES[unit.kind]
    for item in read(unit):
        if isinstance(item, Conversation) and item.origin.session in unit.forgotten:
            item = dropped(item, unit.kind, FORGOTTEN)
        if isinstance(item, Conversation):
            ledger.admit(item)
            yield item
        else:
            ledger.take(item)
            if item.reason != "used":
                yield item
