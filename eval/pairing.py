"""The best one-to-one pairing of two short lists, exact, without scipy.

`best_pairs(scores)` gets the worth of each pair as a matrix and returns the pairs whose sum is largest (the Hungarian
method); `most_pairs(fits)` knows only which pairs fit, and makes as many as can be made.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def best_pairs(scores: Sequence[Sequence[float]]) -> list[tuple[int, int]]:
    """Pairs (row, column) with the largest sum of `scores`, as many as the shorter side has, in order of the rows.

    Rows are added one at a time along a cheapest augmenting path; that is cubic in the number of calls of an answer.
    Source: H. W. Kuhn, The Hungarian method for the assignment problem, 1955, in its form with potentials.
    """
    import numpy as np

    if not scores or not scores[0]:
        return []
    worth = np.asarray(scores, dtype=float)
    if worth.shape[0] > worth.shape[1]:
        return sorted((row, column) for column, row in best_pairs(worth.T.tolist()))
    costs = worth.max() - worth
    owner = np.full(costs.shape[1], -1)
    potentials = np.zeros(costs.shape[0]), np.zeros(costs.shape[1])
    for row in range(costs.shape[0]):
        _add_row(costs, owner, potentials, row)
    return sorted((int(row), column) for column, row in enumerate(owner) if row >= 0)


def _add_row(costs: "np.ndarray", owner: "np.ndarray", potentials: "tuple[np.ndarray, np.ndarray]", row: int) -> None:
    """Gives `row` a column, moving earlier rows to other columns where that is cheaper."""
    import numpy as np

    of_rows, of_columns = potentials
    width = costs.shape[1]
    slack, came_from = np.full(width, np.inf), np.full(width, -1)
    done = np.zeros(width, dtype=bool)
    current, column = row, -1
    while current >= 0:
        if column >= 0:
            done[column] = True
        reduced = costs[current] - of_rows[current] - of_columns
        better = ~done & (reduced < slack)
        slack[better], came_from[better] = reduced[better], column
        nearest = int(np.where(done, np.inf, slack).argmin())
        step = slack[nearest]
        of_rows[row] += step
        of_rows[owner[done]] += step
        of_columns[done] -= step
        slack[~done] -= step
        current, column = int(owner[nearest]), nearest
    while column >= 0:
        previous = int(came_from[column])
        owner[column] = owner[previous] if previous >= 0 else row
        column = previous


def most_pairs(fits: Sequence[Sequence[int]]) -> dict[int, int]:
    """Which item holds each taken place, where `fits` lists for each item the places that fit it.

    A maximum matching by augmenting paths. A free place is taken before one is taken away, so that equal items get the
    places in their own order.
    """
    holder: dict[int, int] = {}

    def settle(item: int, tried: set[int]) -> bool:
        free = next((place for place in fits[item] if place not in holder), None)
        if free is not None:
            holder[free] = item
            return True
        for place in fits[item]:
            if place not in tried:
                tried.add(place)
                if settle(holder[place], tried):
                    holder[place] = item
                    return True
        return False

    for item in range(len(fits)):
        settle(item, set())
    return holder
