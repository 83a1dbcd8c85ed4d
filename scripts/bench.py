"""How fast the pipeline is, as ratios that hold on any machine: `make bench`, or `python scripts/bench.py --help`.

The transcripts are copied with fresh ids until there are enough of them. The yardstick is one `orjson.loads` of every
line, timed in the same run. Every build runs as a process of its own, so that its CPU time and memory are its own.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import orjson
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
DEFAULT = ROOT.parent / "shared" / "corpus" / "projects"

_UUID = re.compile(rb"[0-9a-f]{8}(?=-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})")
_API_ID = re.compile(rb"\b(msg|toolu|req)_(?=[A-Za-z0-9]{6})")


class Run(NamedTuple):
    """What one build took: CPU and wall seconds, and peak memory of its largest process in MiB."""

    cpu: float
    wall: float
    memory: float


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--sessions", type=Path, help="transcripts (default: ../shared/corpus, else the sample town)")
    parser.add_argument("--megabytes", type=int, default=350, help="copy them until there are so many (%(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="compare one worker with so many (%(default)s)")
    parser.add_argument("--engine", choices=("local", "ray"), default="local", help="what runs the workers")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        folder = Path(scratch)
        sessions = options.sessions or (DEFAULT if DEFAULT.is_dir() else _sample_town(folder))
        copies = replicate(sessions, folder / "projects", options.megabytes * 1_000_000)
        Console().print(measure(folder, copies, options.workers, options.engine))
    return 0


def _sample_town(folder: Path) -> Path:
    subprocess.run([sys.executable, "-m", "data.sample", "--out", folder / "town"], cwd=ROOT, check=True)
    return folder / "town" / "projects"


def replicate(sessions: Path, into: Path, size: int) -> int:
    """Copy all transcripts as often as it takes for `size` bytes, each time under new ids. Returns how often."""
    done = copies = 0
    while done < size:
        for path in sorted(sessions.rglob("*.jsonl")):
            project, *inner = path.relative_to(sessions).parts
            target = into / f"{project}-{copies}" / Path(*inner or [project])
            content = with_fresh_ids(path.read_bytes(), copies)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.with_stem(f"{target.stem}-{copies}").write_bytes(content)
            done += len(content)
        copies += 1
        if not done:
            sys.exit(f"{sessions} holds no .jsonl transcripts. Give another folder with --sessions.")
    return copies


def with_fresh_ids(content: bytes, copy: int) -> bytes:
    """The same records under other record, session and message ids; copy 0 keeps its own."""
    if not copy:
        return content
    content = _UUID.sub(lambda match: b"%04x" % copy + match[0][4:], content)
    return _API_ID.sub(lambda match: match[0] + b"%04x" % copy, content)


def measure(folder: Path, copies: int, workers: int, engine: str) -> Table:
    """Every figure of the benchmark beside its target."""
    projects = folder / "projects"
    size = sum(path.stat().st_size for path in projects.rglob("*.jsonl")) / 1e6
    floor = min(_cpu_of(lambda: parse_all(projects)) for _ in range(3))
    one = min((build(folder, f"one-{turn}", 1) for turn in range(2)), key=lambda run: run.cpu)
    many = min((build(folder, f"many-{turn}", workers, engine) for turn in range(2)), key=lambda run: run.wall)
    time.sleep(2.1)  # a file changed within the last two seconds is always looked at again
    build(folder, "one-0", 1)
    same = build(folder, "one-0", 1)
    change_one(projects)
    changed = build(folder, "one-0", 1)
    table = Table(title=f"{size:,.0f} MB of transcripts, {copies} copies", title_justify="left")
    for name in ("", "measured", "target"):
        table.add_column(name, justify="left" if not name else "right")
    for row in _rows(floor, one, many, same, changed, workers):
        table.add_row(*row)
    return table


def _rows(floor: float, one: Run, many: Run, same: Run, changed: Run, workers: int) -> Iterator[tuple[str, str, str]]:
    yield "orjson.loads of every line, CPU", f"{floor:.2f} s", ""
    yield "cold build, one worker, CPU", f"{one.cpu:.2f} s", ""
    yield "the same in parse floors", f"{one.cpu / floor:.1f}", "at most 8, goal 5"
    yield "cold build, one worker, wall", f"{one.wall:.2f} s", ""
    yield f"{workers} workers, wall", f"{many.wall:.2f} s", ""
    yield f"{workers} workers faster by", f"{one.wall / many.wall:.2f}", "at least 1.7 for 2"
    yield "peak memory, one worker", f"{one.memory:.0f} MiB", "under 700"
    yield "nothing changed, wall", f"{same.wall:.2f} s", "under 1 s"
    yield "one session changed, wall", f"{changed.wall:.2f} s", "under 2 s"


def parse_all(projects: Path) -> None:
    """The yardstick: every line as JSON, by the fastest parser, and nothing done with it."""
    for path in projects.rglob("*.jsonl"):
        with path.open("rb") as lines:
            for line in lines:
                try:
                    orjson.loads(line)
                except orjson.JSONDecodeError:
                    continue


def _cpu_of(work: Callable[[], None]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


def build(folder: Path, out: str, workers: int, engine: str = "local") -> Run:
    """One build with everything on. Exits with its words where it fails."""
    command = [sys.executable, "-m", "data.pipeline", "all", "--sessions", str(folder / "projects")]
    command += ["--out", str(folder / out), "--workers", str(workers), "--engine", engine]
    log = folder / "log.txt"
    begun = time.perf_counter()
    # Compiled modules are kept, as they are for anybody who runs a command twice.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with log.open("w") as file:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=file, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(log.read_text())
    return Run(usage.ru_utime + usage.ru_stime, time.perf_counter() - begun, usage.ru_maxrss / 1024)


def change_one(projects: Path) -> None:
    """Let one session go on: its last lines once more, under new ids."""
    path = min(projects.rglob("*.jsonl"), key=lambda path: (path.stat().st_size, path))
    tail = path.read_bytes().splitlines(keepends=True)[-4:]
    copy = shutil.copyfile(path, path.with_suffix(".part"))
    with Path(copy).open("ab") as file:
        file.write(with_fresh_ids(b"".join(tail), 0xFFFF))
    Path(copy).replace(path)


if __name__ == "__main__":
    sys.exit(main())
