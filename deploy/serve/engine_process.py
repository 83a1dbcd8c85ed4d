"""The process of an engine: started, watched, started again where it dies or hangs, and stopped with its children.

What it prints goes to a log that is cut at every start of the gateway. A process that dies again and again stays
dead, and says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from deploy.serve import leash
from deploy.serve.backend import EngineError
from deploy.serve.stopping import ended
from deploy.serve.types import Unavailable

DIED: Final = "it died and starts again"
DEATHS_ALLOWED: Final = 5
WITHIN: Final = 60.0  # seconds
# How long an engine may take to end before it is killed; its children have 10 s of their own.
PATIENCE: Final = 12.0  # seconds
LOG_LIMIT: Final = 20_000_000  # bytes; one older log is kept
# How often a running engine is asked for /health, and how often in a row it may say nothing before it is killed.
HEALTH_EVERY: Final = 5.0  # seconds
SILENCES: Final = 6
# What an engine may know of our environment: where things are and how to compute, no key and no option of its own.
PASSED_ON: Final = re.compile(
    r"PATH|HOME|USER|LANG|TZ|TMPDIR|PYTHONPATH|VIRTUAL_ENV|(LC|LD|DYLD|XDG|OMP|MKL|CUDA|NVIDIA|NCCL|HIP|ROCR|GGML|VLLM|SSL)_.*"
    r"|HF_(HOME|HUB_CACHE|HUB_OFFLINE|ENDPOINT)|HTTPS?_PROXY|NO_PROXY"
)
SECRET: Final = re.compile(r".*(KEY|TOKEN|SECRET|PASSWORD).*")


def environment(more: Mapping[str, str]) -> dict[str, str]:
    """The environment of an engine."""
    known = {n: v for n, v in os.environ.items() if PASSED_ON.fullmatch(n.upper()) and not SECRET.fullmatch(n.upper())}
    return known | dict(more)


def free_port() -> int:
    """A port of the loopback that nobody uses now; where somebody is faster, the engine dies and gets another one."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class EngineProcess:
    """One engine. `command` makes its command line for a port; `restored` is awaited before a new one counts as up."""

    def __init__(
        self,
        command: Callable[[int], Sequence[str]],
        more_environment: Mapping[str, str],
        log: Path,
        start_seconds: float,
        restored: Callable[[str], Awaitable[None]],
    ) -> None:
        self._command = command
        self._more_environment = more_environment
        self._log = log
        self._start_seconds = start_seconds
        self._restored = restored
        self._process: asyncio.subprocess.Process | None = None
        self._url = ""
        self._problem = "the engine has not been started"
        self._deaths: deque[float] = deque(maxlen=DEATHS_ALLOWED)
        self._watcher: asyncio.Task[None] | None = None
        self.restarts = 0

    @property
    def url(self) -> str:
        """Where it answers now. Raises `Unavailable` while it starts again, or for good where it has been given up."""
        problem = self._problem
        if not problem and (self._process is None or self._process.returncode is not None):
            problem = DIED
        if problem:
            raise Unavailable(f"The engine does not answer: {problem}.")
        return self._url

    async def start(self) -> None:
        """Returns when it is up. Raises `EngineError`; nothing runs then."""
        self._log.parent.mkdir(parents=True, exist_ok=True)
        self._log.write_bytes(b"")
        try:
            await self._launch()
        except BaseException:
            await self._end()
            raise
        self._problem = ""
        self._watcher = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        """Ends the process and its children, by force where it does not go."""
        if self._watcher is not None:
            await ended([self._watcher])
        self._problem = "the engine has been stopped"
        await self._end()

    async def _launch(self) -> None:
        port = free_port()
        command = [str(word) for word in self._command(port)]
        if shutil.which(command[0]) is None:
            raise EngineError(f"{command[0]} is not installed here. Install it, or choose another engine.kind.")
        words = [sys.executable, "-I", "-S", str(leash.__file__), str(os.getpid()), *command]
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *words,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment(self._more_environment),
                start_new_session=True,
            )
        self._url = f"http://127.0.0.1:{port}"
        await self._healthy(self._process)
        await self._restored(self._url)

    async def _healthy(self, process: asyncio.subprocess.Process) -> None:
        """Returns when /health answers. Raises `EngineError` where the process ends first or takes too long."""
        until = time.monotonic() + self._start_seconds
        while time.monotonic() < until:
            if process.returncode is not None:
                raise EngineError(f"The engine ended at once, with code {process.returncode}: {self._last_words()}.")
            if await answers(f"{self._url}/health", 2):
                return
            await asyncio.sleep(0.02)
        raise EngineError(f"The engine did not start within {self._start_seconds:g} s: {self._last_words()}.")

    def _last_words(self) -> str:
        """Where to read on."""
        return f"read the end of {self._log}"

    async def _watch(self) -> None:
        """Starts the process again whenever it ends, until it has died too often."""
        while self._process is not None:
            await self._ended(self._process)
            self._problem = DIED
            while self._problem and self._process is not None:
                await self._again()

    async def _again(self) -> None:
        """One more start; none where the deaths are too many."""
        await self._end()
        self._deaths.append(time.monotonic())
        if len(self._deaths) == DEATHS_ALLOWED and self._deaths[-1] - self._deaths[0] < WITHIN:
            self._problem = f"it died {DEATHS_ALLOWED} times within a minute and is left alone; {self._last_words()}"
            return
        with contextlib.suppress(EngineError):
            await self._launch()
            self._problem = ""
            self.restarts += 1

    async def _ended(self, process: asyncio.subprocess.Process) -> None:
        """Returns when the process is gone, killed where it hangs; keeps its log from growing meanwhile."""
        silences = 0
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), HEALTH_EVERY)
                return
            silences = 0 if await answers(f"{self._url}/health", HEALTH_EVERY) else silences + 1
            if silences == SILENCES:
                process.kill()
            if self._log.stat().st_size > LOG_LIMIT:
                shutil.copyfile(self._log, self._log.with_suffix(".older.log"))
                os.truncate(self._log, 0)  # it writes at the end, wherever that is

    async def _end(self) -> None:
        """The whole group of processes is gone afterwards."""
        if self._process is None:
            return
        for way in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, way)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), PATIENCE)
        self._process = None


async def answers(url: str, seconds: float) -> bool:
    """Whether an address of the loopback answers with 200 in time."""
    import httpx

    try:
        async with httpx.AsyncClient(trust_env=False, verify=False) as client:
            return (await client.get(url, timeout=seconds)).status_code == 200
    except httpx.HTTPError:
        return False
