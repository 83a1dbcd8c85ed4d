"""Keeps prompt and answer pairs, for whoever opted in: hands exchanges to `python -m data.capture`, which redacts.

Nobody waits for it. Exchanges wait in memory, in a queue with a limit, and what does not fit is dropped and counted; so
is what was under way when the other process died, which is then started again.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import msgspec

from deploy.adapter import Refusal
from deploy.serve.types import Exchange

LIMIT = 64 * 2**20  # bytes of exchanges that may wait
NO_ROOM = "no room"
LOST = "lost"
FATES = ("written", "no answer", "no chat", "looks like a secret", "broken", "disk", NO_ROOM, LOST)
_READY = b"ready\n"
_STARTS_WITHIN = 60.0  # seconds
_DRAINS_WITHIN = 30.0  # seconds
_ENDS_WITHIN = 5.0  # seconds after its input was closed
_LONGEST_PAUSE = 30.0  # seconds between two starts
# What the other process gets of this one's environment: no key of ours is among it.
_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH", "OMP_NUM_THREADS")

Count = Callable[[str, int], None]


class Capture:
    """A `Recorder`. `count(fate, number)` is told what became of exchanges; a fate is one of `FATES`."""

    def __init__(self, folder: Path, config: Path, count: Count, limit: int = LIMIT) -> None:
        self.command: Sequence[str] = (
            sys.executable, "-m", "data.capture", "--out", str(folder), "--config", str(config),
        )  # fmt: skip
        self._count = count
        self._limit = limit
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._under_way = 0
        self._closing = False
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Raises Refusal where capturing is not possible, such as into a folder that cannot be written."""
        child = await self._launched()
        if child is None:
            raise Refusal(
                "Captures cannot be written; the reason stands above. Correct it, or set capture.enabled: false."
            )
        self._task = asyncio.create_task(self._keep_running(child))

    def note(self, exchange: Exchange) -> None:
        """Take an exchange; returns at once, whatever the other process does."""
        line = _encoded(exchange) + b"\n"
        if self._closing or self._size + len(line) > self._limit:
            self._count(NO_ROOM, 1)
            return
        self._waiting.append(line)
        self._size += len(line)
        self._wake.set()

    async def stop(self) -> None:
        """Wait until everything is written, but not for ever; what is left then is counted as lost."""
        self._closing = True
        self._wake.set()
        if self._task:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._task, _DRAINS_WITHIN)
        self._lose(len(self._waiting))
        self._waiting.clear()

    async def _keep_running(self, child: asyncio.subprocess.Process | None) -> None:
        pause = 0.5
        while not (self._closing and not self._waiting):
            written = await self._serve(child) if child else 0
            pause = 0.5 if written else min(2 * pause, _LONGEST_PAUSE)
            if self._closing:
                return
            await asyncio.sleep(pause)
            child = await self._launched()
        if child and child.returncode is None:
            await self._serve(child)

    async def _launched(self) -> asyncio.subprocess.Process | None:
        """The other process, when it is ready; None where it ended instead and has said why."""
        pipe = asyncio.subprocess.PIPE
        environment = {name: value for name, value in os.environ.items() if name in _ENVIRONMENT}
        child = await asyncio.create_subprocess_exec(
            *self.command, stdin=pipe, stdout=pipe, env=environment, start_new_session=True
        )
        assert child.stdout
        said = b""
        with suppress(TimeoutError):
            said = await asyncio.wait_for(child.stdout.readline(), _STARTS_WITHIN)
        if said == _READY:
            return child
        await _end(child)
        return None

    async def _serve(self, child: asyncio.subprocess.Process) -> int:
        """Send what waits until the child or the gateway ends; the number of exchanges that the child answered for."""
        feeding = asyncio.create_task(self._feed(child))
        try:
            answered = await self._listen(child)
        finally:
            feeding.cancel()
            with suppress(asyncio.CancelledError, ConnectionError):
                await feeding
            await _end(child)
            self._lose(self._under_way)
            self._under_way = 0
        return answered

    async def _feed(self, child: asyncio.subprocess.Process) -> None:
        assert child.stdin
        while self._waiting or not self._closing:
            if not self._waiting:
                self._wake.clear()
                await self._wake.wait()
                continue
            line = self._waiting.popleft()
            self._size -= len(line)
            self._under_way += 1
            child.stdin.write(line)
            await child.stdin.drain()
        child.stdin.close()

    async def _listen(self, child: asyncio.subprocess.Process) -> int:
        assert child.stdout
        answered = 0
        while line := await child.stdout.readline():
            fate = line.decode("ascii", "replace").strip()
            self._under_way -= 1
            self._count(fate if fate in FATES else "broken", 1)
            answered += 1
        return answered

    def _lose(self, number: int) -> None:
        if number:
            self._count(LOST, number)


async def _end(child: asyncio.subprocess.Process) -> None:
    """Let the child end by itself, since its input is closed; kill it where it does not."""
    if child.stdin:
        child.stdin.close()
    try:
        await asyncio.wait_for(child.wait(), _ENDS_WITHIN)
    except TimeoutError:
        child.kill()
        await child.wait()


def _encoded(exchange: Exchange) -> bytes:
    """An exchange as a line of JSON, the answer in base64; half characters, which JSON cannot carry, become `?`."""
    try:
        return msgspec.json.encode(exchange, enc_hook=dict)
    except UnicodeEncodeError:
        text = json.dumps(msgspec.to_builtins(asdict(exchange)), ensure_ascii=False)
        return text.encode("utf-8", "replace")


class NoCapture:
    """The `Recorder` of a gateway that keeps nothing."""

    async def start(self) -> None:
        return

    def note(self, exchange: Exchange) -> None:
        return

    async def stop(self) -> None:
        return
