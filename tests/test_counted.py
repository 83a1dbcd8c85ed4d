"""Numbers with their units read as a person says them."""

from __future__ import annotations

import pytest

from data.counted import counted


@pytest.mark.parametrize(
    ("number", "unit", "said"),
    [
        (0, "row", "0 rows"),
        (1, "row", "1 row"),
        (1500, "row", "1,500 rows"),
        (1, "reply", "1 reply"),
        (2, "reply", "2 replies"),
    ],
)
def test_a_number_agrees_with_its_unit(number: int, unit: str, said: str) -> None:
    assert counted(number, unit) == said
