"""Does a run learn its rows by heart? The evaluation loss rises while the training loss goes on falling.

The definition, so that noise does not raise it: with e the eval losses and b the place of the lowest,
1. at least two evaluations follow e[b];
2. the mean of the last two lies above e[b] by more than 3 % of e[b] and by more than four times the noise of the
   curve, which is the median of |e[i-1] - 2 e[i] + e[i+1]| as a standard deviation;
3. the mean training loss since the last evaluation but one is lower than in the stretch that led to e[b].
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

AFTER: Final = 2  # evaluations after the best; a single one is an accident
RISE: Final = 0.03  # of the best loss; a model that has learned moves by 1 % between evaluations
NOISES: Final = 4.0
# For independent noise of deviation s, the second difference has s times the root of 1 + 4 + 1, and the median of a
# normal variable's absolute value is 0.6745 of its deviation (Rousseeuw and Croux 1993, J. Am. Stat. Assoc. 88:424).
NOISE_OF_MEDIAN: Final = 1 / (0.6745 * math.sqrt(6))

Curve = Sequence[tuple[int, float]]


@dataclass(frozen=True, slots=True)
class Overfit:
    """From which step on, and how far: the lowest eval loss and the mean of the last two, and the training loss of the
    same two stretches.
    """

    step: int
    eval_best: float
    eval_last: float
    train_best: float
    train_last: float

    def __str__(self) -> str:
        rose = f"the eval loss rose from {self.eval_best:.3f} to {self.eval_last:.3f}"
        fell = f"the training loss fell from {self.train_best:.3f} to {self.train_last:.3f}"
        return f"Over-fitting: since step {self.step} {rose} while {fell}."


def best_of(evals: Curve) -> tuple[int, float] | None:
    """The lowest eval loss with its step, the earliest of equals."""
    return min((pair for pair in evals if math.isfinite(pair[1])), key=lambda pair: pair[1], default=None)


def overfit(train: Curve, evals: Curve) -> Overfit | None:
    """Whether a run over-fitted, by the definition above; `train` and `evals` are (step, loss) in order."""
    evals = [pair for pair in evals if math.isfinite(pair[1])]
    best = min(range(len(evals)), key=lambda place: evals[place][1], default=0)
    if len(evals) - best <= AFTER:
        return None
    step, low = evals[best]
    last = statistics.fmean(loss for _, loss in evals[-AFTER:])
    if last - low <= max(RISE * low, NOISES * noise([loss for _, loss in evals])):
        return None
    before = stretch(train, evals[best - 1][0] if best else 0, step) or stretch(train, step, evals[best + 1][0])
    after = stretch(train, evals[-AFTER][0], evals[-1][0])
    if not before or not after or statistics.fmean(after) >= statistics.fmean(before):
        return None
    return Overfit(step, low, last, statistics.fmean(before), statistics.fmean(after))


def noise(losses: Sequence[float]) -> float:
    """The deviation of a curve from its own trend; 0 for a curve too short to tell."""
    bends = [abs(a - 2 * b + c) for a, b, c in zip(losses, losses[1:], losses[2:], strict=False)]
    return NOISE_OF_MEDIAN * statistics.median(bends) if len(bends) > AFTER else 0.0


def stretch(train: Curve, after: int, until: int) -> list[float]:
    """The training losses of the steps after one evaluation and up to another."""
    return [loss for step, loss in train if after < step <= until and math.isfinite(loss)]
