"""Runs code that a model wrote against hidden tests, where it can do no harm and cannot award itself points.

`choose_sandbox()` gives the first of bubblewrap, namespaces and Landlock that proves itself here; without one, no code
is run. Each call of each test has a process of its own, and all that this process can decide is what its call gave.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from eval.errors import BadInput
from eval.sandbox import bubblewrap, landlock, namespaces
from eval.sandbox.checks import HiddenTest, TestResult, judge
from eval.sandbox.launch import Unusable
from eval.sandbox.probe import why_unsafe
from eval.sandbox.process import LaunchIn, ask

__all__ = ["BACKENDS", "HiddenTest", "Sandbox", "TestResult", "choose_sandbox"]

# In the order of preference.
BACKENDS: Mapping[str, tuple[LaunchIn, str]] = {
    "bubblewrap": (bubblewrap.launch, bubblewrap.FIX),
    "namespaces": (namespaces.launch, namespaces.FIX),
    "landlock": (landlock.launch, landlock.FIX),
}


@dataclass(frozen=True)
class Sandbox:
    """A way to run code that has proved itself here, by its name."""

    name: str
    _launch_in: LaunchIn = field(repr=False)

    def run(self, code: str, tests: Sequence[HiddenTest], seconds: float = 10) -> tuple[TestResult, ...]:
        """One result for each test, after at most `seconds` for all of them.

        `BadInput` where the sandbox no longer starts: that is no fault of the answer.
        """
        try:
            replies = ask(self._launch_in, code, [test.call for test in tests], seconds)
        except Unusable as problem:
            raise BadInput(
                f"the sandbox {self.name} did not start ({problem}); try again, or choose another."
            ) from None
        return tuple(judge(test, reply) for test, reply in zip(tests, replies, strict=True))


def choose_sandbox(preferred: str | None = None) -> Sandbox:
    """The first sandbox that stops a real attempt to break out of it here, or the preferred one.

    `BadInput` with what to do where none does: code of a model is not run without.
    """
    if preferred is not None and preferred not in BACKENDS:
        raise BadInput(f"there is no sandbox {preferred!r}; choose from {', '.join(BACKENDS)}.")
    reasons = []
    for name in [preferred] if preferred else BACKENDS:
        launch_in, fix = BACKENDS[name]
        why = why_unsafe(launch_in)
        if why is None:
            return Sandbox(name, launch_in)
        reasons.append(f"{name}: {why} (fix: {fix})")
    raise BadInput(f"no sandbox works here, so no code is run; {'; '.join(reasons)}.")
