"""Which folder is read: the given one, the agent's own with its transcripts, or the invented sample town.

A configuration without transcripts, such as a pack's, reads only what is given: a vault, questions and answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from data.config import SourceConfig
from data.extract.library import NOTHING, Archived, only_archived
from data.extract.unit import SourceError

DEFAULT_SESSIONS = Path("~/.claude/projects")
SAMPLE_TOWN = "sample-town"
_PLACE = "{sessions}"
_TRANSCRIPTS = ("sessions", "observers")


class Chosen(NamedTuple):
    """A folder of transcripts, what the archive alone holds of it, and whether it is the sample town."""

    folder: Path
    archived: Archived
    sample: bool


def choose_sessions(given: Path | None, out: Path, archive_dir: Path, sources: Sequence[SourceConfig]) -> Chosen:
    """What to read. The sample town is written beside the dataset where a user has no transcripts yet.

    Raises SourceError where a folder was given and holds no transcript, or none was given and `sources` need one.
    """
    if not any(source.kind in _TRANSCRIPTS for source in sources):
        return Chosen(_without_transcripts(given, sources), NOTHING, sample=False)
    folder = (given or DEFAULT_SESSIONS).expanduser()
    archived = only_archived(folder, archive_dir)
    if archived.files or _holds_transcripts(folder):
        return Chosen(folder, archived, sample=False)
    if given:
        state = "holds no .jsonl transcripts" if folder.is_dir() else "does not exist"
        raise SourceError(f"{given} {state}. Give the folder that Claude Code writes to, usually {DEFAULT_SESSIONS}.")
    from data.sample.disk import NotATownError, write_town
    from data.sample.town import build_town

    town, place = build_town(), out.parent / SAMPLE_TOWN
    try:
        write_town(place, town.files)
    except NotATownError as error:
        raise SourceError(str(error)) from None
    print(f"No transcripts in {DEFAULT_SESSIONS}: using the invented sample town of {town.sessions} sessions instead.")
    return Chosen(place / "projects", NOTHING, sample=True)


def _without_transcripts(given: Path | None, sources: Sequence[SourceConfig]) -> Path:
    """What sources of other kinds read as {sessions}: a file or a folder, the given one and no other."""
    waiting = [source.kind for source in sources if _PLACE in source.path]
    if given is None and waiting:
        kinds = " and ".join(dict.fromkeys(waiting))
        raise SourceError(f"The configuration reads {kinds} from {_PLACE}. Say where that is: --sessions PATH.")
    if given is not None and not given.expanduser().exists():
        raise SourceError(f"{given} does not exist. Give the file or folder that the sources read with --sessions.")
    return (given or DEFAULT_SESSIONS).expanduser()


def find_sessions(given: Path | None, out: Path) -> Path:
    """Where the transcripts of a finished dataset are: as above, but nothing is written."""
    folder = (given or DEFAULT_SESSIONS).expanduser()
    town = out.parent / SAMPLE_TOWN / "projects"
    return town if given is None and not _holds_transcripts(folder) and town.is_dir() else folder


def _holds_transcripts(folder: Path) -> bool:
    return folder.is_dir() and next(folder.rglob("*.jsonl"), None) is not None
