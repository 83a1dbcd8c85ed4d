"""The ledger: nothing disappears without a name."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from data.record import Assistant, Conversation, Drop, Origin, Tally, dropped, noted, replies, weigh
from data.stage import Ledger, LedgerImbalance, Outcome, check, run

ORIGIN = Origin("sessions", "s", "s")


def conversation(sizes: list[int]) -> Conversation:
    made = tuple(Assistant("x" * n, f"m{i}", said=n, chars=n, tokens=n + 1) for i, n in enumerate(sizes))
    return Conversation("c", ORIGIN, made)


def split_in_two(item: Conversation) -> Iterator[Outcome]:
    half = len(item.messages) // 2
    yield replace(item, messages=item.messages[:half])
    yield noted(replace(item, messages=item.messages[half:]), "split", "halves", 2)


def drop_empty(item: Conversation) -> Iterator[Outcome]:
    yield item if item.messages else dropped(item, "empty", "no message")


@given(st.lists(st.lists(st.integers(1, 9), max_size=6), max_size=6))
def test_a_run_balances_and_counts_what_passed(sizes: list[list[int]]) -> None:
    ledger = Ledger()
    items = [conversation(part) for part in sizes]
    for item in items:
        ledger.admit(item)
    outcomes = list(run(items, [("split", split_in_two), ("empty", drop_empty)], ledger))
    check(ledger, ["split", "empty"])
    kept = [reply for outcome in outcomes if isinstance(outcome, Conversation) for reply in replies(outcome)]
    assert weigh(kept).chars == sum(map(sum, sizes)) == ledger.account("empty").went.chars
    assert ledger.account("split").notes == ({"halves": 2 * len(sizes)} if sizes else {})
    assert (
        sum(isinstance(outcome, Drop) for outcome in outcomes)
        == ledger.account("empty").left.get("no message", Tally()).conversations
    )


@pytest.mark.parametrize(
    "stage",
    [
        lambda item: [replace(item, messages=item.messages[1:])],
        lambda item: [item, item],
        lambda item: [],
        lambda item: [replace(item, messages=tuple(replace(m, train=False) for m in item.messages))],
    ],
    ids=["loses a reply", "trains twice", "swallows a conversation", "masks without a word"],
)
def test_a_stage_that_loses_or_doubles_something_fails_the_run(stage) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(LedgerImbalance, match="came in"):
        list(run([conversation([3, 4])], [("bad", stage)], Ledger()))


def test_what_a_reader_did_not_book_fails_the_build() -> None:
    ledger = Ledger()
    list(run([conversation([1])], [("empty", drop_empty)], ledger))
    with pytest.raises(LedgerImbalance, match="reading"):
        check(ledger, ["empty"])


@given(st.lists(st.lists(st.integers(1, 9), max_size=4), max_size=6), st.integers(1, 3))
def test_the_books_of_workers_add_up_to_those_of_one(sizes: list[list[int]], workers: int) -> None:
    stages = [("split", split_in_two), ("empty", drop_empty)]
    whole, merged = Ledger(), Ledger()
    parts = [Ledger() for _ in range(workers)]
    for index, part in enumerate(map(conversation, sizes)):
        for ledger in (whole, parts[index % workers]):
            ledger.admit(part)
            list(run([part], stages, ledger))
    for ledger in parts:
        merged.merge(ledger)
    assert merged.read == whole.read
    assert {n: a for n, a in merged.stages.items() if a.came != Tally()} == {
        n: a for n, a in whole.stages.items() if a.came != Tally()
    }
