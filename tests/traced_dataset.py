"""Writes small datasets with the origins of their rows, for what reads them back."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

import msgspec

from data.record import Drop, Note, Origin, Quality, Split
from data.stage import Ledger
from data.trace import Place, Trace
from data.validate.rows import File, Manifest

STAGES = ("redact", "roles", "windows", "dedup")
PROJECT = "/home/user-77aa/.claude/projects/-home-user-77aa-work"


def trace(
    id: str,
    split: Split = "train",
    role: str = "crew",
    file: str = "",
    trained: Iterable[tuple[str, int, int]] = (("msg_1", 2, 40),),
    notes: tuple[Note, ...] = (),
    **origin: object,
) -> Trace:
    """The trace of a row of the session in its id; `trained` are (message id, line, tokens)."""
    session = id.partition(":")[0].partition("/")[0]
    file = file or f"{PROJECT}/{session}.jsonl"
    places = tuple(Place(message, file, line, tokens) for message, line, tokens in trained)
    known: dict[str, object] = {"group": session, "file": file, "lines": (1, 9), "started": "2026-01-05T10:00:01Z"}
    where = Origin("sessions", session, **(known | origin))  # type: ignore[arg-type]
    return Trace(id, role, where, notes, ("pull_request",), 0.75, Quality(tests=1.0), places, split)


def write_dataset(folder: Path, traces: Iterable[Trace], drops: Iterable[Drop] = ()) -> Path:
    """A finished dataset with a row for each trace."""
    folder.mkdir(parents=True, exist_ok=True)
    lines: dict[str, list[bytes]] = {"drops.jsonl": [*map(msgspec.json.encode, drops)], "origins.jsonl": []}
    for one in traces:
        tokens = sum(place.tokens for place in one.trained)
        facts = {"id": one.id, "session_id": one.origin.session, "tokens": tokens + 100, "trained_tokens": tokens}
        lines["origins.jsonl"].append(msgspec.json.encode(one))
        for family in (one.role, "gastown"):
            row = msgspec.json.encode({"conversations": [], "metadata": facts})
            lines.setdefault(f"{family}_{one.split}.jsonl", []).append(row)
    files = {name: _write(folder / name, content) for name, content in lines.items()}
    ledger = Ledger()
    for stage in STAGES:
        ledger.account(stage)
    (folder / "ledger.json").write_bytes(msgspec.json.encode(ledger))
    (folder / "manifest.json").write_bytes(msgspec.json.encode(Manifest(files=files)))
    return folder


def _write(path: Path, lines: list[bytes]) -> File:
    content = b"".join(line + b"\n" for line in lines)
    path.write_bytes(content)
    return File(sha256(content).hexdigest(), len(lines), len(content))
