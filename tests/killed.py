"""Ends work with SIGKILL at a chosen moment, to see what it leaves behind."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from types import FrameType

# What others can see: names of files and folders, and the database. A moment is just before one of them.
SEEN = {"mkdir", "rmdir", "unlink", "rename", "replace", "link", "sendfile", "execute", "executemany"}


def killed_at(moment: int, work: Callable[[], object]) -> bool:
    """Does the work in a process of its own that dies at this moment (from 1); False where it was done before.

    An error of the work fails the test.
    """
    child = os.fork()
    if child == 0:
        _do(moment, work)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "the work itself failed"
    return os.WIFSIGNALED(status)


def _do(moment: int, work: Callable[[], object]) -> None:
    left = moment

    def count(_frame: FrameType, event: str, called: object) -> None:
        nonlocal left
        if event == "c_call" and getattr(called, "__name__", "") in SEEN:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    code = 1
    try:
        sys.setprofile(count)
        work()
        code = 0
    finally:
        sys.setprofile(None)
        os._exit(code)
