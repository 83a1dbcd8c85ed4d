"""Which split a session belongs to: a function of its group and the seed alone.

Nothing that is added, removed or re-ordered moves a session, and whatever shares records with it has the same
group, so no session is on both sides of an evaluation.
"""

from __future__ import annotations

from hashlib import blake2b

from data.config import SplitConfig
from data.record import Split


def split_of(group: str, seed: int, config: SplitConfig) -> Split:
    """The split of a session group. A larger share only ever takes groups from train."""
    digest = blake2b(f"{seed}:{group}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    place = int.from_bytes(digest, "big") / 2**64
    if place < config.test:
        return "test"
    # val counts from the far end, so that changing one share never moves a group into or out of the other
    return "val" if place >= 1 - config.val else "train"
