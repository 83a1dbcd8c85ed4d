"""What the gateway costs beside the engine, and what happens to requests when versions change or the engine dies.

`make bench-serve` needs a llama-server (`make engine`). Engine and gateway answer in turns in the same run, so the
ratio holds on machines of any speed. The models say fixed texts, so that a mixed answer shows.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import yaml
from rich.console import Console
from rich.table import Table

from deploy.serve.engine_process import free_port
from scripts.load import Answer, Load, ask
from scripts.serving import Place, gateway, kill_engine

if TYPE_CHECKING:
    from tests.gguf_town import ServedTown

ROLE: Final = "mayor"
ROUNDS: Final = 4
REQUESTS: Final = 500
# About 6 M parameters; 64 words an answer.
LAYERS, WORDS = 16, 64
ENGINE: Final = {"kind": "llama-server", "slots": 8, "context": 512, "threads": 1}
BROKEN: Final = 3

# What was measured, in words, beside what the design asks for.
Line = tuple[str, str, str]


@dataclass(frozen=True)
class Sides:
    """The same engine twice: asked directly, and behind the gateway."""

    engine: Place
    gateway: Place


def main(argv: Sequence[str] | None = None) -> int:
    """The command line."""
    options = _arguments(argv)
    with tempfile.TemporaryDirectory(prefix="bench-serve-") as folder, Console(stderr=True).status("measuring"):
        lines = asyncio.run(measure(Path(folder), options.seconds))
    table = Table("measured", "", "target")
    for line in lines:
        table.add_row(*line)
    Console().print(table)
    if options.json:
        options.json.write_text(json.dumps(lines, indent=1) + "\n", "utf-8")
    return 0


async def measure(folder: Path, seconds: float) -> list[Line]:
    """All measurements, one after the other on one pair of servers; `seconds` is the length of a round of load."""
    from tests.gguf_town import served_town, write_cut_off

    alone, town = (served_town(folder / name, words=WORDS, layers=LAYERS) for name in ("alone", "town"))
    town.add(ROLE, write_cut_off)
    port = free_port()
    async with engine_alone(alone) as engine, gateway(_config(town, port), port, ROLE, folder / "log") as front:
        lines = [*await overhead(Sides(engine, front)), *await throughput(Sides(engine, front), seconds)]
        return [*lines, *await changes(front, town), *await death(front, seconds)]


@asynccontextmanager
async def engine_alone(town: "ServedTown") -> AsyncIterator[Place]:
    """The engine as the gateway starts it, with its own address and key."""
    import msgspec

    from deploy.serve.engine_config import LlamaServer
    from deploy.serve.fleet import open_fleet

    fleet = open_fleet(msgspec.convert(ENGINE, LlamaServer), town.root, "bench")
    await fleet.start()
    try:
        while not fleet.ready():
            await asyncio.sleep(0.1)
        with fleet.lease(ROLE) as lease:
            yield Place(lease.url, lease.model, 0, lease.headers)
    finally:
        await fleet.stop()


def _config(town: "ServedTown", port: int) -> Path:
    file = town.root / "serve.yml"
    file.write_text(yaml.safe_dump({"port": port, "root": str(town.root), "engine": ENGINE}), "utf-8")
    return file


async def overhead(sides: Sides, times: int = 100) -> list[Line]:
    """One person, one token: the median of the differences, each gateway request after one of the engine alone."""
    whole, first = [], []
    for _ in range(times):
        alone = await ask(sides.engine.url, sides.engine.model, sides.engine.headers, "go", 1)
        behind = await ask(sides.gateway.url, ROLE, sides.gateway.headers, "go", 1)
        whole.append(1000 * (behind.seconds - alone.seconds))
        first.append(1000 * (behind.first_byte - alone.first_byte))
    return [
        ("overhead of a request, median", f"{statistics.median(whole):.1f} ms", "at most 5 ms"),
        ("overhead to the first byte, median", f"{statistics.median(first):.1f} ms", "at most 5 ms"),
    ]


async def throughput(sides: Sides, seconds: float) -> list[Line]:
    """Tokens a second with twenty streams, engine and gateway in turns."""
    rates: dict[str, list[float]] = {"engine": [], "gateway": []}
    for turn in range(ROUNDS):
        for name in ("engine", "gateway") if turn % 2 else ("gateway", "engine"):
            place = getattr(sides, name)
            load = Load(place.url, place.model, place.headers)
            await load.run(seconds)
            rates[name].append(load.tokens_per_second)
    alone, behind = (statistics.median(rates[name]) for name in ("engine", "gateway"))
    return [
        ("engine alone", f"{alone:,.0f} tokens/s", ""),
        ("behind the gateway", f"{behind:,.0f} tokens/s", ""),
        ("throughput, gateway / engine", f"{100 * behind / alone:.1f} %", "at least 95 %"),
    ]


async def changes(front: Place, town: "ServedTown") -> list[Line]:
    """A swap, a rollback, a refused swap and a rollback under twenty streams."""
    load = Load(front.url, ROLE, front.headers)
    running = asyncio.create_task(load.until_stopped())
    swaps, rollbacks, refused = [], [], 0
    while len(load.answers) < REQUESTS:
        await asyncio.sleep(1.0)
        said = await front.admin("reload-model", {"role": ROLE, "version": 2})
        swaps += [said.seconds] if said.status == 200 else []
        await asyncio.sleep(1.0)
        said = await front.admin("rollback", {"role": ROLE})
        rollbacks += [said.seconds] if said.status == 200 else []
        await asyncio.sleep(0.5)
        refused += (await front.admin("reload-model", {"role": ROLE, "version": BROKEN})).status == 409
    load.stop()
    await running
    failed = sum(not answer.good for answer in load.answers)
    mixed = sum(answer.good and not _one_version(answer, town) for answer in load.answers)
    return [
        ("requests during the changes", f"{len(load.answers):,} of 20 streams", f"at least {REQUESTS}"),
        ("swaps, rollbacks, refused swaps", f"{len(swaps)}, {len(rollbacks)}, {refused}", ""),
        ("failed", str(failed), "0"),
        ("mixed", str(mixed), "0"),
        ("swap, longest", f"{max(swaps):.2f} s", "under 2 s"),
        ("rollback, longest", f"{max(rollbacks):.3f} s", "under 0.2 s"),
    ]


async def death(front: Place, seconds: float) -> list[Line]:
    """SIGKILL for everything that the gateway started, under twenty streams."""
    load = Load(front.url, ROLE, front.headers)
    running = asyncio.create_task(load.until_stopped())
    await asyncio.sleep(seconds)
    killed = time.perf_counter()
    kill_engine(front.pid)
    await asyncio.sleep(6.0)
    load.stop()
    await running
    bad = [answer for answer in load.answers if not answer.good]
    back = min((a.started + a.seconds for a in load.answers if a.good and a.started > killed), default=float("inf"))
    return [
        ("engine killed: requests in flight that failed", str(sum(a.started < killed for a in bad)), "at most 20"),
        (
            "engine killed: later requests that failed",
            ", ".join(_by_status(bad, killed)) or "0",
            "503 with Retry-After",
        ),
        ("engine killed: a whole answer again after", f"{back - killed:.1f} s", "5 s"),
    ]


def _one_version(answer: Answer, town: "ServedTown") -> bool:
    """Whether the text is, word for word, that of the version which the gateway named."""
    version = int(answer.version.rpartition("v")[2] or 0)
    return version > 0 and answer.text.strip() == town.answer(ROLE, version)


def _by_status(bad: Sequence[Answer], killed: float) -> Iterator[str]:
    later = [answer.status for answer in bad if answer.started >= killed]
    yield from (f"{later.count(status)} x {status or 'broken off'}" for status in sorted(set(later)))


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.bench_serve", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=8.0, help="length of a round of load (default 8)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the lines of the table to a file as well")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
