"""Rows, ledgers and builds made by hand, for the tests of the schema, the statistics and the report."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from data.record import Drop, Tally
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
            "quality_parts": {"results": 1.0, "people": 1.0, "tests": 0.5, "landed": 0.5, "beads": 0.5},
            "trained_ids": [f"message-of-{name}"],
            "tokens": 100,
            "trained_tokens": 10,
            "about": "{}",
        }
        | metadata,
    }


def make_native_row(name: str = "row-1") -> Row:
    """The same in the base model's own tool form, its two texts decoded."""
    call = {"id": "t1", "type": "function", "function": {"name": "Bash", "arguments": {"command": "gt hook"}}}
    parameters = {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]}
    bash = {"name": "Bash", "description": "Run a command.", "parameters": parameters}
    return {
        "messages": [
            {"role": "system", "content": "[GAS TOWN ROLE: mayor] You are the mayor.", "train": False},
            {"role": "user", "content": "Check your hook.", "train": False},
            {"role": "assistant", "content": "", "train": False, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "t1", "name": "Bash", "content": "Nothing on hook", "train": False},
            {"role": "user", "content": "And now?", "train": False},
            {"role": "assistant", "content": "The hook is empty, so I wait.", "train": True},
        ],
        "tools": [{"type": "function", "function": bash}],
        "metadata": make_row(name)["metadata"],
    }


def as_line(native: Row) -> Row:
    """A native row as its file has it: `messages` and `tools` as JSON text."""
    return {**native, "messages": json.dumps(native["messages"]), "tools": json.dumps(native["tools"])}


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


def balanced_build(folder: Path) -> Path:
    """A build from whose train split two rows of one role were taken to balance it."""
    write_build(folder, {"train": [make_row("m"), make_row("c", role="crew")], "val": [make_row("v")]})
    taken = Tally(conversations=1, replies=2, calls=1, said=9, chars=9, tokens=30)
    drops = [Drop("balance", "over the role's share", f"row-{n}", "mayor", tally=taken) for n in (1, 2)]
    other = Drop("dedup", "exact duplicate", "row-3", "row-1", tally=taken)
    (folder / "drops.jsonl").write_bytes(b"".join(msgspec.json.encode(drop) + b"\n" for drop in (*drops, other)))
    ledger = make_ledger()
    ledger.account("balance").drop("over the role's share", taken + taken)
    (folder / "ledger.json").write_bytes(msgspec.json.encode(ledger))
    return folder
