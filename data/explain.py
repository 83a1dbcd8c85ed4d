"""A row's life for a person: which lines of which transcript it came from, and what every stage made of them.

`python -m data.pipeline explain ROW_ID [--out output/datasets]`; with `--session ID` which rows a session is in, and
what of it was left out and why. Ids may be shortened as long as they are unique.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

import msgspec

from data.config import DataConfig, repository_path
from data.counted import counted
from data.forgotten import load_forgotten
from data.life import Life, any_of, find_rows, look_up, perhaps, places_of, rows_like, whole_session
from data.origins import choices_with, is_about, read_choices, read_drops, rows_with
from data.record import Drop, Tally
from data.trace import Choice, Place, Trace
from data.validate.rows import DatasetError, open_build
from data.whereabouts import Whereabouts


def run(folder: Path, row: str, session: str, live: Path, config: DataConfig) -> int:
    """The command, for a row or for a session. Raises DatasetError where there is no such row, session or dataset."""
    if not row and not session:
        raise DatasetError("Give the id of a row, or --session and the id of a session.")
    open_build(folder)
    for line in _answer(folder, row, session, live, config):
        print(line)
    return 0


def _answer(folder: Path, row: str, session: str, live: Path, config: DataConfig) -> Iterator[str]:
    found = [] if session else find_rows(folder, row)
    sessions = sorted({trace.origin.session for trace in found})
    if session or (len(found) > 1 and len(sessions) == 1):
        whole = whole_session(folder, session) if session else sessions[0]
        yield from tell_session(folder, whole)
        if whole in load_forgotten(repository_path(config.forgotten)):
            yield "It is on the list of forgotten sessions: later builds leave it out."
    elif len(found) == 1:
        whereabouts = Whereabouts(live, repository_path(config.archive), config.redact)
        yield from tell_row(folder, look_up(folder, found[0]), whereabouts)
    elif found:
        several = [trace.id for trace in found] if ":" in row else sessions
        raise DatasetError(f"{row} could be {any_of(several)}. Give more of the id.")
    elif choices := [one for one in read_choices(folder, row) if one.id == row]:
        for choice in choices:
            yield from tell_choice(folder, choice)
    elif drops := [drop for drop in read_drops(folder, row) if drop.subject == row]:
        yield from _tell_drop(folder, row, drops)
    else:
        raise DatasetError(f"{folder} has no row {row}.{perhaps(rows_like(folder, row))}")


def tell_row(folder: Path, life: Life, whereabouts: Whereabouts) -> Iterator[str]:
    """A row's life as lines of text."""
    trace, facts = life.trace, life.row.get("metadata", {})
    parts = ", ".join(f"{name} {value:.2f}" for name, value in msgspec.structs.asdict(trace.parts).items())
    yield f"{trace.id}: role {trace.role}, split {trace.split}, quality {trace.quality:.2f} ({parts})"
    if life.places:
        standing = " and ".join(f"{name} line {line}" for name, line in life.places)
        size = f"{counted(facts['tokens'], 'token')}, {facts['trained_tokens']:,} of them trained"
        yield f"It has {size}, and stands in {standing}."
    yield from ("", "Where it came from", *_tell_origin(trace, whereabouts))
    if trace.facts:
        yield f"  known of the session: {', '.join(fact.replace('_', ' ') for fact in trace.facts)}"
    yield from ("", "What it trains", *_tell_trained(trace, whereabouts))
    yield from ("", "What the stages did", *_tell_stages(life))
    yield from ("", f"Dataset {folder}: manifest.json has sha256 {life.manifest_sha256}.")


def _tell_origin(trace: Trace, whereabouts: Whereabouts) -> Iterator[str]:
    origin = trace.origin
    yield f"  session {origin.session}, segment {origin.segment}, epoch {origin.epoch}, source {origin.source}"
    if origin.group not in ("", origin.session):
        yield f"  shares records with session {origin.group}, so both are in the same split"
    if origin.agent:
        yield f"  subagent {origin.agent}, started by the call {origin.parent_call or 'that was not recorded'}"
    known = {"started": origin.started, "model": origin.model, "folder": origin.cwd, "branch": origin.branch}
    if any(known.values()):
        yield "  " + ", ".join(f"{name} {value}" for name, value in known.items() if value)
    yield (
        f"  lines {origin.lines[0]} to {origin.lines[1]} of {origin.file}" if any(origin.lines) else f"  {origin.file}"
    )
    proof = next((place for place in trace.trained if place.file == origin.file), Place("", "", 0, 0))
    yield from _real(origin.file, whereabouts.find(origin.file, proof.line, proof.id))


def _real(shown: str, path: Path | None) -> Iterator[str]:
    """Where a transcript is, if the path in the dataset does not say so itself."""
    if path is None:
        yield "    which is neither among the transcripts nor in the archive"
    elif str(path) != shown:
        yield f"    which is {path}"


def _tell_trained(trace: Trace, whereabouts: Whereabouts) -> Iterator[str]:
    for file, places in groupby(trace.trained, lambda place: place.file):
        first, *others = places
        yield f"  {file}"
        if file != trace.origin.file:
            yield from _real(file, whereabouts.find(file, first.line, first.id))
        yield from (_tell_place(place) for place in (first, *others))


def _tell_place(place: Place) -> str:
    tokens = counted(place.tokens, "token") if place.tokens else "counted with the reply before it"
    return f"    line {place.line}: {place.id}, {tokens}"


def _tell_stages(life: Life) -> Iterator[str]:
    """What each stage noted and took out. Notes of the whole conversation say so."""
    common = life.trace.id.rpartition("#")[2] != "0"
    for stage in life.stages:
        said = [f"{n.reason} ({n.count}{' in all windows' if common else ''})" for n in life.notes if n.stage == stage]
        if common:
            said += [f"{note.reason} ({note.count})" for note in life.trace.notes if note.stage == stage]
        yield f"  {stage:<12} {'; '.join([*said, *_left_out(life, stage)]) or 'nothing to note'}"


def _left_out(life: Life, stage: str) -> Iterator[str]:
    sums: dict[str, Tally] = {}
    for drop in life.left:
        if drop.stage == stage:
            sums[drop.reason] = sums.get(drop.reason, Tally()) + drop.tally
    for reason, tally in sums.items():
        yield f"left out of the conversation: {_weight(tally)} ({reason})"


def tell_choice(folder: Path, choice: Choice) -> Iterator[str]:
    """A row of preferences as lines of text: what it is, where it stands, and which replies it is about."""
    yield f"{choice.id}: a preference for {choice.method}, {choice.kind}, role {choice.role}, split {choice.split}"
    if places := list(places_of(folder, choice)):
        yield f"It stands in {' and '.join(f'{name} line {line}' for name, line in places)}."
    for place, said in zip(choice.replies, ("judged", "better"), strict=False):
        yield f"  {said}: line {place.line} of {place.file}: {place.id}"


def tell_session(folder: Path, session: str) -> Iterator[str]:
    """The rows of a session, and what of it was set aside, as lines of text."""
    rows = list(rows_with(folder, session))
    own = Counter(trace.split for trace in rows if trace.origin.session == session)
    counts = ", ".join(f"{count} {split}" for split, count in own.items())
    yield f"Session {session} has {counted(own.total(), 'row')} in {folder}{f' ({counts})' if counts else ''}."
    for trace in rows:
        tokens = sum(place.tokens for place in trace.trained)
        other = "" if trace.origin.session == session else f"; of session {trace.origin.session}, which shares records"
        trained = f"{counted(len(trace.trained), 'reply')} and {counted(tokens, 'token')} trained"
        yield f"  {trace.id}  {trace.role}, {trace.split}, {trained}{other}"
    for choice in choices_with(folder, session):
        yield f"  {choice.id}  {choice.role}, {choice.split}, a preference for {choice.method}: {choice.kind}"
    drops = [drop for drop in read_drops(folder, session) if is_about(drop, session)]
    if drops:
        yield "Set aside:"
        yield from _tell_drops(drops)


def _tell_drops(drops: Iterable[Drop]) -> Iterator[str]:
    """One line for each stage and reason."""
    sums: dict[tuple[str, str], tuple[int, Tally]] = {}
    for drop in drops:
        records, tally = sums.get((drop.stage, drop.reason), (0, Tally()))
        sums[drop.stage, drop.reason] = records + drop.records, tally + drop.tally
    for (stage, reason), (records, tally) in sums.items():
        yield f"  {stage:<12} {reason}: {_weight(tally, records)}"


def _weight(tally: Tally, records: int = 0) -> str:
    units = {"record": records, "reply": tally.replies, "call": tally.calls, "token": tally.tokens}
    return ", ".join(counted(n, unit) for unit, n in units.items() if n) or "nothing that could be trained"


def _tell_drop(folder: Path, row: str, drops: Iterable[Drop]) -> Iterator[str]:
    for drop in drops:
        detail = f" ({drop.detail})" if drop.detail else ""
        yield f"{row} is not in {folder}: the stage {drop.stage} dropped it, {drop.reason}{detail}."
        where = f", from line {drop.line} of {drop.file}" if drop.file else ""
        yield f"  {_weight(drop.tally)}{where}"
