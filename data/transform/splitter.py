"""Which split a group of rows belongs to.

`split_of` is a function of the group and the seed alone: nothing that is added, removed or re-ordered moves a session,
and whatever shares records with it has the same group, so no session is on both sides of an evaluation. Of a hundred
rows chance may give four to a split that should have ten, so `exact_split` looks at all groups and counts rows. The
price: new rows may move groups that are next to a border, and an evaluation of the old adapter on the new test rows may
then hold some that it was trained on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b

from data.config import SplitConfig
from data.record import Split


def splitter(sizes: Mapping[str, int], seed: int, config: SplitConfig) -> Callable[[str], Split]:
    """What gives a group its split, in a build whose groups have so many rows."""
    known = exact_split(sizes, seed, config) if config.exact else {}
    return lambda group: known.get(group) or split_of(group, seed, config)  # preferences have groups of their own


def split_of(group: str, seed: int, config: SplitConfig) -> Split:
    """The split of a session group. A larger share only ever takes groups from train."""
    place = _place(group, seed) / 2**64
    if place < config.test:
        return "test"
    # val counts from the far end, so that changing one share never moves a group into or out of the other
    return "val" if place >= 1 - config.val else "train"


def exact_split(sizes: Mapping[str, int], seed: int, config: SplitConfig) -> dict[str, Split]:
    """The split of each group, so that the splits have their shares of the rows as nearly as whole groups allow.

    Groups are taken in the order of their hashes, for test from one end and for val from the other, as `split_of` does.
    """
    order = sorted(sizes, key=lambda group: (_place(group, seed), group))
    rows = sum(sizes.values())
    test = _nearest(order, sizes, _target(rows, config.test))
    left = [group for group in reversed(order) if group not in test]
    val = _nearest(left, sizes, _target(rows, config.val))
    return {group: "test" if group in test else "val" if group in val else "train" for group in order}


def _target(rows: int, share: float) -> int:
    """So many rows; one at least where there is a share and there are rows to give."""
    return max(round(rows * share), 1) if share and rows > 2 else 0


def _nearest(groups: Sequence[str], sizes: Mapping[str, int], target: int) -> frozenset[str]:
    """Groups from the beginning, each where it brings their rows nearer to the target: a large one stays in train."""
    taken: list[str] = []
    short = target
    for group in groups:
        if abs(short - sizes[group]) < short:
            taken.append(group)
            short -= sizes[group]
    return frozenset(taken)


def _place(group: str, seed: int) -> int:
    digest = blake2b(f"{seed}:{group}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big")
