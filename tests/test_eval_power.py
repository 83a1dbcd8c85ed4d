"""What a comparison can tell: simulated truths are found, held and missed as often as the numbers say."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.errors import one_sentence
from eval.power import known_error, luck_of_the_best, power, scenarios_needed, smallest_detectable
from eval.statistics import Rate, paired_difference
from eval.worlds import LOSSES, MARGIN, PAIRS, RATES, Collapse, World, coverage, false_alarms, false_passes

REPETITIONS = 1000
NAMES = [f"n{w.n}-k{w.k}-rate{w.rate}-families of {w.family}" for w in RATES]


def change(value: float, low: float, high: float, units: int = 60, clusters: int = 20) -> Rate:
    return Rate(value, low, high, units, clusters)


@given(st.floats(0.001, 0.3), st.integers(8, 200))
def test_a_larger_error_hides_larger_differences(error: float, clusters: int) -> None:
    assert smallest_detectable(error, clusters) <= smallest_detectable(2 * error, clusters)
    assert smallest_detectable(error, clusters) >= smallest_detectable(error, clusters + 1)
    assert min(1.0, 2.8 * error) <= smallest_detectable(error, clusters) <= 1


@given(st.floats(-0.5, 0.5), st.floats(0.001, 0.2), st.floats(0, 0.2))
def test_more_scenarios_are_needed_than_there_are(value: float, error: float, margin: float) -> None:
    needed = scenarios_needed(change(value, value - 2 * error, value + 2 * error), error, margin)
    assert (needed is None) == (max(value + margin, -value) < 0.001)
    assert needed is None or needed > 60


def test_a_smaller_margin_or_fewer_families_need_more_scenarios() -> None:
    seen = change(0.0, -0.1, 0.1)
    wide, narrow = scenarios_needed(seen, 0.05, 0.05), scenarios_needed(seen, 0.05, 0.025)
    # (1.96 + 0.84) standard errors of 0.05 have to fit into the margin.
    assert wide == math.ceil(60 * 2.8015857**2)
    assert wide is not None and narrow is not None and narrow == pytest.approx(4 * wide, rel=0.01)
    assert scenarios_needed(change(0.5, 0.4, 0.6, units=6, clusters=2), 0.001, 0.05) == 24


def test_the_error_is_never_smaller_than_the_interval_says() -> None:
    same = {str(index): 0.0 for index in range(20)}
    clusters = {key: key for key in same}
    base = {key: float(int(key) < 15) for key in same}
    # No scenario differs: the spread says nothing, the interval does.
    unlike = paired_difference(base, {**base, "0": 0.0}, clusters)
    assert known_error(unlike, same, clusters) >= (unlike.high - unlike.low) / 2 / 2.1 > 0


def test_the_best_of_many_checkpoints_is_lucky() -> None:
    changes = {str(index): float((index % 3) - 1) for index in range(60)}
    clusters = {key: key for key in changes}
    gains = [luck_of_the_best(changes, clusters, tried).gain for tried in (1, 3, 10, 20)]
    assert gains[0] == 0 and gains == sorted(gains)
    # Each checkpoint's own error is sqrt(1/2) of the difference's 0.105; the best of 10 normal draws lies 1.54 above.
    assert gains[2] == pytest.approx(1.54 * 0.1054 * math.sqrt(0.5), rel=0.05)
    assert luck_of_the_best(changes, clusters, 10) == luck_of_the_best(changes, clusters, 10)


def test_a_gain_is_the_less_convincing_the_more_checkpoints_were_tried() -> None:
    changes = {str(index): (1.0, 0.0, 0.0, 1.0, -1.0)[index % 5] for index in range(40)}
    clusters = {key: key for key in changes}
    few, many = (luck_of_the_best(changes, clusters, tried).as_large for tried in (1, 20))
    assert few < 0.1 < many
    assert luck_of_the_best(dict.fromkeys(changes, 0.0), clusters, 20).gain == 0


@pytest.mark.parametrize(("option", "said"), [("--coverage", "How often a true loss"), ("", "Smallest true gain")])
def test_the_command_prints_its_tables(capsys: pytest.CaptureFixture[str], option: str, said: str) -> None:
    assert one_sentence(power, [*option.split(), "--repetitions", "2"]) == 0
    assert said in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("world", RATES, ids=NAMES)
def test_a_95_percent_interval_holds_the_true_rate_in_92_to_99_of_100_runs(world: World) -> None:
    _, _, ours = coverage(world, REPETITIONS)
    # 1,000 runs scatter by 0.7 around 95: the bounds are 92.5 and 99, and stay so.
    assert 0.925 <= ours <= 0.99


@pytest.mark.slow
def test_rows_as_units_hold_the_true_rate_much_less_often() -> None:
    over_rows, _, ours = coverage(World(60, 5, 0.8), REPETITIONS)
    assert over_rows < 0.75 < ours


@pytest.mark.slow
@pytest.mark.parametrize("world", PAIRS, ids=lambda world: f"n{world.n}-k{world.k}-families of {world.family}")
def test_no_more_than_6_of_100_runs_find_a_difference_where_there_is_none(world: World) -> None:
    _, ours, by_flips = false_alarms(world, REPETITIONS)
    assert ours <= 0.065 and by_flips <= 0.065


@pytest.mark.slow
def test_a_test_that_takes_scenarios_of_a_family_as_independent_raises_more_false_alarms() -> None:
    alike = World(60, 5, 0.6, shared=0.95, alike=0.3)
    by_t, ours, by_flips = false_alarms(alike, REPETITIONS)
    assert by_t > 0.12 and ours <= 0.065 and by_flips <= 0.065


@pytest.mark.slow
@pytest.mark.parametrize("world", LOSSES, ids=str)
def test_a_true_loss_as_large_as_the_margin_hardly_ever_passes(world: World | Collapse) -> None:
    by_t, ours = false_passes(world, REPETITIONS)
    assert ours <= 0.035
    # Where a whole family fails or none does, the spread of the families that were seen hides those that were not.
    assert isinstance(world, World) or by_t > ours


@pytest.mark.slow
def test_the_smallest_detectable_difference_is_found_in_80_of_100_runs() -> None:
    world = World(110, 5, 0.6, family=2)
    errors = []
    for base, adapter in world.runs(50):
        changes = {key: adapter[key] - base[key] for key in base}
        errors.append(known_error(paired_difference(base, adapter, world.clusters), changes, world.clusters))
    gain = smallest_detectable(sum(errors) / len(errors), 55)
    found = [
        paired_difference(base, adapter, world.clusters).low > 0
        for base, adapter in World(110, 5, 0.6, gain=gain, family=2).runs(400)
    ]
    assert 0.7 <= sum(found) / len(found) <= 0.92


@pytest.mark.slow
def test_the_number_of_scenarios_that_is_said_to_decide_decides() -> None:
    small, needed = World(48, 5, 0.6, gain=0.08, family=2), []
    for base, adapter in small.runs(100):
        changes = {key: adapter[key] - base[key] for key in base}
        seen = paired_difference(base, adapter, small.clusters)
        truth = Rate(0.08, 0.08 + seen.low - seen.value, 0.08 + seen.high - seen.value, seen.units, seen.clusters)
        needed.append(scenarios_needed(truth, known_error(seen, changes, small.clusters), MARGIN) or 0)
    many = World(sorted(needed)[50], 5, 0.6, gain=0.08, family=2)
    passed = [paired_difference(base, adapter, many.clusters).low > -MARGIN for base, adapter in many.runs(300)]
    assert 0.7 <= sum(passed) / len(passed) <= 0.95
