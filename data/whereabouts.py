"""Finds the real file behind a path in which names were replaced, among the transcripts that are still at hand."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from itertools import islice
from pathlib import Path, PurePath

from data.config import RedactConfig
from data.extract.archive_view import VIEW
from data.files import open_regular
from data.transform.redact_names import people_of


class Whereabouts:
    """Looks in the folder of live transcripts and in the archive."""

    def __init__(self, live: Path, archive_dir: Path, config: RedactConfig) -> None:
        self._folders = (live, archive_dir / VIEW)
        self._config = config

    def find(self, shown: str, line: int = 0, identity: str = "") -> Path | None:
        """The file that a dataset shows under a path, or None where it is no longer here.

        A message id in the line that the dataset names is proof; without one the path must be the same once its
        names are replaced, too.
        """
        candidates = [Path(shown), *self._by_name.get(_key(shown), [])]
        proven = (path for path in candidates if identity and _has(path, line, identity))
        return next(proven, None) or self._same_when_redacted(shown, candidates)

    @cached_property
    def _by_name(self) -> dict[str, list[Path]]:
        found: dict[str, list[Path]] = {}
        for folder in self._folders:
            for path in sorted(folder.rglob("*.jsonl")):
                found.setdefault(_key(path), []).append(path)
        return found

    def _same_when_redacted(self, shown: str, candidates: Iterable[Path]) -> Path | None:
        from data.transform.redactor import text_redactor

        known = [path for path in candidates if path.is_file()]
        redact = text_redactor(self._config, people_of(known))
        return next((path for path in known if redact(str(path)) == shown), None)


def _key(path: str | Path) -> str:
    """The name of a transcript without what its copies and versions have more."""
    return PurePath(path).name.partition(".")[0]


def _has(path: Path, line: int, identity: str) -> bool:
    try:
        with open_regular(path) as lines:
            return any(identity.encode() in found for found in islice(lines, max(line - 1, 0), line))
    except OSError:
        return False
