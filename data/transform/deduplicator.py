"""The dedup stage: drops windows that train what an earlier window already trains.

Only what is trained counts (each trained reply with the human text directly before it), never the context, so
overlapping windows of one session are no duplicates. `fingerprints` is pure and may run in any worker; the
`Deduplicator` looks fingerprints up in the order of the windows and keeps hashes, no texts.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Container, Iterator, Sequence
from enum import StrEnum
from functools import cache
from hashlib import blake2b
from typing import TYPE_CHECKING

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
    SAME_REPLY = "reply that another row trains"
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
    bands: tuple[int, ...]
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
        keys = [(candidate.role, band) for band in candidate.bands if band in self._rivals]
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


def rivals(keys: array[int]) -> frozenset[int]:
    """The keys (uint64) that stand there more than once: of the bands, those of windows that may be alike."""
    import numpy as np

    distinct, counts = np.unique(np.asarray(keys, np.uint64), return_counts=True)
    return frozenset(distinct[counts > 1].tolist())


def fingerprints(windows: Sequence[Conversation], config: DedupConfig) -> list[Fingerprint]:
    """What identifies the trained part of each window; the signatures of all are made in one go."""
    parts = [list(trained_parts(window.messages)) for window in windows]
    exact = [
        blake2b(msgspec.json.encode((window.role, part)), digest_size=16).digest()
        for window, part in zip(windows, parts, strict=True)
    ]
    if not config.near:
        return [Fingerprint(mark) for mark in exact]
    hashes = [_shingles("\n".join(text for pair in part for text in pair), config.shingle) for part in parts]
    large = [one for one in hashes if len(one) >= MIN_SHINGLES]
    bands = iter(_band_keys(large, config) if large else ())
    return [
        Fingerprint(mark, one.tobytes(), next(bands)) if len(one) >= MIN_SHINGLES else Fingerprint(mark)
        for mark, one in zip(exact, hashes, strict=True)
    ]


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
    """The sorted, distinct hashes of every `size` words in a row.

    A shingle's hash is a polynomial of its bytes without the spaces: a difference of two sums of the whole text, so
    that no word has to be cut out.
    """
    import numpy as np

    raw = np.frombuffer(text.encode("utf-8", "surrogatepass"), np.uint8)
    solid = raw > 32
    begins = solid.copy()
    begins[1:] &= ~solid[:-1]
    letters = raw[solid]
    words = (np.cumsum(solid) - 1)[begins]
    if len(words) < size:
        return np.empty(0, np.uint32)
    powers, inverse = _powers(len(letters))
    sums = np.zeros(len(letters) + 1, np.uint64)
    np.cumsum((letters + np.uint64(1)) * powers[: len(letters)], out=sums[1:])
    starts = words[: len(words) - size + 1]
    mixed = (sums[np.append(words[size:], len(letters))] - sums[starts]) * inverse[starts]
    mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(_MIX)
    hashes: NDArray[np.uint32] = np.sort((mixed >> np.uint64(32)).astype("<u4"))
    distinct: NDArray[np.uint32] = hashes[np.concatenate(([True], hashes[1:] != hashes[:-1]))]
    return distinct  # np.unique would take four times as long


def _powers(count: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """The powers of the polynomial's base and their inverses, modulo 2^64, at least so many."""
    return _powers_of(1 << max(count - 1, 1).bit_length())


@cache
def _powers_of(count: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    import numpy as np

    def series(base: int) -> NDArray[np.uint64]:
        steps = np.full(count, base, np.uint64)
        steps[0] = 1
        powers: NDArray[np.uint64] = np.multiply.accumulate(steps)
        return powers

    return series(_MIX), series(pow(_MIX, -1, 1 << 64))


def _band_keys(hashes: Sequence[NDArray[np.uint32]], config: DedupConfig) -> list[bytes]:
    """For each set of shingles the keys of its signature's bands."""
    import numpy as np
    from rensa import RMinHash

    spread = (np.concatenate(hashes).astype(np.uint64) + np.uint64(1)) * np.uint64(_MIX)
    offsets = np.cumsum([0, *map(len, hashes)]).astype(np.uint64)
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(spread, offsets, config.permutations, _SEED)
    bands, rows = bands_and_rows(config)
    signatures = np.array(matrix.to_rows(), np.uint64)[:, : bands * rows].reshape(len(hashes), bands, rows)
    keys = np.broadcast_to(np.arange(bands, dtype=np.uint64), (len(hashes), bands))
    for row in range(rows):
        keys = (keys ^ signatures[:, :, row]) * np.uint64(_MIX)
        keys ^= keys >> np.uint64(29)
    return [key.tobytes() for key in keys.astype("<u8")]
