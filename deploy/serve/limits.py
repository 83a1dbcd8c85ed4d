"""How much one key may ask, and how much the engine is given at once.

A refusal says when another try makes sense: 429 for what a key did too often, 503 for a gateway that is full.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from deploy.serve.access import Caller
from deploy.serve.config import LimitsConfig
from deploy.serve.errors import ApiError
from deploy.serve.key_line import Rate


class Bucket:
    """A bucket of tokens that fills at `rate`: `rate.count` requests at once if they were saved up."""

    def __init__(self, rate: Rate, now: float) -> None:
        self.rate, self._tokens, self._at = rate, float(rate.count), now

    def take(self, now: float) -> float:
        """0.0 where there was a token, else the seconds until there is one."""
        per_second = self.rate.count / self.rate.seconds
        self._tokens = min(self.rate.count, self._tokens + (now - self._at) * per_second)
        self._at = now
        if self._tokens >= 1:
            self._tokens -= 1
            return 0.0
        return (1 - self._tokens) / per_second


class Limits:
    """Counts what is under way."""

    def __init__(self, config: LimitsConfig, queue_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._config, self._queue_seconds, self._clock = config, queue_seconds, clock
        self._rate = Rate.parse(config.rate)
        self._buckets: dict[str, Bucket] = {}
        self._streams: Counter[str] = Counter()
        self._slots = asyncio.Semaphore(config.at_once)
        self.waiting = 0
        self.under_way = 0

    @contextmanager
    def admit(self, caller: Caller) -> Iterator[None]:
        """One request of a key; raises `ApiError` 429 where it has asked too often or has too many answers open."""
        self._charge(caller)
        if self._streams[caller.name] >= (caller.streams or self._config.streams):
            most = caller.streams or self._config.streams
            raise ApiError(429, f"This key has {most} answers open, which is its limit.", "too_many_streams", retry=1)
        self._streams[caller.name] += 1
        try:
            yield
        finally:
            self._streams[caller.name] -= 1
            if not self._streams[caller.name]:
                del self._streams[caller.name]

    def _charge(self, caller: Caller) -> None:
        rate, now = caller.rate or self._rate, self._clock()
        bucket = self._buckets.get(caller.name)
        if bucket is None or bucket.rate != rate:
            bucket = self._buckets[caller.name] = Bucket(rate, now)
        if seconds := bucket.take(now):
            raise ApiError(429, f"This key may ask {rate}. Try again later.", "rate_limit_exceeded", retry=seconds)

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """One of the places at the engine, after waiting for it; raises `ApiError` 503 where too many wait already."""
        await self._enter()
        self.under_way += 1
        try:
            yield
        finally:
            self.under_way -= 1
            self._slots.release()

    async def _enter(self) -> None:
        full = ApiError(503, "The gateway is full. Try again later.", "overloaded", retry=2)
        if self._slots.locked() and self.waiting >= self._config.waiting:
            raise full
        self.waiting += 1
        try:
            async with asyncio.timeout(self._queue_seconds):
                await self._slots.acquire()
        except TimeoutError:
            raise full from None
        finally:
            self.waiting -= 1
