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
    """The time limits of one request as they move on; made by `present`."""

    def __init__(self, timeouts: TimeoutsConfig, timer: asyncio.Timeout) -> None:
        self._timeouts, self._timer = timeouts, timer
        self._now = asyncio.get_running_loop().time
        self._end = self._now() + timeouts.total
        self.gone = False

    def asked(self, streamed: bool) -> None:
        """From now on the engine has `first_byte` seconds; all that there are for an answer that comes in one piece."""
        self._timer.reschedule(min(self._end, self._now() + self._timeouts.first_byte) if streamed else self._end)

    def moved(self) -> None:
        """A part of the answer came, or went to the client: the next one has `idle` seconds."""
        self._timer.reschedule(min(self._end, self._now() + self._timeouts.idle))

    async def watch(self, receive: Receive) -> None:
        """Ends the request when the client hangs up."""
        while (await receive())["type"] != "http.disconnect":
            pass
        self.gone = True
        self._timer.reschedule(self._now())


@asynccontextmanager
async def present(receive: Receive, timeouts: TimeoutsConfig) -> AsyncIterator[Presence]:
    """What stands in the block ends with `Gone` when the client hangs up, with TimeoutError when it takes too long."""
    presence: Presence | None = None
    try:
        async with asyncio.timeout(timeouts.total) as timer:
            presence = Presence(timeouts, timer)
            watching = asyncio.create_task(presence.watch(receive))
            try:
                yield presence
            finally:
                watching.cancel()
    except TimeoutError:
        if presence is not None and presence.gone:
            raise Gone from None
        raise
