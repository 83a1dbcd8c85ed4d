"""The dedup stage: drops windows that train what an earlier window already trains.

Only what is trained counts (each trained reply with the human text directly before it), never the context, so
overlapping windows of one session are no duplicates. `fingerprint` is pure and may run in any worker; the
`Deduplicator` looks fingerprints up in the order of the windows and keeps hashes, no texts.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from enum import StrEnum
from functools import cache
from hashlib import blake2b
from typing import TYPE_CHECKING
from zlib import crc32

import msgspec

from data.config import DedupConfig
from data.record import Assistant, Conversation, Message
from data.render import render_human, render_reply

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

STAGE = "dedup"
MIN_SHINGLES = 20  # below, two short windows are alike by accident: only an exact copy is a duplicate
RECALL = 0.99  # share of pairs at the threshold that the index must propose
_SEED = 42  # of the permutations: signatures are only compared within one build
_MIX = 0x9E3779B97F4A7C15


class DropReason(StrEnum):
    """Why a window leaves."""

    EXACT = "exact duplicate"
    NEAR = "near duplicate"


class Fingerprint(msgspec.Struct, frozen=True):
    """What the index needs of a window: 16 bytes of hash, the sorted set of its shingles' hashes (uint32), and the
    keys of its signature's bands (uint64), both little endian; the last two are empty for a tiny window."""

    exact: bytes
    shingles: bytes = b""
    bands: bytes = b""


class Candidate(msgspec.Struct, frozen=True):
    """A window to judge. Its shingles are fetched only where another window may be like it."""

    id: str
    role: str
    exact: bytes
    bands: bytes
    shingles: Callable[[], bytes]


class Verdict(msgspec.Struct, frozen=True):
    """Why a window leaves, and the survivor that trains the same."""

    reason: DropReason
    detail: str


class Deduplicator:
    """Judges windows in their order. `rivals` are the band keys of more than one window: no other needs to be known."""

    def __init__(self, config: DedupConfig, rivals: Container[int]) -> None:
        self._config = config
        self._rivals = rivals
        self._exact: dict[bytes, str] = {}
        self._kept: list[Candidate] = []
        self._bands: dict[tuple[str, int], list[int]] = {}

    def judge(self, candidate: Candidate) -> Verdict | None:
        """Why the window is a duplicate of one before it, or None where it is kept."""
        if survivor := self._exact.get(candidate.exact):
            return Verdict(DropReason.EXACT, f"same as {survivor}")
        keys = [(candidate.role, band) for band in band_keys(candidate.bands) if band in self._rivals]
        if found := self._nearest(candidate, keys):
            survivor, similarity = found
            return Verdict(DropReason.NEAR, f"{similarity:.2f} like {survivor}")
        self._keep(candidate, keys)
        return None

    def _nearest(self, candidate: Candidate, keys: Sequence[tuple[str, int]]) -> tuple[str, float] | None:
        """The most similar window of the same role over the threshold; the earliest of equals."""
        known = {index for key in keys for index in self._bands.get(key, ())}
        if not known:
            return None
        own = candidate.shingles()
        best = max((jaccard(own, self._kept[index].shingles()), -index) for index in known)
        return (self._kept[-best[1]].id, best[0]) if best[0] >= self._config.threshold else None

    def _keep(self, candidate: Candidate, keys: Sequence[tuple[str, int]]) -> None:
        self._exact[candidate.exact] = candidate.id
        if keys:
            for key in keys:
                self._bands.setdefault(key, []).append(len(self._kept))
            self._kept.append(candidate)


def rivals(bands: Iterable[bytes]) -> frozenset[int]:
    """The band keys that stand in more than one of the windows."""
    import numpy as np

    keys, counts = np.unique(np.frombuffer(b"".join(bands), "<u8"), return_counts=True)
    return frozenset(keys[counts > 1].tolist())


def band_keys(bands: bytes) -> tuple[int, ...]:
    return struct.unpack(f"<{len(bands) // 8}Q", bands)


def fingerprint(conversation: Conversation, config: DedupConfig) -> Fingerprint:
    """What identifies the trained part of a window."""
    parts = list(trained_parts(conversation.messages))
    exact = blake2b(msgspec.json.encode((conversation.role, parts)), digest_size=16).digest()
    if not config.near:
        return Fingerprint(exact)
    hashes = _shingles("\n".join(text for pair in parts for text in pair), config.shingle)
    if len(hashes) < MIN_SHINGLES:
        return Fingerprint(exact)
    return Fingerprint(exact, hashes.astype("<u4").tobytes(), _band_keys(hashes, config))


def trained_parts(messages: tuple[Message, ...]) -> Iterator[tuple[str, str]]:
    """Each trained reply as text, behind the human text directly before it."""
    human: list[Message] = []
    for message in messages:
        if not isinstance(message, Assistant):
            human.append(message)
            continue
        if message.train:
            yield render_human(human), render_reply(message)
        human = []


def jaccard(first: bytes, second: bytes) -> float:
    """The true similarity of two sets of hashes, as `Fingerprint.shingles` holds them."""
    import numpy as np

    one, two = np.frombuffer(first, "<u4"), np.frombuffer(second, "<u4")
    common = len(np.intersect1d(one, two, assume_unique=True))
    return common / ((len(one) + len(two) - common) or 1)


@cache
def bands_and_rows(config: DedupConfig) -> tuple[int, int]:
    """The most selective cut of the signature that still proposes `RECALL` of the pairs at the threshold."""
    best = (config.permutations, 1)
    for rows in range(1, config.permutations + 1):
        bands = _bands_for(config.threshold**rows)
        if bands * rows <= config.permutations:
            best = (bands, rows)
    return best


def _bands_for(agreement: float) -> int:
    """How many bands are needed if two windows agree in one with this probability."""
    if agreement >= 1:
        return 1
    return math.ceil(math.log(1 - RECALL) / math.log1p(-agreement))


def _shingles(text: str, size: int) -> NDArray[np.uint32]:
    """The sorted, distinct hashes of every `size` words in a row."""
    import numpy as np

    words = np.fromiter(map(crc32, text.encode("utf-8", "surrogatepass").split()), np.uint64)
    if len(words) < size:
        return np.empty(0, np.uint32)
    mixed = np.zeros(len(words) - size + 1, np.uint64)
    for offset in range(size):
        mixed = (mixed ^ words[offset : len(words) - size + 1 + offset]) * np.uint64(_MIX)
        mixed ^= mixed >> np.uint64(29)
    hashes: NDArray[np.uint32] = np.sort((mixed >> np.uint64(32)).astype(np.uint32))
    distinct: NDArray[np.uint32] = hashes[np.concatenate(([True], hashes[1:] != hashes[:-1]))]
    return distinct  # np.unique would take four times as long


def _band_keys(hashes: NDArray[np.uint32], config: DedupConfig) -> bytes:
    import numpy as np
    from rensa import RMinHash

    spread = (hashes.astype(np.uint64) + np.uint64(1)) * np.uint64(_MIX)
    offsets = np.array([0, len(spread)], np.uint64)
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(spread, offsets, config.permutations, _SEED)
    bands, rows = bands_and_rows(config)
    cut = np.array(matrix.to_rows()[0][: bands * rows], np.uint64).reshape(bands, rows)
    keys = np.arange(bands, dtype=np.uint64)
    for column in cut.T:
        keys = (keys ^ column) * np.uint64(_MIX)
        keys ^= keys >> np.uint64(29)
    return keys.astype("<u8").tobytes()
