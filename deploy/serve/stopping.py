"""Ends tasks that run in the background."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Final

# How long a task may take to clean up before it is told again.
AGAIN: Final = 2.0  # seconds


async def ended(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancels until all are done: one cancellation can get lost in a library that has a time limit of its own."""
    waiting = {task for task in tasks if not task.done()}
    while waiting:
        for task in waiting:
            task.cancel()
        _, waiting = await asyncio.wait(waiting, timeout=AGAIN)
