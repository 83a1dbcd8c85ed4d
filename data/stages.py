"""The order of the stages: what workers do to a unit, and what the parent does with all windows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from msgspec.structs import replace

from data.config import DataConfig, SourceConfig, SourceKind
from data.extract import beads, observers, qna, sessions
from data.extract.unit import SourceError, Unit
from data.record import Conversation, Drop
from data.stage import Ledger, Outcome, Stage, run
from data.tokens import load_counter
from data.transform.chunker import chunker
from data.transform.deduplicator import Deduplicator
from data.transform.outcome import outcome
from data.transform.quality_filter import quality_filter
from data.transform.redact_own import load_literals
from data.transform.redactor import redactor, text_redactor
from data.transform.role_tagger import role_tagger
from data.transform.tool_normalizer import tool_normalizer

ORDER = ("redact", "roles", "normalize", "windows", "outcome", "quality", "dedup")

Reader = Callable[[Unit], Iterator[Conversation | Drop]]
Finder = Callable[[Path, str], Iterator[Unit]]

# Adding a source is a file and a line.
SOURCES: dict[SourceKind, tuple[Finder, Reader]] = {
    "sessions": (sessions.units, sessions.read),
    "observers": (observers.units, observers.read),
    "beads": (beads.units, beads.read),
    "qna": (qna.units, qna.read),
}


def find_units(config: DataConfig, folder: Path) -> list[Unit]:
    """The units of all sources. Raises SourceError with every source that cannot be read, at once."""
    units: list[Unit] = []
    problems = []
    for source in config.sources:
        try:
            units.extend(_units_of(source, folder))
        except SourceError as error:
            problems.append(str(error))
    if problems:
        raise SourceError("\n".join(dict.fromkeys(problems)))
    return units


def _units_of(source: SourceConfig, folder: Path) -> list[Unit]:
    path = Path(source.path.replace("{sessions}", str(folder))).expanduser()
    if source.optional and not path.exists():
        return []
    find, _ = SOURCES[source.kind]
    return list(find(path, source.role))


def check_config(config: DataConfig) -> None:
    """Whatever would stop a worker stops here, before a file is opened: no tokenizer, an unreadable secrets file.

    Raises TokenizerNotFound or ConfigError, one sentence with the fix.
    """
    load_literals(config.redact)
    load_counter(config.base_model)


class Worker:
    """Reads units and takes them to windows. Loads the tokenizer and the secret scanner once.

    `people` are the user names of all units: a colleague's name stands in other sessions than their own, too.
    """

    def __init__(self, config: DataConfig, people: frozenset[str] = frozenset()) -> None:
        counter = load_counter(config.base_model)
        self.redact = text_redactor(config.redact, people)
        stages = (
            redactor(config.redact, people),
            role_tagger(config.tagger),
            tool_normalizer(config.normalize),
            chunker(config.windows, config.roles, counter),
            outcome(),
            quality_filter(config.quality),
        )
        named = list(zip(ORDER[:-1], stages, strict=True))
        self.clean, self.cut = named[:3], named[3:]

    def extract(self, unit: Unit) -> tuple[list[Outcome], Ledger]:
        """The clean conversations and drops of a unit, and their books."""
        ledger = Ledger()
        items = list(run(read_unit(unit, ledger), self.clean, ledger))
        return [self._without_names(item) for item in items], ledger

    def _without_names(self, item: Outcome) -> Outcome:
        """A reader's drop never passed the redact stage, and the path in it names its owner."""
        if isinstance(item, Conversation):
            return item
        texts = (item.subject, item.detail, item.file)
        subject, detail, file = map(self.redact, texts)
        return replace(item, subject=subject, detail=detail, file=file)

    def transform(self, items: Sequence[Outcome]) -> tuple[list[Outcome], Ledger]:
        """The windows and drops of clean conversations, and their books."""
        ledger = Ledger()
        return list(run(items, self.cut, ledger)), ledger

    def work(self, unit: Unit) -> tuple[list[Outcome], Ledger]:
        """The windows and drops of a unit, and its books."""
        items, ledger = self.extract(unit)
        windows, cut = self.transform(items)
        ledger.merge(cut)
        return windows, ledger


def read_unit(unit: Unit, ledger: Ledger) -> Iterator[Outcome]:
    """What a reader makes of a unit; records are booked, and only what is a loss goes on."""
    _, read = SOURCES[unit.kind]
    for item in read(unit):
        if isinstance(item, Conversation):
            ledger.admit(item)
            yield item
        else:
            ledger.take(item)
            if item.reason != "used":
                yield item


def last_stages(config: DataConfig) -> Sequence[tuple[str, Stage]]:
    """What needs to see all windows, in order."""
    return ((ORDER[-1], Deduplicator(config.dedup)),)
