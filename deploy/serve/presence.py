"""How long a request may take, and whether anybody still waits for it: whatever ends it early ends it here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from deploy.serve.config import TimeoutsConfig
from deploy.serve.errors import Receive


class Gone(Exception):
    """The client has hung up."""


class Presence:
    """The time limits of one request as they move on; made by `present`.

    A moved limit is only a number. One timer looks at it when it would be over, as one per part would cost more than
    the part.
    """

    def __init__(self, timeouts: TimeoutsConfig, timer: asyncio.Timeout) -> None:
        self._timeouts, self._timer, self._loop = timeouts, timer, asyncio.get_running_loop()
        self._end = self._due = self._loop.time() + timeouts.total
        self._look = self._loop.call_at(self._due, self._over)
        self.gone = False

    def asked(self, streamed: bool) -> None:
        """From now on the engine has `first_byte` seconds; all that there are for an answer that comes in one piece."""
        if streamed:
            self._limit(self._timeouts.first_byte)

    def moved(self) -> None:
        """A part of the answer came, or went to the client: the next one has `idle` seconds."""
        self._due = min(self._end, self._loop.time() + self._timeouts.idle)

    def began(self) -> None:
        """The first part of the answer came."""
        self._limit(self._timeouts.idle)

    def leave(self) -> None:
        """The request is over."""
        self._look.cancel()

    def _limit(self, seconds: float) -> None:
        self._due = min(self._end, self._loop.time() + seconds)
        self._look.cancel()
        self._look = self._loop.call_at(self._due, self._over)

    def _over(self) -> None:
        if self._loop.time() < self._due:
            self._look = self._loop.call_at(self._due, self._over)
        else:
            self._timer.reschedule(self._loop.time())

    async def watch(self, receive: Receive) -> None:
        """Ends the request when the client hangs up."""
        while (await receive())["type"] != "http.disconnect":
            pass
        self.gone = True
        self._timer.reschedule(self._loop.time())


@asynccontextmanager
async def present(receive: Receive, timeouts: TimeoutsConfig) -> AsyncIterator[Presence]:
    """What stands in the block ends with `Gone` when the client hangs up, with TimeoutError when it takes too long."""
    presence: Presence | None = None
    try:
        async with asyncio.timeout(None) as timer:
            presence = Presence(timeouts, timer)
            watching = asyncio.create_task(presence.watch(receive))
            try:
                yield presence
            finally:
                watching.cancel()
                presence.leave()
    except TimeoutError:
        if presence is not None and presence.gone:
            raise Gone from None
        raise
