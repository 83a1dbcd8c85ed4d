"""Which rows stay, and in which split, depends on what they are, not on the order or the company they are found in."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from data.build import BrokenRows, build
from data.config import BalanceConfig, DataConfig, RoleConfig, SplitConfig
from data.finish import finish
from data.finished import Done
from data.record import SPLITS, Assistant, Conversation, Origin, Quality, System, User, weigh
from data.stage import Account, Ledger
from data.stages import ORDER
from data.writer import Input

ROLES = {"mayor": RoleConfig("You are the mayor."), "unknown": RoleConfig("You are an agent.")}
CONFIG = DataConfig("Qwen/Qwen2.5-7B-Instruct", (), ROLES, split=SplitConfig(val=0.3, test=0.3))
LONG = [[f"word{(n * 7919) % 9973}" for n in range(start, start + 60)] for start in (0, 100, 200, 300)]
# The last one differs from the first in one word.
TEXTS = [" ".join(words) for words in (*LONG, [*LONG[0][:-1], "other"])]

# A session: the minute at which it began, and which text it trains.
sessions = st.tuples(st.integers(0, 59), st.sampled_from(range(len(TEXTS))))
towns = st.lists(sessions, min_size=1, max_size=12, unique=True)


def window(minute: int, text: int) -> Conversation:
    session = f"s{minute}-{text}"
    reply = Assistant(TEXTS[text], id=f"m-{session}", said=9, chars=9, tokens=80)
    origin = Origin("sessions", session, session, started=f"2026-01-05T{minute // 60:02d}:{minute % 60:02d}:00Z")
    messages = (System(ROLES["mayor"].system), User("what now"), reply)
    return Conversation(f"{session}:0.0#0", origin, messages, role="mayor", quality=0.5, parts=Quality(), tokens=100)


def done(one: Conversation, config: DataConfig = CONFIG) -> Done:
    rows, problems = finish([one], config)
    tally = weigh([m for m in one.messages if isinstance(m, Assistant)], conversations=1)
    passed = {name: Account(came=tally, went=tally) for name in ORDER[: ORDER.index("dedup")]}
    return Done(Ledger(read=tally, stages=passed), b"", tuple(rows), tuple(problems))


def built(town: Sequence[tuple[int, int]], config: DataConfig = CONFIG) -> dict[str, str]:
    """The split of each row that stays, in the order of the files."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        results = [done(window(*session), config) for session in town]
        build(results, Input(len(results), 0, False), config, out)
        found = {}
        for split in SPLITS:
            path = out / f"gastown_{split}.jsonl"
            for line in path.read_text().splitlines() if path.exists() else ():
                found[json.loads(line)["metadata"]["id"]] = split
        return found


@given(towns, st.randoms(use_true_random=False))
@settings(max_examples=40)
def test_the_order_in_which_sessions_are_found_decides_nothing(town: list[tuple[int, int]], chance: Random) -> None:
    shuffled = list(town)
    chance.shuffle(shuffled)
    assert built(shuffled) == built(town)


@given(towns, towns)
@settings(max_examples=40)
def test_later_sessions_neither_move_nor_replace_earlier_ones(
    early: list[tuple[int, int]], late: list[tuple[int, int]]
) -> None:
    before = built(early)
    after = built([*early, *((minute + 60, text) for minute, text in late)])
    assert {row: after.get(row) for row in before} == before


def window_text(row: str) -> int:
    return int(row.split(":")[0].split("-")[1])


@given(towns)
@settings(max_examples=40)
def test_no_two_rows_that_stay_train_nearly_the_same(town: list[tuple[int, int]]) -> None:
    texts = [window_text(row) for row in built(town)]
    assert len(texts) == len(set(texts))
    assert not {0, len(TEXTS) - 1} <= set(texts)


def test_a_message_that_two_rows_train_is_trained_in_the_earlier_one(tmp_path: Path) -> None:
    one, other = window(1, 2), window(2, 3)
    reply = other.messages[-1]
    assert isinstance(reply, Assistant)
    doubled = replace(other, messages=(*other.messages[:-1], replace(reply, id="m-s1-2")))
    manifest, ledger = build([done(doubled), done(one)], Input(2, 0, False), CONFIG, tmp_path)
    assert sum(manifest.rows.values()) == 1
    assert ledger.stages["dedup"].left["reply that another row trains"].replies == 1
    assert '"subject":"s2-3:0.0#0"' in (tmp_path / "drops.jsonl").read_text()


def test_a_row_that_stands_twice_stops_the_build(tmp_path: Path) -> None:
    with pytest.raises(BrokenRows, match="stands 2 times"):
        build([done(window(1, 2)), done(window(1, 2))], Input(2, 0, False), CONFIG, tmp_path)
    assert not (tmp_path / "manifest.json").exists()


def test_balance_takes_train_rows_alone_and_says_so(tmp_path: Path) -> None:
    config = replace(CONFIG, split=SplitConfig(val=0.0, test=0.0), balance=BalanceConfig(max_rows={"mayor": 2}))
    town = [(1, 0), (2, 1), (3, 2), (4, 3)]
    manifest, ledger = build([done(window(*one), config) for one in town], Input(4, 0, False), config, tmp_path)
    assert manifest.balanced == {"mayor": (4, 2)}
    assert manifest.rows["train"] == 2
    assert ledger.stages["balance"].left["over the role's share"].replies == 2
    drops = [json.loads(line) for line in (tmp_path / "drops.jsonl").read_text().splitlines()]
    named = [(drop["stage"], drop["reason"], drop["detail"], drop["tally"]["replies"]) for drop in drops]
    assert named == [("balance", "over the role's share", "mayor", 1)] * 2
