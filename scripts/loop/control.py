"""Starts auto in the background, asks it to end, and says how it is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from scripts.loop.auto import place, read_memory
from scripts.loop.errors import BadInput, Failed
from scripts.loop.lock import Busy, holder
from scripts.loop.plan import REPOSITORY
from scripts.loop.process import last_text
from scripts.loop.state import NAME, load

STARTS_WITHIN = 30.0  # seconds
ENDS_WITHIN = 30.0


def start(root: Path, words: Sequence[str]) -> str:
    """Starts `auto run` in a session of its own; what became of it. Raises `Busy` and `Failed`."""
    folder = place(root)
    if who := holder(folder / "lock"):
        since = f"process {who.get('pid')}, since {who.get('since')}"
        raise Busy(f"auto is running already ({since}). Stop it first: python -m scripts.loop auto stop.")
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "auto.log"
    with log.open("ab") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "scripts.loop", "auto", "run", *words],
            stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, start_new_session=True, cwd=REPOSITORY,
        )  # fmt: skip
    until = time.monotonic() + STARTS_WITHIN
    while time.monotonic() < until:
        if (who := holder(folder / "lock")) and who.get("pid") == process.pid:
            return f"auto runs as process {process.pid}; its log is {log}."
        if process.poll() is not None:
            raise Failed(f"auto did not start: {last_text(log)} The log is {log}.")
        time.sleep(0.05)
    process.kill()
    raise Failed(f"auto did not start within {STARTS_WITHIN:.0f} seconds. The log is {log}.")


def stop(root: Path, now: bool) -> str:
    """Asks auto to end after the running step, or at once; what became of it. Raises `BadInput` where none runs."""
    who = holder(place(root) / "lock")
    if who is None:
        raise BadInput("auto does not run. Start it: python -m scripts.loop auto start ROLE.")
    pid = int(who.get("pid", 0))
    (place(root) / "stop").touch()
    if not now:
        return f"auto (process {pid}) ends after the running step."
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    until = time.monotonic() + ENDS_WITHIN
    while time.monotonic() < until:
        if holder(place(root) / "lock") is None:
            return f"auto (process {pid}) has ended; an unfinished round goes on when it is started again."
        time.sleep(0.05)
    raise Failed(f"auto (process {pid}) did not end within {ENDS_WITHIN:.0f} seconds. See {place(root) / 'auto.log'}.")


def status(root: Path) -> dict[str, Any]:
    """Whether auto runs, what each role waits for, and how its last round ended."""
    who, memory = holder(place(root) / "lock"), read_memory(root)
    return {
        "running": who is not None,
        "pid": who.get("pid") if who else None,
        "since": who.get("since") if who else None,
        "stopping": who is not None and (place(root) / "stop").exists(),
        "checked_at": memory.checked_at or None,
        "roles": [_role(root, role, memory.waits.get(role)) for role in _roles(root, memory.waits)],
    }


def _roles(root: Path, waits: dict[str, str]) -> list[str]:
    there = {path.parent.parent.name for path in (root / "loop").glob("*/r*/state.json")}
    return sorted(there | waits.keys())


def _role(root: Path, role: str, waits: str | None) -> dict[str, Any]:
    names = [m for path in (root / "loop" / role).glob("r*/state.json") if (m := NAME.fullmatch(path.parent.name))]
    last = None
    if names:
        newest = max(names, key=lambda match: int(match[1]))[0]
        state = load(root / "loop" / role / newest)
        last = {
            "round": state.name, "outcome": state.outcome or "unfinished", "reasons": list(state.reasons),
            "finished_at": state.finished_at or None, "step": state.steps[-1].name if state.steps else None,
            "page": str(root / "loop" / role / newest / "report.html"),
        }  # fmt: skip
    return {"role": role, "next": waits, "last": last}


def shown(found: dict[str, Any]) -> str:
    """The status for people."""
    lines = ["auto does not run."]
    if found["running"]:
        ends = "; it ends after the running step" if found["stopping"] else ""
        lines = [f"auto runs as process {found['pid']} since {found['since']}{ends}."]
    for role in found["roles"]:
        lines.append(f"{role['role']}: {role['next'] or 'not looked after by auto'}")
        if last := role["last"]:
            lines.append(f"  last round {last['round']}: {last['outcome']} (step {last['step']}), {last['page']}")
            lines += [f"    {reason}" for reason in last["reasons"]]
    return "\n".join(lines)
