"""The dedup stage: drops windows that train what an earlier window already trains.

Only what is trained counts (each trained reply with the human text directly before it), never the context, so
overlapping windows of one session are no duplicates. `fingerprint` is pure and may run in any worker; the
`Deduplicator` looks fingerprints up in the order of the windows and keeps hashes, no texts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from enum import StrEnum
from hashlib import blake2b
from typing import TYPE_CHECKING
from zlib import crc32

import msgspec

from data.config import DedupConfig
from data.record import Assistant, Conversation, Message, dropped
from data.render import render_human, render_reply
from data.stage import Outcome

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
    """What the index needs of a window: 16 bytes of hash, the sorted set of its shingles' hashes (uint32, little
    endian), and the keys of its signature's bands; the last two are empty for a tiny window."""

    exact: bytes
    shingles: bytes = b""
    bands: tuple[int, ...] = ()


class Deduplicator:
    """The stage. Holds what it has kept: about 4 bytes a trained word and 1 KB a window."""

    def __init__(self, config: DedupConfig) -> None:
        self._config = config
        self._exact: dict[bytes, str] = {}
        self._kept: list[tuple[str, bytes]] = []
        self._bands: dict[tuple[str, int], list[int]] = {}

    def __call__(self, conversation: Conversation) -> list[Outcome]:
        return [self.judge(conversation, fingerprint(conversation, self._config))]

    def judge(self, conversation: Conversation, print_: Fingerprint) -> Outcome:
        """The window itself where it is new, else its drop, which names the survivor."""
        if survivor := self._exact.get(print_.exact):
            return dropped(conversation, STAGE, DropReason.EXACT, f"same as {survivor}")
        if found := self._nearest(conversation.role, print_):
            survivor, similarity = found
            return dropped(conversation, STAGE, DropReason.NEAR, f"{similarity:.2f} like {survivor}")
        self._keep(conversation, print_)
        return conversation

    def _nearest(self, role: str, print_: Fingerprint) -> tuple[str, float] | None:
        """The most similar window of the same role over the threshold; the earliest of equals."""
        candidates = {index for band in print_.bands for index in self._bands.get((role, band), ())}
        best = max(((jaccard(print_.shingles, self._kept[index][1]), -index) for index in candidates), default=(0.0, 0))
        return (self._kept[-best[1]][0], best[0]) if best[0] >= self._config.threshold else None

    def _keep(self, conversation: Conversation, print_: Fingerprint) -> None:
        self._exact[print_.exact] = conversation.id
        if print_.bands:
            for band in print_.bands:
                self._bands.setdefault((conversation.role, band), []).append(len(self._kept))
            self._kept.append((conversation.id, print_.shingles))


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
    return np.unique((mixed >> np.uint64(32)).astype(np.uint32))


def _band_keys(hashes: NDArray[np.uint32], config: DedupConfig) -> tuple[int, ...]:
    import numpy as np
    from rensa import RMinHash

    spread = (hashes.astype(np.uint64) + np.uint64(1)) * np.uint64(_MIX)
    offsets = np.array([0, len(spread)], np.uint64)
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(spread, offsets, config.permutations, _SEED)
    signature = np.array(matrix.to_rows()[0], "<u4")
    bands, rows = bands_and_rows(config)
    cut = signature[: bands * rows].reshape(bands, rows)
    return tuple(
        int.from_bytes(blake2b(b"%d:" % index + row.tobytes(), digest_size=8).digest(), "little")
        for index, row in enumerate(cut)
    )
