"""What is read back from the file of the votes: votes that stand, and the matches that they are on."""

from dataclasses import dataclass

from eval.people.endpoint import Side
from eval.people.match import Choice


@dataclass(frozen=True)
class Vote:
    """One vote that stands; `first` is the side that was shown first."""

    number: int
    at: str
    author: str
    task: str
    first: Side
    choice: Choice

    @property
    def points(self) -> float | None:
        """What it gives the local model: 1 won, 0.5 tie, 0 lost; None for a skipped task."""
        if self.choice in ("tie", "skip"):
            return 0.5 if self.choice == "tie" else None
        return float((self.choice == "first") == (self.first is Side.LOCAL))


@dataclass(frozen=True)
class Costs:
    """What one side's answer cost; None where nobody counted."""

    seconds: float | None
    prompt_tokens: int | None
    new_tokens: int | None


@dataclass(frozen=True)
class Task:
    """A task of a stored match."""

    id: str
    kind: str
    cluster: str
    same: bool
    local: Costs
    strong: Costs


@dataclass(frozen=True)
class StoredMatch:
    """A match as the votes know it: without the answers, which stay in the results files."""

    id: str
    at: str
    local: str
    strong: str
    tasks: tuple[Task, ...]
