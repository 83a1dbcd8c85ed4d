"""Spreads work over processes or a Ray cluster; the order of the results is that of the input.

Only a few items per worker are under way at a time, so that memory does not grow with the input. With one worker
the work is done in this process.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any, Literal, Protocol, TypeAlias

from data.stages import Setting, Worker

EngineName = Literal["local", "ray"]
Task = Literal["look", "extract", "transform", "work"]
Waiting: TypeAlias = Callable[[], Any]

_AHEAD = 4  # items per worker under way: enough that none waits, few enough that results stay small

_worker: Worker | None = None


class EngineError(Exception):
    """An engine that cannot run here, in one sentence with the fix."""


class Engine(Protocol):
    """Runs tasks of a `Worker` somewhere. `ahead` is how many may be under way."""

    ahead: int

    def submit(self, task: Task, item: Any) -> Waiting: ...


@contextmanager
def open_engine(name: EngineName, workers: int, setting: Setting) -> Iterator[Engine]:
    """The engine for a number of workers. Raises EngineError where Ray is asked for and not installed."""
    if name == "ray":
        with _ray(workers, setting) as engine:
            yield engine
    elif workers <= 1:
        yield _Here(setting)
    else:
        with _pool(workers, setting) as pool:
            yield _Processes(pool, _AHEAD * workers)


def in_order(engine: Engine, task: Task, items: Iterable[Any]) -> Iterator[Any]:
    """The result of a task for each item, in the order of the items."""
    return results(engine, (engine.submit(task, item) for item in items))


def results(engine: Engine, waiting: Iterable[Waiting]) -> Iterator[Any]:
    """The results of submitted items, in order; new items are taken only as old ones are done."""
    pending: deque[Waiting] = deque()
    for item in waiting:
        pending.append(item)
        if len(pending) >= engine.ahead:
            yield pending.popleft()()
    while pending:
        yield pending.popleft()()


class _Here:
    """This process, one item after the other."""

    ahead = 1

    def __init__(self, setting: Setting) -> None:
        self._worker = Worker(setting)

    def submit(self, task: Task, item: Any) -> Waiting:
        return partial(getattr(self._worker, task), item)


class _Processes:
    def __init__(self, pool: ProcessPoolExecutor, ahead: int) -> None:
        self._pool = pool
        self.ahead = ahead

    def submit(self, task: Task, item: Any) -> Waiting:
        return self._pool.submit(_do, task, item).result


@contextmanager
def _pool(workers: int, setting: Setting) -> Iterator[ProcessPoolExecutor]:
    # forkserver keeps workers free of the parent's threads; where it is missing, spawn does the same more slowly.
    context = multiprocessing.get_context("spawn" if sys.platform == "win32" else "forkserver")
    context.set_forkserver_preload(["data.stages"])
    with ProcessPoolExecutor(workers, context, initializer=_start, initargs=(setting,)) as pool:
        try:
            yield pool
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _start(setting: Setting) -> None:
    global _worker
    # Ctrl-C reaches every process, perhaps while a library starts. Only the first process has something to say.
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    _worker = Worker(setting)


def _do(task: Task, item: Any) -> Any:
    assert _worker is not None
    return getattr(_worker, task)(item)


@contextmanager
def _ray(workers: int, setting: Setting) -> Iterator[Engine]:
    """The cluster that RAY_ADDRESS names, else one on this machine; every node must see the transcripts."""
    try:
        import ray
    except ImportError:
        raise EngineError("--engine ray needs Ray. Install it: pip install 'lora-forge[ray]'.") from None
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    local: dict[str, Any] = {} if "RAY_ADDRESS" in os.environ else {"num_cpus": workers, "include_dashboard": False}
    ray.init(configure_logging=False, log_to_driver=False, **local)
    try:
        actor = ray.remote(num_cpus=1)(Worker)
        yield _Actors([actor.remote(setting) for _ in range(workers)], ray.get)
    finally:
        ray.shutdown()


class _Actors:
    """Workers on a Ray cluster, each item to the next one in turn."""

    def __init__(self, actors: list[Any], get: Callable[[Any], Any]) -> None:
        self._actors = deque(actors)
        self._get = get
        self.ahead = _AHEAD * len(actors)

    def submit(self, task: Task, item: Any) -> Waiting:
        self._actors.rotate(-1)
        return partial(self._get, getattr(self._actors[0], task).remote(item))
