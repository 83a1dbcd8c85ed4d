"""What a build reads: the units of all sources of the configuration, found with a look at every file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from msgspec.structs import replace

from data.cache import Cache
from data.config import DataConfig, SourceConfig
from data.extract import observers, pairs, pulls, sessions
from data.extract.glance import Glance, Look, Memory, look_at_all
from data.extract.library import NOTHING, Archived
from data.extract.unit import SourceError, Unit
from data.finished import Done, unpack
from data.stages import SOURCES
from data.workers import Engine, Waiting, in_order, results

_BATCH = 1 << 24  # bytes of files that one task looks at


class Looker:
    """Looks at files once in a build, on all workers; what an earlier build saw and has not changed is recalled."""

    def __init__(self, memory: Memory, engine: Engine) -> None:
        self._memory = memory
        self._engine = engine
        self._seen: dict[Path, Glance] = {}

    def __call__(self, paths: Sequence[Path]) -> list[Glance]:
        for path in paths:
            if path not in self._seen and (known := self._memory.recall(path)):
                self._seen[path] = known
        new = [path for path in paths if path not in self._seen]
        for batch, glances in zip(_batches(new), in_order(self._engine, "look", _batches(new)), strict=True):
            for path, glance in zip(batch, glances, strict=True):
                self._seen[path] = glance
                self._memory.keep(path, glance)
        return [self._seen[path] for path in paths]

    def close(self) -> None:
        """Remember what was seen; from here on it is not needed, and there may be much of it."""
        self._memory.save()
        self._seen.clear()


def _batches(paths: Sequence[Path]) -> Iterator[list[Path]]:
    batch: list[Path] = []
    size = 0
    for path in paths:
        batch.append(path)
        size += path.stat().st_size if path.is_file() else 0
        if size >= _BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def work(engine: Engine, units: Sequence[Unit], look: Looker, cache: Cache) -> Iterator[Done]:
    """The result of each unit in order, from an earlier build where nothing has changed since."""
    keys = [cache.key(unit, look([Path(file) for file in unit.files])) for unit in units]
    look.close()

    def start(unit: Unit, key: str) -> Waiting:
        kept = cache.get(key)
        return (lambda: (key, kept, False)) if kept else partial(_wait, key, engine.submit("work", unit))

    for key, content, new in results(engine, map(start, units, keys)):
        done = unpack(content)
        if new and not done.problems:
            cache.put(key, content)
        yield done
    cache.close()


def _wait(key: str, waiting: Waiting) -> tuple[str, bytes, bool]:
    return key, waiting(), True


def find_units(
    config: DataConfig,
    folder: Path,
    look: Look = look_at_all,
    archived: Archived = NOTHING,
    forgotten: frozenset[str] = frozenset(),
) -> list[Unit]:
    """The units of all sources. Raises SourceError with every source that cannot be read, at once."""
    units: list[Unit] = []
    problems = []
    for source in config.sources:
        try:
            units.extend(
                replace(unit, forgotten=forgotten) for unit in _units_of(source, config, folder, look, archived)
            )
        except SourceError as error:
            problems.append(str(error))
    if problems:
        raise SourceError("\n".join(dict.fromkeys(problems)))
    return list(_told_apart(units))


def _told_apart(units: Sequence[Unit]) -> Iterator[Unit]:
    """Two sources may hold the same pairs or commits in files of the same name; their rows need names of their own."""
    before: Counter[tuple[str, str, str, int]] = Counter()
    for unit in units:
        name = (unit.kind, unit.name, unit.role, unit.part[0])
        yield replace(unit, copy=before[name]) if unit.kind in ("qna", "pulls") else unit
        before[name] += 1


def bead_files(config: DataConfig, folder: Path) -> list[Path]:
    """Where the configuration finds beads: what they became says how well the sessions went that name them."""
    return [_path_of(source, folder) for source in config.sources if source.kind == "beads"]


def _path_of(source: SourceConfig, folder: Path) -> Path:
    return Path(source.path.replace("{sessions}", str(folder))).expanduser()


def _units_of(source: SourceConfig, config: DataConfig, folder: Path, look: Look, archived: Archived) -> list[Unit]:
    path = _path_of(source, folder)
    if source.optional and not path.exists():
        return []
    also = archived if source.path == "{sessions}" else NOTHING
    if source.kind == "sessions":  # which transcripts belong together is seen only by looking into them
        return list(sessions.units(path, source.role, look, also))
    if source.kind == "observers":
        return list(observers.units(path, source.role, also))
    if source.kind == "pairs":
        return list(pairs.units(path, source.role, source, config.roles.values()))
    if source.kind == "pulls":  # which commits there are depends on the branch
        return list(pulls.units(path, source.role, source.pulls))
    find, _ = SOURCES[source.kind]
    return [replace(unit, vault=source.vault, pulls=source.pulls) for unit in find(path, source.role)]
