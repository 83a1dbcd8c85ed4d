"""Spreads the reading and cutting over processes; the order of the results is that of the input.

Only a few items per worker are under way at a time, so that memory does not grow with the input.
"""

from __future__ import annotations

import multiprocessing
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from typing import Any, Literal, TypeAlias

from data.config import DataConfig
from data.stage import Ledger, Outcome
from data.stages import Worker

Task = Literal["extract", "transform", "work"]
Result: TypeAlias = tuple[list[Outcome], Ledger]

_AHEAD = 4  # items per worker under way: enough that none waits, few enough that results stay small

_worker: Worker | None = None


def spread(
    task: Task, items: Iterable[Any], workers: int, config: DataConfig, people: frozenset[str] = frozenset()
) -> Iterator[Result]:
    """The result of a worker's task for each item, in order. `config` and `people` make the workers."""
    if workers <= 1:
        return map(getattr(Worker(config, people), task), items)
    return _in_pool(task, items, workers, (config, people))


def _in_pool(task: Task, items: Iterable[Any], workers: int, setting: tuple[Any, ...]) -> Iterator[Result]:
    # forkserver keeps workers free of the parent's threads; where it is missing, spawn does the same more slowly.
    context = multiprocessing.get_context("spawn" if sys.platform == "win32" else "forkserver")
    with ProcessPoolExecutor(workers, context, initializer=_start, initargs=setting) as pool:
        pending: deque[Future[Result]] = deque()
        for item in items:
            pending.append(pool.submit(_do, task, item))
            if len(pending) >= _AHEAD * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def _start(config: DataConfig, people: frozenset[str]) -> None:
    global _worker
    _worker = Worker(config, people)


def _do(task: Task, item: Any) -> Result:
    assert _worker is not None
    result: Result = getattr(_worker, task)(item)
    return result
