"""Source of prompt and answer pairs: the gateway's captures (output/captures), and other OpenAI-style logs.

All files of a source are read together, since a chat may go on the next day. What our own adapter answered is shown and
not learned, unless the source says `own_answers: train`, at most `own_limit` of them where that is set.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from msgspec.structs import replace

from data.config import RoleConfig, SourceConfig
from data.extract.jsonl import read_objects, set_aside, used
from data.extract.pairs_chat import STAGE, outcomes, words
from data.extract.pairs_line import Logged, read_line
from data.extract.pairs_plan import Plan, Seen, plan, seen_of
from data.extract.unit import SourceError, Unit, sized
from data.record import Conversation, Drop


def units(
    path: Path, role: str, source: SourceConfig | None = None, roles: Iterable[RoleConfig] = ()
) -> Iterator[Unit]:
    """One unit for the file, or for all `*.jsonl` under the folder. The prompts of `roles` open their rows anyway."""
    if not path.exists():
        raise SourceError(
            f"{path} does not exist. Let the gateway write captures (capture.enabled in configs/serve.yml), give a "
            ".jsonl file or a folder of them, or remove the source."
        )
    files = tuple(sorted(path.rglob("*.jsonl"))) if path.is_dir() else (path,)
    if not files and source is not None and source.optional:
        return
    if not files:
        raise SourceError(f"{path} holds no .jsonl file. Put captures or logs there, or remove the source.")
    learned = source is not None and source.own_answers == "train"
    own_limit = source.own_limit if source and learned else 0
    prompts = frozenset(words(prompt) for one in roles for prompt in (one.system, one.full) if prompt)
    yield replace(sized("pairs", path.name, files, role), own_limit=own_limit, prompts=prompts)


def read(unit: Unit) -> Iterator[Conversation | Drop]:
    """The conversations of a unit, with a drop for every line that gives none."""
    pairs: list[Seen] = []
    for name in unit.files:
        for item in _lines(Path(name)):
            if isinstance(item, Drop):
                yield item
            else:
                pairs.append(seen_of(*item))
    chosen = plan(pairs, unit.forgotten, unit.own_limit)
    places: dict[str, list[int]] = {}
    for place, pair in enumerate(pairs):
        places.setdefault(pair.file, []).append(place)
    for name, mine in places.items():
        yield from _made_of(Path(name), mine, pairs, unit, chosen)


def _made_of(
    path: Path, places: Sequence[int], pairs: Sequence[Seen], unit: Unit, chosen: Plan
) -> Iterator[Conversation | Drop]:
    """What becomes of the pairs of a file, read again. What was added meanwhile belongs to the next build."""
    made = 0
    whole = (item for item in _lines(path) if not isinstance(item, Drop))
    for place, (logged, _, line) in zip(places, whole, strict=False):
        if logged.id == pairs[place].id:
            for outcome in outcomes(logged, str(path), line, place, unit, chosen):
                made += isinstance(outcome, Conversation)
                yield outcome
    yield from used(STAGE, path, made)


def _lines(path: Path) -> Iterator[tuple[Logged, str, int] | Drop]:
    """The whole pairs of a file with where they stand (line 1-based), and a drop for each line that is none."""
    for item in read_objects(path, STAGE):
        if isinstance(item, Drop):
            yield item
            continue
        logged = read_line(item.record)
        if isinstance(logged, Logged):
            yield logged, str(path), item.number
        else:
            reason, detail = logged
            yield set_aside(STAGE, reason, path, item.number, detail)
