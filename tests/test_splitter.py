"""A session's split depends on its group and the seed, on nothing else; or it gives each split its share exactly."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.config import SplitConfig
from data.record import SPLITS
from data.transform.splitter import exact_split, split_of, splitter

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


names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
EXACT = SplitConfig(val=0.1, test=0.1, exact=True)


def rows_of(sizes: dict[str, int], seed: int, config: SplitConfig = EXACT) -> Counter[str]:
    """Rows by split."""
    rows: Counter[str] = Counter()
    for group, split in exact_split(sizes, seed, config).items():
        rows[split] += sizes[group]
    return rows


@given(st.sets(names, min_size=3, max_size=200), st.integers())
def test_single_rows_are_divided_exactly(groups: set[str], seed: int) -> None:
    rows = rows_of(dict.fromkeys(groups, 1), seed)
    held = max(round(len(groups) / 10), 1)
    assert (rows["val"], rows["test"], rows.total()) == (held, held, len(groups))


@given(st.dictionaries(names, st.integers(1, 30), max_size=60), st.integers(), st.floats(0, 0.2), st.floats(0, 0.2))
def test_groups_stay_whole_and_no_split_takes_twice_its_share(
    sizes: dict[str, int], seed: int, val: float, test: float
) -> None:
    config = SplitConfig(val=val, test=test, exact=True)
    split = exact_split(sizes, seed, config)
    assert set(split) == set(sizes)  # one split each
    rows, total = rows_of(sizes, seed, config), sum(sizes.values())
    for name, share in (("val", val), ("test", test)):
        assert rows[name] < max(2 * round(share * total), 2)
    assert rows["train"] or not total


@given(st.dictionaries(names, st.integers(1, 5), max_size=40), st.integers(), st.randoms())
def test_the_order_in_which_groups_are_found_decides_nothing(sizes: dict[str, int], seed: int, random: Random) -> None:
    items = list(sizes.items())
    random.shuffle(items)
    assert exact_split(dict(items), seed, EXACT) == exact_split(sizes, seed, EXACT)


def test_ten_and_a_hundred_rows_come_out_as_80_10_10() -> None:
    for count in (10, 100):
        rows = rows_of({f"pair-{number}": 1 for number in range(count)}, 42)
        assert rows == {"train": count * 0.8, "val": count * 0.1, "test": count * 0.1}


def test_a_larger_test_split_takes_rows_from_train_alone() -> None:
    pairs = {f"pair-{number}": 1 for number in range(100)}
    small, large = (exact_split(pairs, 42, SplitConfig(val=0.2, test=test, exact=True)) for test in (0.1, 0.3))
    assert {(small[pair], large[pair]) for pair in pairs if small[pair] != large[pair]} == {("train", "test")}


def test_a_conversation_larger_than_a_split_stays_in_train() -> None:
    assert rows_of({"long": 50, **{f"pair-{number}": 1 for number in range(50)}}, 42) == {
        "train": 80,
        "val": 10,
        "test": 10,
    }
    assert rows_of({"one": 50, "other": 50}, 42) == {"train": 100}


def test_new_rows_move_few_groups_only() -> None:
    """Documented beside the switch: groups next to a border may move, and all others stay."""
    before = exact_split({f"pair-{number}": 1 for number in range(100)}, 42, EXACT)
    after = exact_split({f"pair-{number}": 1 for number in range(120)}, 42, EXACT)
    moved = [group for group in before if before[group] != after[group]]
    assert 0 < len(moved) < 8


def test_a_group_without_rows_and_every_group_of_the_ordinary_split_go_by_their_hash() -> None:
    groups = {f"session-{number}": 1 for number in range(100)}
    exact, ordinary = splitter(groups, 42, EXACT), splitter(groups, 42, SplitConfig())
    assert [ordinary(group) for group in groups] == [split_of(group, 42, EXACT) for group in groups]
    assert [exact(group) for group in groups] != [ordinary(group) for group in groups]
    assert exact("of preferences alone") == split_of("of preferences alone", 42, EXACT)
