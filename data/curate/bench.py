"""How fast the page is with many examples: `python -m data.curate.bench` reads invented ones and asks for every page.

The yardstick is a page that shows nothing of an example (an address that names none). A person waits for what a page
takes in all, so each time is the slowest of some.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle, pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import msgspec

from data.record import Assistant, Conversation, Message, Origin, System, Tool, ToolCall, User

if TYPE_CHECKING:
    from starlette.testclient import TestClient

    from data.curate.store import Store

ROLES = ("mayor", "crew", "witness", "refinery", "polecat")
ALIKE = 20  # every so many examples one repeats another but for a few words
ORIGIN = {"origin": "http://127.0.0.1"}


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m data.curate.bench", description=__doc__)
    parser.add_argument("--examples", type=int, default=10_000, help="how many are invented (default 10,000)")
    parser.add_argument("--rounds", type=int, default=12, help="how often each page is asked for (default 12)")
    options = parser.parse_args(argv)
    from data.curate.loading import load
    from data.curate.store import Store

    with TemporaryDirectory() as folder:
        rows = write_rows(Path(folder, "rows"), invent(options.examples))
        with Store(Path(folder, "curation.db")) as store:
            start, work = time.perf_counter(), time.process_time()
            load(store, rows)
            took, worked = time.perf_counter() - start, time.process_time() - work
            size = sum(path.stat().st_size for path in Path(folder).glob("curation.db*"))
            print(f"{options.examples:,} examples read in {took:.1f} s ({worked:.1f} s of CPU); {size / 1e6:.0f} MB")
            for name, slowest, ratio in measure(store, options.rounds):
                print(f"{name:<28} {1000 * slowest:7.1f} ms  {ratio:5.1f} x an empty page")
    return 0


def measure(store: Store, rounds: int) -> Iterator[tuple[str, float, float]]:
    """The slowest time of each page in seconds, and in multiples of an empty page."""
    from starlette.testclient import TestClient

    from data.curate.app import make_app

    client = TestClient(make_app(store, "bench"), base_url="http://127.0.0.1", follow_redirects=False)
    keys = [row["key"] for row in store.database.execute("SELECT key FROM examples ORDER BY random()")]
    at = iter(keys * (1 + 10 * rounds // len(keys)))
    # Another search each time: the last one is remembered.
    asked = cycle(("lamp+wind", "example+number+77", "stone", "zanzibar", "river+copper"))
    empty = _slowest(lambda: client.get("/example/nobody"), rounds)
    pages: dict[str, Callable[[], object]] = {
        "list": lambda: client.get("/list?page=100"),
        "list, filtered": lambda: client.get("/list?role=crew&decision=undecided&length=medium"),
        "search": lambda: client.get(f"/list?search={next(asked)}"),
        "first undecided": lambda: client.get(client.get("/").headers["location"]),
        "example": lambda: client.get(f"/example/{next(at)}"),
        "example in a search": lambda: client.get(f"/example/{next(at)}?search={next(asked)}"),
        "near-duplicates beside": lambda: client.get(f"/example/{next(at)}/beside/{next(at)}"),
        "decision and next example": lambda: _decide(client, next(at)),
    }
    for name, page in pages.items():
        slowest = _slowest(page, rounds)
        yield name, slowest, slowest / empty


def _decide(client: TestClient, key: str) -> None:
    client.get(client.post(f"/example/{key}/approve", data={}, headers=ORIGIN).headers["location"])


def _slowest(page: Callable[[], object], rounds: int) -> float:
    page()
    times = [time.perf_counter()]
    for _ in range(rounds):
        page()
        times.append(time.perf_counter())
    return max(after - before for before, after in pairwise(times))


def invent(count: int) -> Iterator[Conversation]:
    """Windows of about 900 tokens in eight messages, as sessions of agents have them."""
    chance = random.Random(1)
    words = [
        f"{start}{end}" for start in ("lamp", "stone", "wind", "copper", "river") for end in ("", "s", "er", "ing", "y")
    ]
    body: list[str] = []
    for number in range(count):
        if number % ALIKE or not body:
            body = [" ".join(chance.choices(words, k=chance.randint(40, 160))) for _ in range(8)]
        yield _window(number, [f"Example number {number}. {body[0]}", *body[1:]])


def _window(number: int, said: Sequence[str]) -> Conversation:
    messages: list[Message] = [System("You are an invented agent."), User(said[0])]
    for step in range(1, 7, 2):
        call = ToolCall(f"c{step}", "Bash", msgspec.json.encode({"command": said[step]}).decode())
        messages += [Assistant(said[step], id=f"{number}.{step}", calls=(call,)), Tool(call.id, "Bash", said[step + 1])]
    messages.append(Assistant(said[7], id=f"{number}.7", tokens=200))
    session = f"session-{number // 8}"
    origin = Origin("sessions", session, file=f"{session}.jsonl")
    return Conversation(f"{session}:0.0#{number % 8}", origin, tuple(messages), ROLES[number % 5], tokens=900)


def write_rows(folder: Path, windows: Iterator[Conversation]) -> Path:
    """The rows as a finished dataset, as far as curation reads it."""
    from data.trace import trace_of
    from data.transform.chat_formatter import to_row
    from data.validate.rows import COMBINED, Manifest, file_name

    folder.mkdir()
    with (folder / file_name(COMBINED, "train")).open("wb") as rows, (folder / "origins.jsonl").open("wb") as origins:
        for window in windows:
            rows.write(msgspec.json.encode(to_row(window)) + b"\n")
            origins.write(msgspec.json.encode(trace_of(window)) + b"\n")
    mark = hashlib.sha256(str(folder).encode()).hexdigest()
    (folder / "manifest.json").write_bytes(msgspec.json.encode(Manifest(config_sha256=mark)))
    return folder


if __name__ == "__main__":
    sys.exit(main())
