"""The first process in a sandbox: for each call that it is sent, a child that loads the answer and makes the call.

It never loads the answer itself. A child ends before the next one starts, and inherits no file of ours. What a child
wrote goes out behind a nonce that is read only after the child is dead.
"""

# pathlib would cost every run some milliseconds; os is loaded anyway.
# ruff: noqa: PTH108

import importlib
import json
import os
import select
import signal
import sys
import time
from collections.abc import Mapping
from typing import Any

from . import kernel, private_root, worker

# How long a look at the child's folder may be away.
GLANCE_SECONDS = 0.02
MANY_ENTRIES = 1000
READY, ANSWERED, TIMED_OUT, TOO_LARGE, FULL, DIED = b"r", b"a", b"t", b"l", b"f", b"d"


def main() -> None:
    """Reads messages (the code and a nonce; then each call and its nonce), and answers each nonce with a message."""
    settings = json.loads(sys.argv[1])
    requests, results = settings["requests"], settings["results"]
    kernel.prctl(kernel.PR_SET_PDEATHSIG, kernel.SIGKILL)
    if settings["root"]:
        private_root.enter(settings["root"], settings["readable"], settings["devices"], settings["max_folder_bytes"])
    os.chdir(settings["folder"])
    kernel.give_up_privileges()
    for name in settings["imports"]:
        importlib.import_module(name)
    code = _receive(requests).decode()
    _send(results, _receive(requests) + READY)
    deadline = time.monotonic() + settings["seconds"]
    while call := _receive(requests).decode():
        # Half of what is left: a call that never ends costs the others no more.
        outcome = _call(code, call, settings, (deadline - time.monotonic()) / 2)
        nonce = _receive(requests)
        _send(results, nonce + outcome)


def _receive(handle: int) -> bytes:
    length = int.from_bytes(os.read(handle, 8), "big")
    return os.read(handle, length)


def _send(handle: int, message: bytes) -> None:
    unwritten = len(message).to_bytes(8, "big") + message
    while unwritten:
        unwritten = unwritten[os.write(handle, unwritten) :]


def _call(code: str, call: str, settings: Mapping[str, Any], seconds: float) -> bytes:
    """What came of one call: how it ended (one byte), and what the child wrote."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        worker.answer_call(code, call, theirs, settings)
    os.close(theirs)
    try:
        status, reply = _listen(ours, settings, time.monotonic() + seconds)
    finally:
        os.close(ours)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        _clear(settings["folder"])
    return status + reply


def _listen(pipe: int, settings: Mapping[str, Any], deadline: float) -> tuple[bytes, bytes]:
    reply = b""
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    while (left := deadline - time.monotonic()) > 0:
        if _is_full(settings):
            return FULL, b""
        if not poll.poll(min(left, GLANCE_SECONDS) * 1000):
            continue
        part = os.read(pipe, 65536)
        if not part:
            return (ANSWERED, reply) if reply else (DIED, b"")
        reply += part
        if len(reply) > settings["max_reply_bytes"]:
            return TOO_LARGE, b""
    return TIMED_OUT, b""


def _is_full(settings: Mapping[str, Any]) -> bool:
    size = 0
    for count, entry in enumerate(os.scandir(settings["folder"])):
        size += _bytes_on_disk(entry)
        if size > settings["max_folder_bytes"] or count > MANY_ENTRIES:
            return True
    return False


def _bytes_on_disk(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat(follow_symlinks=False).st_blocks * 512
    except FileNotFoundError:
        return 0


def _clear(folder: str) -> None:
    """An empty folder for the next call: one call leaves nothing to another."""
    for entry in os.scandir(folder):
        os.unlink(entry.path)
