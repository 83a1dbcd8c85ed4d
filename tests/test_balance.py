"""Balance only ever removes, evens out as declared, and removes the same rows every time."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.config import BalanceConfig
from data.transform.balance import Balance, balance, targets
from tests.small_build import build, lines
from tests.small_build import rows as rows_of
from tests.transcripts import Script

roles = st.sampled_from(["mayor", "crew", "witness"])
counts = st.dictionaries(roles, st.integers(0, 2000))
configs = st.builds(
    BalanceConfig, max_rows=st.dictionaries(roles, st.integers(1, 500)), temperature=st.floats(1, 50) | st.just(1.0)
)


def rows(sizes: dict[str, int]) -> list[tuple[str, str]]:
    return [(f"{role}-{number}", role) for role, size in sizes.items() for number in range(size)]


@given(counts, configs)
def test_no_role_ever_gains_and_none_with_rows_loses_all(sizes: dict[str, int], config: BalanceConfig) -> None:
    stay = targets(sizes, config)
    assert all(1 <= stay[role] <= size for role, size in sizes.items() if size)
    assert all(stay[role] <= config.max_rows.get(role, stay[role]) for role in stay)


@given(counts, st.floats(1, 50), st.floats(1, 50))
def test_a_higher_temperature_evens_out_more(sizes: dict[str, int], one: float, other: float) -> None:
    mild, strong = sorted((one, other))
    before, after = targets(sizes, BalanceConfig(temperature=mild)), targets(sizes, BalanceConfig(temperature=strong))
    assert all(after[role] <= before[role] for role in before)


@given(counts)
def test_nothing_leaves_by_default(sizes: dict[str, int]) -> None:
    leaving, report = balance(rows(sizes), BalanceConfig(), 42)
    assert not leaving
    assert report.roles == {role: (size, size) for role, size in sizes.items() if size}


@given(st.dictionaries(roles, st.integers(0, 40)), configs, st.randoms())
def test_what_leaves_depends_on_no_order(sizes: dict[str, int], config: BalanceConfig, random: object) -> None:
    given_rows = rows(sizes)
    leaving, report = balance(given_rows, config, 42)
    random.shuffle(given_rows)  # type: ignore[attr-defined]
    assert balance(given_rows, config, 42) == (leaving, report)
    kept = {role: sum(r == role for row, r in given_rows if row not in leaving) for role in report.roles}
    assert kept == {role: after for role, (_, after) in report.roles.items()}


@given(st.integers(1, 60), st.integers(1, 60))
def test_under_a_cap_a_row_more_puts_out_at_most_one_other(size: int, cap: int) -> None:
    config = BalanceConfig(max_rows={"mayor": cap})
    before, _ = balance(rows({"mayor": size}), config, 42)
    after, _ = balance(rows({"mayor": size + 1}), config, 42)
    assert before <= after
    assert len(after - before) <= 1


@pytest.mark.parametrize(
    ("temperature", "expected"),
    [(1.0, (400, 100)), (2.0, (200, 100)), (float("inf"), (100, 100))],
)
def test_a_temperature_keeps_the_root_of_the_counts(temperature: float, expected: tuple[int, int]) -> None:
    stay = targets({"crew": 400, "mayor": 100}, BalanceConfig(temperature=temperature))
    assert (stay["crew"], stay["mayor"]) == expected


def test_another_seed_keeps_other_rows() -> None:
    config = BalanceConfig(max_rows={"mayor": 50})
    assert balance(rows({"mayor": 100}), config, 1)[0] != balance(rows({"mayor": 100}), config, 2)[0]


def test_a_person_reads_what_changed() -> None:
    assert str(Balance({"crew": (1400, 500), "mayor": (20, 20)})) == "balanced train rows: crew 1,400 to 500"
    assert str(Balance({"mayor": (20, 20)})) == "no role was over its share"


def test_a_build_caps_the_train_rows_of_a_role_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(12):
        script = Script(session=f"5e551011-0000-4000-8000-0000000000{number:02d}")
        script.human(f"What do you know of part {number}?")
        script.says(f"Part {number} is {'very ' * number}well known to me and to all the others.", f"m{number}")
        script.save(tmp_path / "projects")
    assert build(tmp_path, balance={"max_rows": {"unknown": 5}}) == 0
    assert len(lines(tmp_path, "unknown_train.jsonl")) == 5
    gone = [drop for drop in lines(tmp_path, "drops.jsonl") if drop["stage"] == "balance"]
    assert {drop["reason"] for drop in gone} == {"over the role's share"}
    assert len(gone) + len(rows_of(tmp_path)) == 12
    assert f"{5 + len(gone)} to 5" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ({"temperature": 0.5}, "balance.temperature must be at least 1"),
        ({"max_rows": {"major": 5}}, "balance.max_rows: major is not one of the roles"),
        ({"max_rows": {"mayor": 0}}, "balance.max_rows.mayor must be at least 1, not 0."),
    ],
)
def test_a_wrong_setting_stops_before_any_work(
    tmp_path: Path, setting: dict[str, object], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert build(tmp_path, balance=setting) == 2
    assert problem in capsys.readouterr().err
