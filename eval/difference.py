"""What every paired comparison says of one row: the difference, how sure it is, and what could have been found."""

from dataclasses import dataclass

from eval.power import smallest_detectable
from eval.statistics import Directions, Rate


@dataclass(frozen=True)
class Difference:
    """Adapter minus base over the same items. `p_holm` is `p` corrected for the number of rows that decide.

    `error`: standard error of the difference.
    """

    difference: Rate
    directions: Directions
    p: float
    p_holm: float
    error: float

    @property
    def enough(self) -> bool:
        """Whether there are families enough for an interval."""
        return self.difference.enough

    @property
    def detectable(self) -> float:
        """The smallest true difference, in 0..1, that is found with 80 % probability."""
        return smallest_detectable(self.error, self.difference.clusters)
