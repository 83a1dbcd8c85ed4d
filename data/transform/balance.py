"""Limits how many rows of the train split a role has, so that one busy role does not drown the others.

Off by default. `balance(rows, config.balance, seed)` says which rows leave. Rows are
only ever removed, none is repeated: each reply trains at most once. Val and test stay whole, because they measure
what the agents really do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from enum import StrEnum
from hashlib import blake2b

import msgspec

from data.config import BalanceConfig

STAGE = "balance"


class Reason(StrEnum):
    OVER_SHARE = "over the role's share"


class Balance(msgspec.Struct, frozen=True):
    """Rows of the train split by role: how many there were, and how many stay."""

    roles: dict[str, tuple[int, int]] = {}

    def __str__(self) -> str:
        changed = [f"{role} {before:,} to {after:,}" for role, (before, after) in self.roles.items() if after < before]
        return f"balanced train rows: {', '.join(changed)}" if changed else "no role was over its share"


def targets(counts: Mapping[str, int], config: BalanceConfig) -> dict[str, int]:
    """How many rows of each role stay.

    With temperature T a role of n rows keeps n_min^(1-1/T) * n^(1/T) of them, n_min being those of the smallest role:
    its share is then proportional to n^(1/T), and the smallest role keeps all. `max_rows` caps what is left.
    """
    sizes = {role: count for role, count in counts.items() if count}
    least, power = min(sizes.values(), default=0), 1 / config.temperature
    shares = {role: round(least ** (1 - power) * count**power) for role, count in sizes.items()}
    return {role: min(share, sizes[role], config.max_rows.get(role, share)) for role, share in shares.items()}


def balance(rows: Iterable[tuple[str, str]], config: BalanceConfig, seed: int) -> tuple[frozenset[str], Balance]:
    """The ids of the rows that leave, of those given by id and role, and the counts before and after.

    Those with the smallest hashes stay, so under a cap a row that is added puts out at most one other.
    """
    by_role: dict[str, list[str]] = {}
    for row, role in rows:
        by_role.setdefault(role, []).append(row)
    counts = Counter({role: len(ids) for role, ids in sorted(by_role.items())})
    stay = targets(counts, config)
    leaving = set()
    for role, ids in by_role.items():
        leaving.update(sorted(ids, key=lambda row: _place(row, seed))[stay[role] :])
    return frozenset(leaving), Balance({role: (count, stay[role]) for role, count in counts.items()})


def _place(row: str, seed: int) -> tuple[bytes, str]:
    return blake2b(f"{seed}:{row}".encode("utf-8", "surrogatepass"), digest_size=8).digest(), row
