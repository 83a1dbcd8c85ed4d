"""Rows, ledgers and builds made by hand, for the tests of the schema, the statistics and the report."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from data.record import Tally
from data.stage import Account, Ledger

CALL = '<tool_call>\n{"name": "Bash", "arguments": {"command": "gt hook"}}\n</tool_call>'
RESULT = "<tool_result>\nNothing on hook\n</tool_result>"

Row = dict[str, Any]


def turn(speaker: str, value: str, train: bool = False) -> dict[str, Any]:
    return {"from": speaker, "value": value, "train": train}


def make_row(name: str = "row-1", **metadata: Any) -> Row:
    """A row that keeps the contract: a context reply with a call, then the trained reply to its result."""
    return {
        "conversations": [
            turn("system", "[GAS TOWN ROLE: mayor] You are the mayor."),
            turn("human", "Check your hook."),
            turn("gpt", f"Looking at the hook.\n{CALL}"),
            turn("human", f"{RESULT}\nAnd now?"),
            turn("gpt", "The hook is empty, so I wait.", train=True),
        ],
        "metadata": {
            "id": name,
            "role": "mayor",
            "session_id": f"session-of-{name}",
            "source": "sessions",
            "quality_score": 0.75,
            "trained_ids": [f"message-of-{name}"],
            "tokens": 100,
            "trained_tokens": 10,
        }
        | metadata,
    }


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")


def weight(replies: int, calls: int, chars: int, tokens: int = 0) -> Tally:
    return Tally(replies=replies, calls=calls, said=chars, chars=chars, tokens=tokens)


def make_ledger() -> Ledger:
    """A small account: two sources, a reader's set-aside replies, two stages with drops and notes."""
    read, kept = weight(38, 20, 8960), weight(30, 18, 8000, 420)
    return Ledger(
        records={"sessions": {"used": 90, "progress": 10}, "beads": {"used": 3, "not_closed": 7}},
        read=weight(40, 20, 9000),
        set_aside={"synthetic": weight(2, 0, 40)},
        stages={
            "redact": Account(read, read, {}, {"secret": 4}),
            "quality": Account(weight(38, 20, 8960, 500), kept, {"too_short": weight(8, 2, 960, 80)}),
        },
    )


def write_build(folder: Path, rows: Mapping[str, Iterable[Row]], sample: bool = False) -> Path:
    """A finished build with the rows of each split."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    for split, of_split in rows.items():
        path = folder / f"gastown_{split}.jsonl"
        write_rows(path, kept := list(of_split))
        files[path.name] = {"sha256": "0" * 64, "rows": len(kept), "bytes": path.stat().st_size}
    (folder / "ledger.json").write_bytes(msgspec.json.encode(make_ledger()))
    (folder / "manifest.json").write_text(json.dumps({"sample": sample, "rows": {}, "files": files}))
    return folder
