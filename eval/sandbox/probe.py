"""Whether a sandbox holds on this machine: a real run of code that tries to get out."""

import functools
import os
import socket
import tempfile
from pathlib import Path

from eval.sandbox.checks import HiddenTest, judge
from eval.sandbox.launch import Unusable
from eval.sandbox.process import LaunchIn, ask

SECONDS = 10.0
CODE = """
import os, socket

def add(a, b):
    return a + b

def stays_in(act, *given):
    try:
        globals()[act](*given)
    except OSError:
        return True
    return False

def read(path):
    open(path).read()

def write(path):
    open(path, "w").close()

def connect(port):
    socket.create_connection(("127.0.0.1", port), 1)

def fork():
    os.fork() or os._exit(0)

def signal(process):
    os.kill(process, 0)
"""


@functools.cache
def why_unsafe(launch_in: LaunchIn) -> str | None:
    """Why this sandbox is not to be used here, or None where it stops all that is tried. Tried once a process."""
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as server:
        secret = Path(folder) / "secret"
        secret.write_text("nobody's business", encoding="utf-8")
        attempts = {
            "it lets code read other files": f"stays_in('read', {str(secret)!r})",
            "it lets code write other files": f"stays_in('write', {str(secret) + '2'!r})",
            "it lets code use the network": f"stays_in('connect', {server.getsockname()[1]})",
            "it lets code start processes": "stays_in('fork')",
            "it lets code send signals to other processes": f"stays_in('signal', {os.getpid()})",
        }
        tests = [HiddenTest("add(2, 3)", 5), *(HiddenTest(call, True) for call in attempts.values())]
        try:
            replies = ask(launch_in, CODE, [test.call for test in tests], SECONDS)
        except Unusable as problem:
            return str(problem)
    honest, *others = (judge(test, reply) for test, reply in zip(tests, replies, strict=True))
    if not honest.passed:
        return honest.says
    return next((why for why, result in zip(attempts, others, strict=True) if not result.passed), None)
