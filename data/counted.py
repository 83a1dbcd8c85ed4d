"""Numbers with their units, as a person says them: 1 row, 2 rows, 1,500 replies."""

from __future__ import annotations


def counted(number: int, unit: str) -> str:
    """A number of things; `unit` is the word for one of them."""
    many = f"{unit[:-1]}ies" if unit.endswith("y") else f"{unit}s"
    return f"{number:,} {unit if number == 1 else many}"
