"""One run of a driver from outside: what it is sent, what comes back, and that nothing of it stays behind."""

import json
import os
import re
import secrets
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from eval.sandbox import paths
from eval.sandbox.launch import MAX_FOLDER_BYTES, MAX_REPLY_BYTES, Launch, Unusable, limits

# Beyond the seconds of the run: to start Python on a busy machine, and to end.
GRACE_SECONDS = 20.0
NONCE_BYTES = 16
START = "import sys; sys.path.insert(0, {!r}); from inside.driver import main; sys.path.pop(0); main()"
# Loaded once and not once a call, where the code names them.
COMMON = {
    "abc", "array", "asyncio", "base64", "bisect", "calendar", "collections", "contextlib", "copy", "csv",
    "dataclasses", "datetime", "decimal", "difflib", "enum", "fractions", "functools", "graphlib", "hashlib", "heapq",
    "html", "inspect", "io", "itertools", "json", "logging", "math", "operator", "pathlib", "queue", "random", "re",
    "shlex", "statistics", "string", "struct", "tempfile", "textwrap", "threading", "time", "typing", "unicodedata",
    "uuid", "weakref", "zoneinfo",
}  # fmt: skip
LaunchIn = Callable[[Path], Launch]


def ask(launch_in: LaunchIn, code: str, calls: Sequence[str], seconds: float) -> tuple[bytes, ...]:
    """How each call ended (one byte) and what it wrote; `Unusable` where the driver did not get ready."""
    nonces = tuple(secrets.token_bytes(NONCE_BYTES) for _ in range(len(calls) + 1))
    with tempfile.TemporaryDirectory(prefix="code-answer-") as place, tempfile.TemporaryFile() as errors:
        launch = launch_in(Path(place))
        written = _run(launch, _requests(code, calls, nonces), _imports(code), seconds, errors)
        messages = tuple(_messages(written, nonces))
        if not messages:
            errors.seek(0)
            said = errors.read().decode(errors="replace").strip().splitlines()
            raise Unusable(said[-1] if said else "its driver did not start")
    ended = messages[1:]
    return ended + (b"",) * (len(calls) - len(ended))


def _requests(code: str, calls: Sequence[str], nonces: Sequence[bytes]) -> bytes:
    first, *others = nonces
    parts = [code.encode(errors="replace"), first]
    for call, nonce in zip(calls, others, strict=True):
        parts += [call.encode(), nonce]
    return b"".join(len(part).to_bytes(8, "big") + part for part in (*parts, b""))


def _imports(code: str) -> list[str]:
    return sorted(COMMON & set(re.findall(r"\w+", code)))


def _run(launch: Launch, requests: bytes, imports: list[str], seconds: float, errors: IO[bytes]) -> bytes:
    """All that the driver wrote until it ended, or its time was over."""
    with tempfile.TemporaryFile() as sent:
        sent.write(requests)
        sent.flush()
        sent.seek(0)
        ours, theirs = os.pipe()
        with os.fdopen(ours, "rb", buffering=0) as results, os.fdopen(theirs, "wb", buffering=0) as written:
            settings = _settings(launch, sent.fileno(), theirs, imports, seconds)
            process = _start(_command(launch, settings), launch, (sent.fileno(), theirs), errors)
            written.close()
            try:
                return _read(results.fileno(), time.monotonic() + seconds + GRACE_SECONDS)
            finally:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _start(command: list[str], launch: Launch, handles: tuple[int, int], errors: IO[bytes]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors, env=_environment(launch),
            cwd="/", pass_fds=handles, start_new_session=True,
        )  # fmt: skip
    except OSError as problem:
        raise Unusable(f"{command[0]}: {problem.strerror}") from None


def _command(launch: Launch, settings: dict[str, Any]) -> list[str]:
    start = START.format(launch.driver or str(paths.INSIDE.parent))
    return [*launch.prefix, str(paths.interpreter()), "-s", "-S", "-B", "-P", "-c", start, json.dumps(settings)]


def _settings(launch: Launch, requests: int, results: int, imports: list[str], seconds: float) -> dict[str, Any]:
    return {
        "requests": requests,
        "results": results,
        "folder": launch.folder,
        "root": launch.root,
        "landlock": launch.landlock,
        "readable": paths.readable(),
        "devices": paths.devices(),
        "imports": imports,
        "limits": limits(seconds),
        "seconds": seconds,
        "max_folder_bytes": MAX_FOLDER_BYTES,
        "max_reply_bytes": MAX_REPLY_BYTES,
    }


def _environment(launch: Launch) -> dict[str, str]:
    """Nothing of ours but where shared libraries lie. The order of a set is the same in every run."""
    fixed = {"PYTHONHASHSEED": "0", "PYTHONUTF8": "1", "TZ": "UTC", "HOME": launch.folder, "TMPDIR": launch.folder}
    return fixed | {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}


def _read(handle: int, deadline: float) -> bytes:
    parts = []
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    while (left := deadline - time.monotonic()) > 0 and poll.poll(left * 1000):
        part = os.read(handle, 1 << 16)
        if not part:
            break
        parts.append(part)
    return b"".join(parts)


def _messages(written: bytes, nonces: Sequence[bytes]) -> Iterator[bytes]:
    """The messages in the order of their nonces, up to the first that is not whole or not behind its own."""
    start = 0
    for nonce in nonces:
        end = start + 8 + int.from_bytes(written[start : start + 8], "big")
        message = written[start + 8 : end]
        if end > len(written) or not message.startswith(nonce):
            return
        yield message[len(nonce) :]
        start = end
