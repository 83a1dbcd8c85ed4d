"""How Axolotl fills its packs: first fit, in the order in which the sampler hands out the rows.

Axolotl calls it first-fit-decreasing, but `pack_group` in utils/samplers/multipack.py (0.19) does not sort: the rows
come shuffled, each into the first pack with room for it and fewer than `per_pack` rows. A test runs both on the same
rows.
"""

import math
import random
from collections.abc import Sequence


def first_fit(lengths: Sequence[int], capacity: int, per_pack: int) -> list[list[int]]:
    """The packs, each as the places of its rows in `lengths`, in O(n log n): a tree of the largest free room.

    Raises `ValueError` for a row that is longer than a pack, which Axolotl refuses as well.
    """
    if lengths and max(lengths) > capacity:
        raise ValueError(f"a row of {max(lengths)} tokens does not fit into a pack of {capacity}")
    leaves = 1 << max(len(lengths) - 1, 0).bit_length()
    room = [capacity] * (2 * leaves)
    packs: list[list[int]] = []
    for place, length in enumerate(lengths):
        node = 1
        while node < leaves:
            node *= 2
            if room[node] < length:
                node += 1
        if node - leaves == len(packs):
            packs.append([])
        pack = packs[node - leaves]
        pack.append(place)
        room[node] = room[node] - length if len(pack) < per_pack else -1
        while node > 1:
            node //= 2
            room[node] = max(room[2 * node], room[2 * node + 1])
    return packs


def shuffled(lengths: Sequence[int], seed: int = 42) -> list[int]:
    """An order of the rows. Axolotl draws another one in each epoch, and the number of packs moves by one or two."""
    order = list(lengths)
    random.Random(seed).shuffle(order)
    return order


def fewest_packs(lengths: Sequence[int], capacity: int) -> int:
    """No packing needs fewer: all tokens in full packs."""
    return math.ceil(sum(lengths) / capacity)
