"""Keeps a session out of every later build, and says what holds it now: datasets, adapters, raw transcripts.

`python -m data.pipeline forget SESSION_ID [--out output]` adds the id to the list of forgotten sessions. Of what was
made from the session before it deletes only the examples that curators keep, with their decisions; the rest is named,
so that a person can decide.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from data.capture_file import CAPTURES
from data.config import ConfigError, DataConfig, repository_path
from data.counted import counted
from data.curate.forgetting import forget_in
from data.extract.archive_view import VIEW
from data.forgotten import add_forgotten
from data.life import close_to, perhaps
from data.origins import choices_with, is_file_of, rows_with, sessions_of
from data.validate.rows import COMBINED, DatasetError, file_name, open_build

_RUNS = ("run.json", "start.json")  # what a finished training and one under way say of the rows that they got
_LEAST_PREFIX = 8
_MAKE_AGAIN = "Make it again after the next build, or delete it."
_TEXTS = (".json", ".jsonl", ".html", ".md", ".txt", ".csv")


class Holder(msgspec.Struct, frozen=True):
    """A dataset that holds a session. `rows` are by split; `quoted` counts rows of others that show its transcript,
    `choices` the rows of preferences.

    `files` are the hashes (sha256) of the dataset files with such rows, by name.
    """

    folder: Path
    rows: dict[str, int]
    quoted: int
    choices: int
    files: dict[str, str]


def run(session: str, root: Path, live: Path, config: DataConfig) -> int:
    """The command. Raises ConfigError where the id is none, or only the beginning of one."""
    archive, listed = repository_path(config.archive), repository_path(config.forgotten)
    made = list(_walk(root, {archive.resolve(), live.resolve()}))
    folders = [path.parent for path in made if path.name == "manifest.json"]
    view = archive / VIEW
    _refuse_beginning(session, folders, (live, view))
    new = add_forgotten(listed, session)
    print(f"{session} will be in no later build: it {'is now' if new else 'was already'} in {listed}.")
    holders, problems = holders_of(session, folders)
    curated = list(_forget_curated(session, repository_path(config.curation.decisions)))
    transcripts = [*_transcripts(session, live), *_transcripts(session, view)]
    copies = list(_about_copies(session, made, folders, listed))
    for sentence in (
        *problems,
        *curated,
        *_about_datasets(holders, root / "prepared"),
        *copies,
        *_about_runs(holders, folders, [path for path in made if path.name in _RUNS]),
        *_about_transcripts(transcripts),
    ):
        print(sentence)
    if not (holders or curated or transcripts or copies):
        like = close_to(session, dict.fromkeys(_sessions(folders)))
        print(f"Nothing below {root} and no transcript holds it.{perhaps(like)}")
    return 0


def _walk(root: Path, raw: set[Path]) -> Iterator[Path]:
    """The files below a folder, but for what is hidden and the folders of raw transcripts."""
    for folder, folders, names in os.walk(root):
        seen = (name for name in folders if not name.startswith("."))
        folders[:] = sorted(name for name in seen if Path(folder, name).resolve() not in raw)
        yield from (Path(folder, name) for name in sorted(names))


def holders_of(session: str, datasets: Iterable[Path]) -> tuple[list[Holder], list[str]]:
    """The datasets that hold a session, and a sentence for each folder of which that cannot be told."""
    holders: list[Holder] = []
    problems: list[str] = []
    for folder in datasets:
        try:
            holders += _holder(folder, session)
        except DatasetError as error:
            problems.append(f"Whether {folder} holds it cannot be told: {error}")
    return holders, problems


def _holder(folder: Path, session: str) -> Iterator[Holder]:
    manifest = open_build(folder)
    rows: Counter[str] = Counter()
    quoted = 0
    names: set[str] = set()
    for trace in rows_with(folder, session):
        own = trace.origin.session == session
        rows[trace.split] += own
        quoted += not own
        names |= {file_name(family, trace.split) for family in (trace.role, COMBINED)}
    choices = list(choices_with(folder, session))
    names |= {file_name(family, one.split, one.method) for one in choices for family in (one.role, COMBINED)}
    if names:
        files = {name: file.sha256 for name, file in manifest.files.items() if name in names}
        yield Holder(folder, {split: count for split, count in rows.items() if count}, quoted, len(choices), files)


def _refuse_beginning(session: str, datasets: Iterable[Path], transcripts: Iterable[Path]) -> None:
    """An abbreviated id would be on the list and exclude nothing."""
    files = (path for folder in transcripts for path in folder.glob("*/*.jsonl"))
    known = {path.name.partition(".")[0] for path in files} | set(_sessions(datasets))
    longer = sorted(name for name in known if name.startswith(session) and name != session)
    if session not in known and len(session) >= _LEAST_PREFIX and longer:
        raise ConfigError(f"{session} is only the beginning of {', '.join(longer[:3])}. Give the whole id.")


def _sessions(datasets: Iterable[Path]) -> Iterator[str]:
    for folder in datasets:
        with suppress(DatasetError):
            yield from sessions_of(folder)


def _about_datasets(holders: Sequence[Holder], prepared: Path) -> Iterator[str]:
    for holder in holders:
        counts = ", ".join(f"{count} {split}" for split, count in holder.rows.items())
        also = f"{counted(holder.quoted, 'row')} made of its transcript in other sessions" if holder.quoted else ""
        own = f"{counted(sum(holder.rows.values()), 'row')} of it ({counts})" if counts else ""
        judged = f"{counted(holder.choices, 'row')} of preferences made of it" if holder.choices else ""
        yield f"{holder.folder} holds {' and '.join(filter(None, (own, also, judged)))}:"
        for name, digest in sorted(holder.files.items()):
            yield f"  {name}  sha256 {digest}"
        yield f"  `python -m data.pipeline all --out {holder.folder}` builds it again without the session."
    if holders and prepared.is_dir():
        yield f"{prepared} may hold Axolotl's copies of these rows. Delete it: the next training makes it again."


def _forget_curated(session: str, database: Path) -> Iterator[str]:
    """Take its examples out of the curators' database, which no build would make again without them."""
    examples, decisions = forget_in(database, session)
    if examples:
        what = f"{counted(examples, 'example')} of it and {counted(decisions, 'decision')}"
        yield f"{database} held {what}. They were deleted there."


def _about_copies(session: str, made: Iterable[Path], datasets: Iterable[Path], listed: Path) -> Iterator[str]:
    """Other files with its id in them: what `extract` left for `transform`, reports, results of evaluations."""
    named = {folder / name for folder in datasets for name in (*_files_of(folder), "stats.json")}
    for path in made:
        told = path in named or path.resolve() == listed.resolve()
        if path.suffix in _TEXTS and not told and _holds(path, [session.encode()]):
            captured = path.name.startswith(CAPTURES)
            advice = "Builds pass over it there; nobody deletes it but you." if captured else _MAKE_AGAIN
            yield f"{path} names it as well. {advice}"


def _about_runs(holders: Iterable[Holder], datasets: Iterable[Path], runs: Iterable[Path]) -> Iterator[str]:
    """What was trained on rows that hold the session, or on rows of which nobody knows any more."""
    holding = {digest for holder in holders for digest in holder.files.values()}
    known = {digest for folder in datasets for digest in _files_of(folder).values()}
    for run in runs:
        trained = _trained_on(run)
        if hit := [path for digest, path in trained.items() if digest in holding]:
            yield (
                f"{run.parent} was trained on {' and '.join(hit)}, so its weights hold the session."
                " Train it again on a new build, and delete it wherever it was sent."
            )
        elif not known.issuperset(trained):
            yield f"{run.parent} was trained on rows that are no longer here, so nobody can tell whether it holds it."


def _files_of(folder: Path) -> dict[str, str]:
    """The files of a dataset with their hashes; none of one that is damaged."""
    with suppress(DatasetError):
        return {name: file.sha256 for name, file in open_build(folder).files.items()}
    return {}


def _trained_on(run: Path) -> dict[str, str]:
    """The files that a training got, by their hashes."""
    try:
        return {str(block["sha256"]): str(block["path"]) for block in json.loads(run.read_bytes())["data"]}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _transcripts(session: str, folder: Path) -> Iterator[Path]:
    """The raw files below a folder that are named for a session or hold records of it."""
    needles = [f'"sessionId":{space}"{session}"'.encode() for space in ("", " ")]
    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        if is_file_of(str(path.relative_to(folder)), session) or (path.suffix == ".jsonl" and _holds(path, needles)):
            yield path


def _holds(path: Path, needles: list[bytes]) -> bool:
    try:
        with path.open("rb") as lines:
            return any(needle in line for line in lines for needle in needles)
    except OSError:
        return False


def _about_transcripts(transcripts: list[Path]) -> Iterator[str]:
    if transcripts:
        count = counted(len(transcripts), "raw file")
        yield f"Held by {count}, which nobody deletes but you. Builds pass over its records there:"
        yield from (f"  {path}" for path in transcripts)
