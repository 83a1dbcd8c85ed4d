"""Runs a command of a room with its log, and ends with it: nothing that a round started outlives the round.

A loop that is killed with SIGKILL cannot clean up, and its training would go on beside the next one. So the running
process group is noted in a file, and whoever goes on with the round ends what still runs.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from configs.files import write_text
from configs.runs.machine import is_alive, process_mark
from scripts.loop.state import Command

RUNNING = "running"
GRACE = 10.0  # seconds between asking a process to end and making it


def run(words: Sequence[str], folder: Path, log: str, env: Mapping[str, str] | None = None) -> Command:
    """Runs a command to its end. Its output is added to the log in the round's folder."""
    file = folder / log
    file.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    with file.open("ab") as stream:
        stream.write(f"$ {shlex.join(words)}\n".encode())
        stream.flush()
        process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, start_new_session=True,
            env={**os.environ, **(env or {})},
        )  # fmt: skip
        try:
            write_text(folder / RUNNING, process_mark(process.pid) or "")
            code = process.wait()
        except BaseException:
            end_group(process.pid)
            process.wait()
            raise
    (folder / RUNNING).unlink(missing_ok=True)
    return Command(tuple(words), code, round(time.monotonic() - started, 1), log)


def end_leftover(folder: Path) -> bool:
    """Ends what a killed loop left running in this round; whether there was something."""
    try:
        mark = (folder / RUNNING).read_text("utf-8")
    except OSError:
        return False
    left = bool(mark) and is_alive(mark)
    if left:
        end_group(int(mark.split()[0]))
    (folder / RUNNING).unlink(missing_ok=True)
    return left


def end_group(leader: int) -> None:
    """Asks a process group to end, and makes it after a while."""
    for kind, patience in ((signal.SIGTERM, GRACE), (signal.SIGKILL, 2.0)):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(leader, kind)
        until = time.monotonic() + patience
        while time.monotonic() < until:
            if not _group_lives(leader):
                return
            time.sleep(0.05)


def _group_lives(leader: int) -> bool:
    """Whether a process of the group runs; one that only waits to be read by its parent does not."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, IndexError):
            fields = stat.read_text("utf-8", "replace").rpartition(")")[2].split()
            if fields[2] == str(leader) and fields[0] not in "ZX":
                return True
    return False


def last_text(log: Path) -> str:
    """The last line that somebody wrote to a log, for a sentence."""
    lines = log.read_text("utf-8", "replace").splitlines()
    return next((line.strip() for line in reversed(lines) if line.strip() and not line.startswith("$ ")), "")[:400]
