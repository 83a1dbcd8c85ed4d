"""Progress on stderr, for people: nothing for work that is done in two seconds, and nothing where nobody watches."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

PATIENCE = 2.0  # seconds of work before a bar appears

_Item = TypeVar("_Item")


def watched(items: Iterable[_Item], sizes: Iterable[int], what: str) -> Iterator[_Item]:
    """The items, with a bar that grows by the size of each when the next one is asked for."""
    steps = list(sizes)
    if not sys.stderr.isatty():
        yield from items
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(what), BarColumn(), TextColumn("{task.percentage:>3.0f} %"), TimeRemainingColumn())
    begun = time.monotonic()
    with Progress(*columns, console=Console(stderr=True), transient=True, auto_refresh=False) as progress:
        task = progress.add_task(what, total=sum(steps) or 1, visible=False)
        for item, step in zip(items, steps, strict=True):
            yield item
            progress.update(task, advance=step, visible=time.monotonic() - begun > PATIENCE, refresh=True)
