"""A first look at transcripts: what they hold by hash, and which records, sessions and messages they name.

It decides which files must be read together and which results of an earlier build still hold. Looks are remembered
by a file's size and time of change, as hashes alone, so that a second build opens only what has changed.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from hashlib import blake2b, sha256
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeAlias

import msgspec

from data.files import open_regular, write_atomically

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Copies can have new record and session ids; the ids of the API's messages stay.
_IDENTITY = re.compile(rb'"(?:uuid|sessionId)":\s?"[^"]{1,64}"|"id":\s?"msg_[^"]{1,64}"')
_LONGEST = 128  # bytes of an identity with its key
_BLOCK = 1 << 23
_MIX = 0x9E3779B97F4A7C15
_WORDS = 10  # 64-bit words that hold the longest identity; the same for all, since padding counts in the hash
_SETTLED = 2_000_000_000  # ns; what changed later than this may change again within one tick of the file's clock


class Glance(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a look found: size, time of change (ns), sha256 of the bytes, and the sorted hashes (uint64, little
    endian) of the ids in it. A file that cannot be read has an empty digest; its reader will name it."""

    size: int
    changed: int
    digest: bytes
    identities: bytes


UNREADABLE = Glance(0, 0, b"", b"")
Look: TypeAlias = Callable[[Sequence[Path]], Sequence[Glance]]


class Memory:
    """The looks of earlier builds, in one file. A damaged or missing file is an empty memory."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._known: dict[bytes, Glance] = {}
        self._used: dict[bytes, Glance] = {}
        try:
            if path:
                self._known = msgspec.msgpack.decode(path.read_bytes(), type=dict[bytes, Glance])
        except (OSError, msgspec.MsgspecError):
            pass

    def recall(self, path: Path) -> Glance | None:
        """The look at a file that has not changed since."""
        name = _name(path)
        known = self._known.get(name)
        try:
            stat = path.stat()
        except OSError:
            return None
        if known is None or (known.size, known.changed) != (stat.st_size, stat.st_mtime_ns):
            return None
        self._used[name] = known
        return known

    def keep(self, path: Path, glance: Glance) -> None:
        """Remember a look, unless the file is so young that it may change without a trace."""
        if glance.digest and time.time_ns() - glance.changed > _SETTLED:
            self._used[_name(path)] = glance

    def save(self) -> None:
        """Write down the looks of this build and let go of them; those at files that are gone are forgotten."""
        if self.path and self._used != self._known:
            with suppress(OSError):  # a full disk is no reason to fail: the next build looks again
                write_atomically(self.path, msgspec.msgpack.encode(self._used))
        self._known, self._used = {}, {}


def look(path: Path) -> Glance:
    """Read a file once, a block at a time."""
    digest, found = sha256(), set[bytes]()
    try:
        with open_regular(path) as file:
            stat = path.stat()
            for block in _blocks(file, digest.update):
                found.update(_IDENTITY.findall(block))
    except OSError:
        return UNREADABLE
    return Glance(stat.st_size, stat.st_mtime_ns, digest.digest(), hash_all(found).astype("<u8").tobytes())


def look_at_all(paths: Sequence[Path]) -> list[Glance]:
    return [look(path) for path in paths]


def _blocks(file: BinaryIO, update: Callable[[bytes], object]) -> Iterable[bytes]:
    """The file in blocks that overlap by the longest identity, so that none is cut in every block."""
    before = b""
    while block := file.read(_BLOCK):
        update(block)
        yield before + block
        before = block[-_LONGEST:]


def hash_all(identities: Iterable[bytes]) -> NDArray[np.uint64]:
    """The sorted, distinct 64-bit hashes of some ids; two of a million differ with all but certainty."""
    import numpy as np

    compact = [identity if b" " not in identity else identity.replace(b" ", b"") for identity in identities]
    if not compact:
        return np.empty(0, np.uint64)
    rows = np.array(compact, dtype=f"S{_WORDS * 8}")
    mixed = np.zeros(len(rows), np.uint64)
    for word in rows.view("<u8").reshape(len(rows), _WORDS).T:
        mixed = (mixed ^ word) * np.uint64(_MIX)
        mixed ^= mixed >> np.uint64(31)
    return np.unique(mixed)


def sharing(identities: Sequence[bytes]) -> list[tuple[int, int]]:
    """The pairs of files (by index) that name one id, where each is next to the other in the list of its holders."""
    import numpy as np

    parts = [np.frombuffer(part, "<u8") for part in identities]
    if not parts:
        return []
    holders = np.repeat(np.arange(len(parts), dtype=np.int32), [len(part) for part in parts])
    ids = np.concatenate(parts)
    order = np.argsort(ids, kind="stable")
    ids, holders = ids[order], holders[order]
    same = ids[1:] == ids[:-1]
    pairs = np.unique(np.stack((holders[:-1][same], holders[1:][same]), axis=1), axis=0)
    return [(int(one), int(other)) for one, other in pairs]


def _name(path: Path) -> bytes:
    return blake2b(str(path).encode("utf-8", "surrogateescape"), digest_size=16).digest()
