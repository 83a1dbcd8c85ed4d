"""Asks both sides every question before anybody votes, one at a time and both at once, and stores each answer.

What is stored is not asked again, so an endpoint that fails costs nothing but the next start. `BadInput` says which
side failed and how many answers are kept.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from eval.errors import BadInput, sha256
from eval.people.ask import ask
from eval.people.endpoint import Answer, Endpoint, Failed, Messages, Side, upper
from eval.people.questions import Question
from eval.people.stored import Head, Stored

TRIES = 3
PAUSE_SECONDS = 1.0  # before the second try; twice as long before the third

Tell = Callable[[Side, int], None]


def ask_all(
    questions: Sequence[Question],
    endpoints: Sequence[Endpoint],
    folder: Path,
    options: Mapping[str, Any],
    timeout: float,
    again: bool = False,
    tell: Tell = lambda side, done: None,
    note: Callable[[str], None] = lambda sentence: None,
) -> list[Path]:
    """The files with the answers of the endpoints, in their order.

    `tell` hears how many a side has, `note` that a side is not asked, since all its answers are stored.
    """
    _make(folder)
    asked = sha256(*(f"{one.id}\n{one.asked}".encode() for one in questions), repr(sorted(options.items())).encode())
    problems: list[str] = []
    stop = threading.Event()
    threads, paths = [], []
    for endpoint in endpoints:
        name = f"{endpoint.url}#{endpoint.model}"
        path = folder / f"{asked[:12]}-{endpoint.side}-{sha256(name.encode())[:8]}.jsonl"
        if again:
            path.unlink(missing_ok=True)
        stored = Stored(path, Head(name, asked))
        if len(stored.found) >= len(questions):
            note(f"{upper(endpoint.name)} has answered all of it before, which is used; --again asks anew.")
        one = _Asking(endpoint, questions, stored, options, timeout, stop, problems, tell)
        threads.append(threading.Thread(target=one.run, daemon=True))
        paths.append(path)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if problems:
        raise BadInput(" ".join(problems) + " What was answered is kept; run the same command again.")
    return paths


def _make(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as problem:
        raise BadInput(f"{folder} cannot be made ({problem.strerror}); give another --answers.") from None


class _Asking:
    """One side's way through the questions."""

    def __init__(
        self,
        endpoint: Endpoint,
        questions: Sequence[Question],
        stored: Stored,
        options: Mapping[str, Any],
        timeout: float,
        stop: threading.Event,
        problems: list[str],
        tell: Tell,
    ) -> None:
        self._endpoint, self._questions, self._stored = endpoint, questions, stored
        self._options, self._timeout = options, timeout
        self._stop, self._problems, self._tell = stop, problems, tell

    def run(self) -> None:
        try:
            for question in self._questions:
                if self._stop.is_set():
                    return
                if question.id not in self._stored.found:
                    self._stored.add(question.put(self._ask))
                self._tell(self._endpoint.side, len(self._stored.found))
        except (Failed, BadInput) as failure:
            self._problems.append(str(failure))
        except Exception as bug:  # said, and not lost with the thread
            self._problems.append(f"{self._endpoint.name}: {type(bug).__name__}: {bug}.")
        finally:
            if self._problems:
                self._stop.set()

    def _ask(self, messages: Messages) -> Answer:
        for attempt in range(TRIES):
            time.sleep(PAUSE_SECONDS * attempt)
            try:
                return ask(self._endpoint, messages, self._options, self._timeout)
            except Failed as failure:
                if failure.lasting or attempt == TRIES - 1 or self._stop.is_set():
                    raise
        raise AssertionError("the last try returns or raises")
