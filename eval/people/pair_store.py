"""Writes comparisons to output/comparisons/<date>.jsonl, two lines each, and nothing that is not redacted.

The redaction is the gateway's: `python -m data.capture`, a process of its own, into a folder that is gone afterwards.
`with PairStore(folder, config) as store: store.keep(...)`; it starts before a model is asked, so that nothing is asked
for nothing.
"""

import errno
import fcntl
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any
from uuid import uuid4

import msgspec

from eval.errors import BadInput
from eval.people.endpoint import Messages
from eval.people.pair_lines import Said, exchange, lines_of

WITHIN_SECONDS = 60.0  # for the start of the redaction, and for one comparison
READY, WRITTEN, FLAGGED = "ready", "written", "looks like a secret"
# What the redaction gets of this process's environment: no key is among it.
_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH", "OMP_NUM_THREADS")


class NotStored(Exception):
    """A comparison that was not written down; the message is one sentence that says why."""


class PairStore:
    """Appends comparisons to the file of their day. Raises BadInput where it cannot start."""

    def __init__(self, folder: Path, config: Path) -> None:
        self._folder, self._config = folder, config

    def __enter__(self) -> "PairStore":
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as problem:
            raise BadInput(f"{self._folder} cannot be made ({problem.strerror}); give another --out.") from None
        if not os.access(self._folder, os.W_OK):
            raise BadInput(f"{self._folder} cannot be written; give another --out.")
        self._between = tempfile.TemporaryDirectory(prefix="forge-compare-")
        self._child = _start(Path(self._between.name), self._config)
        if self._answered() != READY:
            self.__exit__(None, None, None)
            raise BadInput("comparisons cannot be redacted; the reason stands above, correct it and ask again.")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        assert self._child.stdin and self._child.stdout
        self._child.stdin.close()
        self._child.stdout.close()
        try:
            self._child.wait(5)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        self._between.cleanup()

    def keep(self, role: str, messages: Messages, local: Said, strong: Said) -> tuple[str, Path]:
        """Write a comparison; its id and the file. Raises NotStored."""
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        comparison = f"cmp-{uuid4().hex[:16]}"
        clean = self._redacted(exchange(at, role, messages, local, strong))
        path = self._folder / f"{at[:10]}.jsonl"
        lines = lines_of(clean, comparison, role, local, strong)
        try:
            append(path, [msgspec.json.encode(line) for line in lines])
        except OSError as problem:
            raise NotStored(f"{path} cannot be written ({problem.strerror}); nothing was stored.") from None
        return comparison, path

    def _redacted(self, line: bytes) -> dict[str, Any]:
        assert self._child.stdin
        try:
            self._child.stdin.write(line + b"\n")
            self._child.stdin.flush()
        except OSError:
            raise NotStored("the redaction has ended, so nothing was stored; ask again.") from None
        fate = self._answered()
        if fate == FLAGGED:
            raise NotStored("one of the texts still looks like a secret after redaction, so nothing was stored.")
        if fate != WRITTEN:
            raise NotStored(f"the redaction says `{fate or 'nothing'}`, so nothing was stored; ask again.")
        written = max(Path(self._between.name).glob("captures-*.jsonl"))
        clean: dict[str, Any] = json.loads(written.read_bytes().splitlines()[-1])
        return clean

    def _answered(self) -> str:
        """The next word of the redaction; empty where none comes."""
        assert self._child.stdout
        if not select.select([self._child.stdout], [], [], WITHIN_SECONDS)[0]:
            return ""
        return self._child.stdout.readline().decode("ascii", "replace").strip()


def append(path: Path, lines: Sequence[bytes]) -> None:
    """Append lines, all of them or none, for their owner's eyes alone; half a line of a crash is cut off before."""
    file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        before, start = _ready(file)
        content = start + b"".join(line + b"\n" for line in lines)
        try:
            if os.write(file, content) != len(content):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(file)
        except OSError:
            os.ftruncate(file, before)
            raise
    finally:
        os.close(file)


def _ready(file: int) -> tuple[int, bytes]:
    """The size of a file that can be appended to, and what has to come first: an editor may leave out the last end."""
    size = os.fstat(file).st_size
    tail = b""
    while (at := tail.rfind(b"\n")) < 0 and len(tail) < size:
        tail = os.pread(file, min(size, 2 * len(tail) + 65536), size - min(size, 2 * len(tail) + 65536))
    half = tail[at + 1 :]
    if not half:
        return size, b""
    try:
        json.loads(half)
    except ValueError:
        os.ftruncate(file, size - len(half))
        return size - len(half), b""
    return size, b"\n"


def _start(folder: Path, config: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "data.capture", "--out", str(folder), "--config", str(config)]
    environment = {name: value for name, value in os.environ.items() if name in _ENVIRONMENT}
    pipe = subprocess.PIPE
    # Ctrl-C is for this process; the end of its input ends the other.
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, env=environment, start_new_session=True)
