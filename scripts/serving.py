"""Starts the gateway as a user does, waits until it answers, and ends it: for its benchmark and the walkthrough."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple


@dataclass(frozen=True)
class Place:
    """An address that chats: its base URL, the name of a model there, what it wants to see, and its process."""

    url: str
    model: str
    pid: int
    headers: Mapping[str, str] = field(default_factory=dict)

    async def admin(self, action: str, body: Mapping[str, Any]) -> "Said":
        """POST /admin/ACTION."""
        import httpx

        async with httpx.AsyncClient(timeout=60) as client:
            started = time.perf_counter()  # the client's certificates take longer to load than a rollback takes
            said = await client.post(f"{self.url}/admin/{action}", json=dict(body), headers=dict(self.headers))
        return Said(said.status_code, said.text, time.perf_counter() - started)


class Said(NamedTuple):
    """What an admin got: the status, the body, and the seconds that it took."""

    status: int
    text: str
    seconds: float


@asynccontextmanager
async def gateway(config: Path, port: int, model: str, log: Path) -> AsyncIterator[Place]:
    """`python -m deploy.serve --config CONFIG`, from the moment when it is ready to the end of its children.

    Raises RuntimeError with the end of its log where it does not start within a minute.
    """
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "deploy.serve", "--config", str(config)], stdout=stream, stderr=stream
        )
    place = Place(f"http://127.0.0.1:{port}", model, process.pid)
    try:
        await _ready(place, process, log)
        yield place
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(30)
        process.kill()
        process.wait()


async def _ready(place: Place, process: "subprocess.Popen[bytes]", log: Path) -> None:
    import httpx

    async with httpx.AsyncClient(timeout=5) as client:
        for _ in range(600):
            if process.poll() is not None:
                break
            with suppress(httpx.HTTPError):
                if (await client.get(f"{place.url}/health")).status_code == 200:
                    return
            await asyncio.sleep(0.1)
    raise RuntimeError(f"the gateway does not answer at {place.url}:\n{log.read_text('utf-8')[-2000:]}")


def kill_engine(pid: int) -> int:
    """SIGKILL for every llama-server below process `pid`; how many there were. Linux."""
    engines = [child for child in _descendants(pid) if b"llama-server" in Path(f"/proc/{child}/cmdline").read_bytes()]
    for child in engines:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    return len(engines)


def _descendants(pid: int) -> Iterator[int]:
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in map(int, (task / "children").read_text().split()):
                yield child
                yield from _descendants(child)
