"""What stops a round: input that cannot be used, a step that failed, and somebody who asked for the end."""

from collections.abc import Iterable
from typing import Literal


class BadInput(Exception):
    """Input that cannot be used; each line is one sentence that says what is wrong and how to fix it."""


class Failed(Exception):
    """A step that did not work; one sentence, with the log that tells more."""


class Ended(Exception):
    """The round is over before its last step, and nothing failed: `nothing` to learn, or `refused` by the gate."""

    def __init__(self, outcome: Literal["nothing", "refused"], reasons: Iterable[str]) -> None:
        self.outcome, self.reasons = outcome, tuple(reasons)
        super().__init__(" ".join(self.reasons))


class Stopped(BaseException):
    """Somebody wants this process to end now. No `except Exception` may hold it up."""
