"""What has come in since a round: captures, comparisons, mined examples, decisions of curators, transcripts and notes.

Counted, never copied: `totals(plan)` is kept with every round, and `new_since` is what came after it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from configs.strict_yaml import load_mapping
from scripts.loop.curate import count_lines
from scripts.loop.plan import Plan, mined_file

TRANSCRIPTS = Path("~/.claude/projects")
WORDS = {
    "captures": "captures", "comparisons": "comparisons", "mined": "mined examples", "decisions": "decisions",
    "transcripts": "transcripts or notes",
}  # fmt: skip
SUFFIXES = {"sessions": "*.jsonl", "vault": "*.md"}

_counted: dict[Path, tuple[tuple[int, int], int]] = {}


def log_folders(plan: Plan) -> dict[str, Path]:
    """Where the gateway's captures and people's comparisons lie."""
    return {"captures": plan.root / "captures", "comparisons": plan.root / "comparisons"}


def totals(plan: Plan) -> dict[str, int]:
    """How much there is of everything, by kind."""
    config = load_mapping(plan.config)
    logs = {name: sum(map(_lines, sorted(folder.rglob("*.jsonl")))) for name, folder in log_folders(plan).items()}
    return logs | {
        "mined": _lines(mined_file(plan)),
        "decisions": _decisions(config, plan.role),
        "transcripts": sum(1 for _ in _transcripts(config, plan)),
    }


def before_first(plan: Plan) -> dict[str, int]:
    """What the role's datasets hold already, as far as the time of the build tells: the baseline of a first round."""
    manifest = plan.datasets / "manifest.json"
    if not manifest.is_file():
        return {}
    built = manifest.stat().st_mtime
    old = sum(1 for file in _transcripts(load_mapping(plan.config), plan) if file.stat().st_mtime <= built)
    return {"transcripts": old}


def new_since(before: Mapping[str, int], now: Mapping[str, int]) -> dict[str, int]:
    """What is more than before, by kind."""
    return {kind: more for kind, count in now.items() if (more := count - before.get(kind, 0)) > 0}


def told(new: Mapping[str, int]) -> str:
    """`12 captures and 3 mined examples`, for a sentence."""
    parts = [f"{count:,} {WORDS[kind].removesuffix('s' if count == 1 else ' ')}" for kind, count in new.items()]
    return " and ".join(filter(None, (", ".join(parts[:-1]), *parts[-1:]))) or "nothing"


def _transcripts(config: Mapping[str, Any], plan: Plan) -> Iterator[Path]:
    """The files of the config's own sources of sessions and notes."""
    sessions = str(plan.asked.sessions or TRANSCRIPTS)
    for source in config.get("sources") or ():
        if pattern := SUFFIXES.get(source.get("kind", "")):
            yield from Path(source["path"].replace("{sessions}", sessions)).expanduser().rglob(pattern)


def _decisions(config: Mapping[str, Any], role: str) -> int:
    """How many decisions curators have taken about rows of the role; 0 where nobody has curated."""
    curation = config.get("curation") or {}
    file = Path(curation.get("decisions") or "output/curation.db")
    if not file.is_file():
        return 0
    asked = "SELECT count(*) FROM decisions d JOIN examples e ON e.key = d.key WHERE e.role = ?"
    try:
        with closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True, timeout=5)) as database:
            return int(database.execute(asked, (role,)).fetchone()[0])
    except sqlite3.Error:
        return 0  # a database that is just being made has no tables yet


def _lines(file: Path) -> int:
    """The lines of a file that only grows; read again only after it changed."""
    if not file.is_file():
        return 0
    about = file.stat()
    mark = (about.st_size, about.st_mtime_ns)
    known = _counted.get(file)
    if known is None or known[0] != mark:
        known = _counted[file] = (mark, count_lines(file))
    return known[1]
