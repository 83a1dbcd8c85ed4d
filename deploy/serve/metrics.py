"""Counts what the gateway does: for Prometheus at /metrics, and for the status page.

Labels stay few: a role and a version are counted by name only once they have answered, and everything beyond a limit
is `other`. Nothing that a client wrote is ever a label.
"""

from __future__ import annotations

import math
import re
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from deploy.serve.types import Change, Ending, Exchange

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

OTHER = "other"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_MOST_VERSIONS = 500  # pairs of role and version with labels of their own
_KEPT = 20_000  # requests that the page's numbers are made of at most
_TAIL = 4096  # bytes at the end of an answer in which a server writes its counts
_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
# Quotes inside a model's own text are escaped in JSON, so only the server's counts match.
_PROMPT = re.compile(rb'(?<!\\)"prompt_tokens":\s*(\d{1,9})')
_COMPLETION = re.compile(rb'(?<!\\)"completion_tokens":\s*(\d{1,9})')
# Of a stream without usage: llama-server's timings tell what it read, what it had kept, and what it wrote.
_READ = re.compile(rb'(?<!\\)"(prompt_n|cache_n)":\s*(\d{1,9})')
_WROTE = re.compile(rb'(?<!\\)"predicted_n":\s*(\d{1,9})')


@dataclass(frozen=True)
class Seen:
    """One finished request: `at` by the monotonic clock, `version` 0 where none answered."""

    at: float
    role: str
    version: int
    seconds: float
    failed: bool
    interrupted: bool
    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True)
class Numbers:
    """What some requests come to. Seconds are those until the last byte, of requests that were answered."""

    requests: int = 0
    failed: int = 0
    interrupted: int = 0
    p50: float | None = None
    p95: float | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True)
class Snapshot:
    """The last `minutes`: all requests together, and by (role, version). Captures and refusals are since the start."""

    minutes: float
    whole: Numbers
    versions: dict[tuple[str, int], Numbers] = field(default_factory=dict)
    captures: dict[str, int] = field(default_factory=dict)
    refused: dict[int, int] = field(default_factory=dict)
    in_flight: int = 0
    restarts: int = 0
    up_seconds: float = 0.0


class Metrics:
    """The numbers of one gateway, in a Prometheus registry of its own."""

    def __init__(self, restarts: Callable[[], int] = lambda: 0, clock: Callable[[], float] = time.monotonic) -> None:
        """`restarts` tells how often the engine died and is up again."""
        from prometheus_client import CollectorRegistry

        self._clock = clock
        self._started = clock()
        self._seen: deque[Seen] = deque(maxlen=_KEPT)
        self._versions: set[tuple[str, str]] = set()
        self._captures: dict[str, int] = {}
        self._refused: dict[int, int] = {}
        self._in_flight = 0
        self._restarts = restarts
        self.registry = CollectorRegistry()
        self._define(self.registry)

    def _define(self, registry: CollectorRegistry) -> None:
        from prometheus_client import Counter, Gauge, Histogram

        labels = ("role", "version")
        self._requests = Counter("forge_requests", "Requests by status.", (*labels, "status"), registry=registry)
        self._seconds = Histogram(
            "forge_request_seconds", "Until the last byte.", labels, buckets=_BUCKETS, registry=registry
        )
        self._first_byte = Histogram(
            "forge_first_byte_seconds", "Until the first byte.", labels, buckets=_BUCKETS, registry=registry
        )
        self._tokens = Counter("forge_tokens", "Tokens by the engine's count.", (*labels, "kind"), registry=registry)
        self._captured = Counter("forge_captures", "Pairs by what became of them.", ("fate",), registry=registry)
        self._swaps = Counter("forge_swaps", "Changes of a live version.", ("role", "kind"), registry=registry)
        self._swap_seconds = Histogram(
            "forge_swap_seconds", "Until new requests went to the version.", ("kind",), buckets=_BUCKETS,
            registry=registry,
        )  # fmt: skip
        Gauge("forge_engine_restarts", "Starts of the engine after it died.", registry=registry).set_function(
            self._restarts
        )
        Gauge("forge_in_flight", "Requests being answered.", registry=registry).set_function(lambda: self._in_flight)

    @contextmanager
    def in_flight(self) -> Iterator[None]:
        """Counts a request while it is being answered."""
        self._in_flight += 1
        try:
            yield
        finally:
            self._in_flight -= 1

    def note(self, exchange: Exchange) -> None:
        """A request that a version answered, or tried to."""
        role, version = self._labels(exchange.role, f"v{exchange.version}")
        self._requests.labels(role, version, str(exchange.status)).inc()
        self._seconds.labels(role, version).observe(exchange.seconds)
        if exchange.first_byte_seconds is not None:
            self._first_byte.labels(role, version).observe(exchange.first_byte_seconds)
        prompt, completion = tokens_in(exchange.answer)
        self._tokens.labels(role, version, "prompt").inc(prompt)
        self._tokens.labels(role, version, "completion").inc(completion)
        failed = exchange.status >= 500 or exchange.ending is Ending.FAILED
        cut = exchange.ending is Ending.INTERRUPTED and not failed
        self._seen.append(
            Seen(self._clock(), exchange.role, exchange.version, exchange.seconds, failed, cut, prompt, completion)
        )

    def refused(self, status: int) -> None:
        """A request that no version saw: no key, no such model, too many, nothing live."""
        self._requests.labels(OTHER, OTHER, str(status)).inc()
        self._refused[status] = self._refused.get(status, 0) + 1

    def captured(self, fate: str, number: int = 1) -> None:
        self._captured.labels(fate).inc(number)
        self._captures[fate] = self._captures.get(fate, 0) + number

    def changed(self, change: Change) -> None:
        """A version went live."""
        role, _ = self._labels(change.role, f"v{change.version}")
        self._swaps.labels(role, change.kind).inc()
        self._swap_seconds.labels(change.kind).observe(change.seconds)

    def text(self) -> bytes:
        """The page for Prometheus; its type is `CONTENT_TYPE`."""
        from prometheus_client import generate_latest

        return generate_latest(self.registry)

    def snapshot(self, minutes: float = 15.0) -> Snapshot:
        """The numbers of the last minutes."""
        since = self._clock() - 60 * minutes
        seen = [one for one in self._seen if one.at >= since]
        groups: dict[tuple[str, int], list[Seen]] = {}
        for one in seen:
            groups.setdefault((one.role, one.version), []).append(one)
        return Snapshot(
            minutes,
            numbers_of(seen),
            {key: numbers_of(group) for key, group in sorted(groups.items())},
            dict(self._captures),
            dict(sorted(self._refused.items())),
            self._in_flight,
            self._restarts(),
            self._clock() - self._started,
        )

    def _labels(self, role: str, version: str) -> tuple[str, str]:
        if (role, version) not in self._versions:
            if len(self._versions) >= _MOST_VERSIONS:
                return OTHER, OTHER
            self._versions.add((role, version))
        return role, version


def numbers_of(seen: list[Seen]) -> Numbers:
    """What some requests come to. A percentile is that of the nearest rank."""
    times = sorted(one.seconds for one in seen if not (one.failed or one.interrupted))
    return Numbers(
        requests=len(seen),
        failed=sum(one.failed for one in seen),
        interrupted=sum(one.interrupted for one in seen),
        p50=percentile(times, 0.5),
        p95=percentile(times, 0.95),
        prompt_tokens=sum(one.prompt_tokens for one in seen),
        completion_tokens=sum(one.completion_tokens for one in seen),
    )


def percentile(ordered: list[float], share: float) -> float | None:
    """The smallest value that at least this share (0..1] of the values does not exceed; None of nothing."""
    if not ordered:
        return None
    return ordered[math.ceil(share * len(ordered)) - 1]


def tokens_in(answer: bytes) -> tuple[int, int]:
    """Tokens of the prompt and of the answer, as the engine counted them; 0 where it does not say."""
    tail = answer[-_TAIL:]
    prompt, completion = _last(_PROMPT, tail), _last(_COMPLETION, tail)
    if prompt or completion:
        return prompt, completion
    read = {name: int(count) for name, count in _READ.findall(tail)}
    return sum(read.values()), _last(_WROTE, tail)


def _last(pattern: re.Pattern[bytes], text: bytes) -> int:
    found = pattern.findall(text)
    return int(found[-1]) if found else 0
