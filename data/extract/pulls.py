"""Source of merged changes: what was asked for, by message or pull request, and the diff that people accepted for it.

`docs/library.md` says where exported pull requests are found; `python -m data.mine REPO` writes the changes as pairs.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from msgspec.structs import replace

from data.config import PullsConfig
from data.extract.jsonl import set_aside
from data.extract.pulls_changes import STAGE, Miner, Reason, drop_of
from data.extract.pulls_find import Found, Pull, exports, git_dir, read_export, repositories
from data.extract.pulls_git import GitError, installed, place_of, view_of
from data.extract.unit import SourceError, Unit, sized
from data.record import Conversation, Drop

PART = 1000  # commits that one worker holds at a time
DEFAULT = PullsConfig()


def units(path: Path, role: str, config: PullsConfig = DEFAULT) -> Iterator[Unit]:
    """Units of PART commits of the repository, or of each repository in the folder; another HEAD, other units."""
    if not path.exists():
        raise SourceError(f"{path} does not exist. Clone the repository there, or remove the source.")
    if not installed():
        raise SourceError(f"{path} cannot be read without git. Install git (apt install git), or remove the source.")
    found = repositories(path)
    if not found:
        raise SourceError(f"{path} is no git repository and holds none. Clone one into it, or remove the source.")
    problems: list[str] = []
    for repository in found:
        try:
            yield from _units_of(repository, role, config)
        except (GitError, SourceError) as error:
            problems.append(str(error) if isinstance(error, SourceError) else _sentence(repository, config, error))
    if problems:
        raise SourceError("\n".join(problems))


def _units_of(found: Found, role: str, config: PullsConfig) -> Iterator[Unit]:
    place = place_of(found.git_dir, config.branch)
    if place.shallow:
        raise SourceError(
            f"{found.folder} is a shallow clone without its history. Run `git -C {found.folder} fetch --unshallow`."
        )
    with view_of(place) as view:
        commits = int(view.run(["rev-list", "--first-parent", "--count", place.tip]))
    unit = sized("pulls", f"{found.name}@{place.tip}", (found.mark, *exports(found)), role)
    for skip in range(0, commits, PART):
        yield replace(unit, part=(skip, min(PART, commits - skip), 0), pulls=config)


def _sentence(found: Found, config: PullsConfig, error: GitError) -> str:
    where = f"branch {config.branch}" if config.branch else "the branch that is checked out"
    return (
        f"{found.folder}: git cannot read {where} ({error}). Give another branch or repository, or remove the source."
    )


def read(unit: Unit, since: int = 0) -> Iterator[Conversation | Drop]:
    """The changes of a unit, newest first, with a drop for every commit that is none; of those after `since` (s)."""
    mark, *files = map(Path, unit.files)
    pulls: list[Pull] = []
    for file in files:
        try:
            pulls += read_export(file)
        except (ValueError, OSError) as error:
            told = f"The pull requests cannot be read ({error}). Export them again with gh pr list --json."
            if not unit.part[0]:  # once, not by every part
                yield set_aside(STAGE, Reason.BROKEN_EXPORT, file, detail=told)
    made = seen = 0
    try:
        with view_of(place_of(git_dir(mark), unit.name.rpartition("@")[2])) as view:
            for item in Miner(view, unit, pulls).changes(since):
                seen += item.records if isinstance(item, Drop) and item.stage == STAGE else 0
                made += isinstance(item, Conversation)
                yield item
    except GitError as error:
        lost = max(unit.part[1] - made - seen, 1)
        yield drop_of(unit, Reason.UNREADABLE, unit.name, str(error), lost)
    if made:
        yield drop_of(unit, "used", unit.name, records=made)
