"""A session's split depends on its group and the seed, on nothing else."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.config import SplitConfig
from data.record import SPLITS
from data.transform.splitter import split_of

shares = st.floats(0, 0.45)


@given(st.text(max_size=40), st.integers(), shares, shares, shares)
def test_a_larger_val_share_moves_groups_from_train_only(
    group: str, seed: int, test: float, val: float, more: float
) -> None:
    before = split_of(group, seed, SplitConfig(val=min(val, more), test=test))
    after = split_of(group, seed, SplitConfig(val=max(val, more), test=test))
    assert before == after or (before, after) == ("train", "val")


@given(st.text(max_size=40), st.integers())
def test_without_shares_everything_trains(group: str, seed: int) -> None:
    assert split_of(group, seed, SplitConfig(val=0, test=0)) == "train"


def test_the_split_of_a_known_group_never_changes() -> None:
    """These answers are part of every dataset built so far: a change here reshuffles all evaluations."""
    groups = [f"session-{number}" for number in range(11)]
    assert [group for group in groups if split_of(group, 42, SplitConfig()) == "val"] == [
        "session-3",
        "session-4",
        "session-10",
    ]


@pytest.mark.parametrize("seed", [0, 1, 42])
def test_the_shares_come_out_as_configured(seed: int) -> None:
    counts = Counter(split_of(f"{number:032x}", seed, SplitConfig(val=0.1, test=0.2)) for number in range(20_000))
    assert set(counts) == set(SPLITS)
    assert abs(counts["val"] / 20_000 - 0.1) < 0.01
    assert abs(counts["test"] / 20_000 - 0.2) < 0.01


def test_another_seed_gives_another_split() -> None:
    config = SplitConfig(val=0.3, test=0.3)
    first = [split_of(str(number), 1, config) for number in range(50)]
    assert first != [split_of(str(number), 2, config) for number in range(50)]
