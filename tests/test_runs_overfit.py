"""Over-fitting is said when the eval loss rises for good while the training loss falls, and never because of noise."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.runs.overfit import Curve, best_of, noise, overfit

EVERY = 10  # steps between two evaluations


def evaluated(losses: list[float]) -> Curve:
    return [(EVERY * place, loss) for place, loss in enumerate(losses)]


def falling(evaluations: int, lowest: float = 0.2) -> Curve:
    """Training losses from 3 towards `lowest`, one for each step."""
    steps = EVERY * (evaluations - 1)
    return [(step, lowest + (3 - lowest) * math.exp(-3 * step / steps)) for step in range(1, steps + 1)]


levels = st.floats(0.01, 20)


@given(losses=st.lists(levels, min_size=2, max_size=30))
def test_a_curve_that_only_falls_is_never_over_fitted(losses: list[float]) -> None:
    evals = evaluated(sorted(losses, reverse=True))
    assert overfit(falling(len(evals)), evals) is None


@given(losses=st.lists(levels, min_size=2, max_size=30), wobble=st.data())
def test_one_percent_of_noise_on_a_falling_curve_is_no_over_fitting(losses: list[float], wobble: st.DataObject) -> None:
    noisy = [loss * (1 + wobble.draw(st.floats(-0.01, 0.01))) for loss in sorted(losses, reverse=True)]
    assert overfit(falling(len(noisy)), evaluated(noisy)) is None


@given(
    down=st.integers(1, 8),
    up=st.integers(3, 10),
    low=st.floats(0.1, 5),
    fall=st.floats(0.2, 3),
    rise=st.floats(0.1, 3),
)
def test_the_textbook_case_is_always_said(down: int, up: int, low: float, fall: float, rise: float) -> None:
    """A fall to the lowest loss, then a rise by a tenth of it or more, both straight."""
    before = [low * (1 + fall * (down - place) / down) for place in range(down)]
    after = [low * (1 + rise * place / up) for place in range(up + 1)]
    evals = evaluated([*before, *after])
    found = overfit(falling(len(evals)), evals)
    assert found is not None
    assert (found.step, found.eval_best) == (EVERY * down, low)
    assert found.eval_last > low and found.train_last < found.train_best


@given(losses=st.lists(levels, min_size=3, max_size=30), unit=st.floats(0.1, 10))
def test_the_unit_of_the_loss_does_not_matter(losses: list[float], unit: float) -> None:
    train, evals = falling(len(losses)), evaluated(losses)
    scaled = overfit([(s, unit * loss) for s, loss in train], [(s, unit * loss) for s, loss in evals])
    plain = overfit(train, evals)
    if plain is None or scaled is None:
        last = sum(losses[-2:]) / 2 - min(losses)
        limit = max(0.03 * min(losses), 4 * noise(losses))
        assert plain is scaled or math.isclose(last, limit, rel_tol=1e-6)
    else:
        assert scaled.step == plain.step and math.isclose(scaled.eval_last, unit * plain.eval_last)


UP = [3.0, 2.0, 1.5, 1.2, 1.4, 1.6, 1.9]


def test_a_rise_of_both_losses_is_another_trouble() -> None:
    rising = [(step, 1 + step / 60) for step in range(1, 61)]
    assert overfit(rising, evaluated(UP)) is None
    assert overfit(falling(7), evaluated(UP)) is not None


@pytest.mark.parametrize(
    ("losses", "is_said"),
    [
        ([], False),
        ([1.0], False),
        ([1.0, 2.0], False),  # one evaluation after the best
        ([1.0, 2.0, 3.0], True),  # the base was better than all that came after
        (UP[:5], False),
        (UP[:6], False),  # so few and so bent that it may be noise
        (UP, True),
        ([*UP, 1.3, 1.21], False),  # it came back down
        ([2.0, 1.0, 2.0, 1.0, 2.0, 1.0, 2.0, 1.5], False),  # it jumps like that all the time
        ([*UP[:3], math.nan, *UP[3:]], True),
    ],
)
def test_cases_by_hand(losses: list[float], is_said: bool) -> None:
    assert (overfit(falling(max(2, len(losses))), evaluated(losses)) is not None) == is_said


def test_the_best_is_the_earliest_of_equals_and_a_number() -> None:
    assert best_of([(0, math.nan), (10, 2.0), (20, 1.0), (30, 1.0)]) == (20, 1.0)
    assert best_of([]) is None
