"""The keys that count now: those of FORGE_API_KEYS and of the key file, which is read again whenever it changes."""

from __future__ import annotations

import hmac
import logging
import time
from pathlib import Path

from deploy.serve.key_line import Key, fingerprint, parse_keys

VARIABLE = "FORGE_API_KEYS"
# Two writes within a tick of the file system's clock give one time stamp: a file that has just changed is read again.
TICK_SECONDS = 2.0
log = logging.getLogger("deploy.serve")


class KeyRing:
    """Finds the key that somebody presents. `required` stays true when the last key is revoked: the door stays shut."""

    def __init__(self, file: Path | None = None, environment: str = "") -> None:
        """Raises ValueError with every problem of the two places, OSError where the file cannot be read."""
        self._file = file
        self._fixed = parse_keys(lines_of(environment), VARIABLE)
        self._stamp = self._stamp_now() if file else None
        self._filed = parse_keys(file.read_text("utf-8"), file.name) if file else ()
        self._looked_at = time.time()
        self.required = bool(file or self._fixed)

    def find(self, presented: bytes) -> Key | None:
        """The key whose hash is that of `presented`. All are compared, each in constant time: an answer's time tells
        neither which key was close nor how many there are before it."""
        self._refresh()
        digest, found = fingerprint(presented), None
        for key in (*self._fixed, *self._filed):
            if hmac.compare_digest(key.digest, digest):
                found = found or key
        return found

    def _refresh(self) -> None:
        if self._file is None:
            return
        stamp = self._stamp_now()
        if stamp == self._stamp and (stamp is None or self._looked_at - stamp[0] / 1e9 > TICK_SECONDS):
            return
        changed, self._stamp, self._looked_at = stamp != self._stamp, stamp, time.time()
        try:
            self._filed = parse_keys(self._file.read_text("utf-8"), self._file.name) if stamp else ()
        except (OSError, ValueError) as problem:
            if changed:
                log.warning(
                    "The key file is not usable, so its last keys still count: %s", "; ".join(str(problem).split("\n"))
                )
        else:
            if changed:
                log.warning("The key file has changed: %d keys in it now.", len(self._filed))

    def _stamp_now(self) -> tuple[int, int, int] | None:
        """What differs when the file was written; None where it is gone, which revokes all of its keys."""
        assert self._file is not None
        try:
            found = self._file.stat()
        except FileNotFoundError:
            return None
        except OSError:
            return self._stamp
        return found.st_mtime_ns, found.st_size, found.st_ino


def lines_of(environment: str) -> str:
    """FORGE_API_KEYS as the lines of a key file: bare keys with commas between them, or lines with scopes."""
    lines = environment.splitlines()
    return "\n".join(line if len(line.split()) > 1 else line.replace(",", "\n") for line in lines)
