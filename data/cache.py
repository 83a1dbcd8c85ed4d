"""Results of earlier builds, by what they were made from: a unit's files and everything else that decides them.

A result is one file named by its key, in a folder beside the dataset. It holds finished rows only, so nothing in
it is unredacted. Results that a build did not use are removed when it is done.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from zlib import crc32

import msgspec
from msgspec.structs import replace

from data.extract.glance import Glance, Memory
from data.extract.unit import Unit
from data.files import write_atomically

_CHECK = 4  # bytes of checksum before a result: a damaged one is made again
GLANCES = "glances"


class Cache:
    """Keeps the results of a dataset folder, none where that is None. `setting` is the key of all that units share."""

    def __init__(self, folder: Path | None, setting: bytes) -> None:
        self.folder = folder
        self.memory = Memory(folder / GLANCES if folder else None)
        self._setting = setting
        self._used: set[str] = set()

    def key(self, unit: Unit, glances: Iterable[Glance]) -> str:
        """The name of a unit's result; empty where one of its files cannot be read, since that may change."""
        digests = [glance.digest for glance in glances]
        files = [os.fsencode(path) for path in unit.files]  # names need not be UTF-8
        beside = [(os.fsencode(path), _stamp(path)) for path in unit.beside]
        rest = replace(unit, files=(), beside=())
        facts = msgspec.msgpack.encode((rest, files, digests, beside, self._setting), order="deterministic")
        return blake2b(facts, digest_size=20).hexdigest() if all(digests) else ""

    def get(self, key: str) -> bytes | None:
        """The result under a key, or None where there is none that is whole."""
        path = self._path(key)
        if path is None:
            return None
        try:
            content = path.read_bytes()
        except OSError:
            return None
        check, result = content[:_CHECK], content[_CHECK:]
        if check != _checksum(result):
            return None
        self._used.add(key)
        return result

    def put(self, key: str, result: bytes) -> None:
        """Keep a result. A full disk is no reason to fail: the next build makes it again."""
        path = self._path(key)
        if path:
            with suppress(OSError):
                write_atomically(path, _checksum(result) + result)
                self._used.add(key)

    def close(self) -> None:
        """Remove what this build did not use."""
        with suppress(OSError):
            for path in self.folder.glob("??/*") if self.folder else ():
                if path.name not in self._used:
                    path.unlink()

    def _path(self, key: str) -> Path | None:
        return self.folder / key[:2] / key if self.folder and key else None


def _checksum(result: bytes) -> bytes:
    return crc32(result).to_bytes(_CHECK, "little")


def _stamp(path: str) -> tuple[int, int]:
    try:
        stat = Path(path).stat()
    except OSError:
        return 0, 0
    return stat.st_size, stat.st_mtime_ns
