"""Invented results of role_bench for tests: runs whose every pass and failure is chosen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from eval.results import Episode, Overlap, RoleBench, summarize
from eval.transcript import Step
from eval.verdict import Check

Passes = Callable[[int, int], bool]
ADAPTER = {"path": "output/adapters/mayor", "sha256": "5a" * 32, "max_logit_change": 0.58}
FACTS: dict[str, Any] = {"backend": "hf", "base_model": "tiny", "template_sha256": "t", "base_revision": "r"}
SETTINGS: dict[str, int | float | str] = {"max_new_tokens": 256, "batch_size": 16, "seed": 1234, "samples": 2}


def make_episode(
    name: str = "mayor-mail-1", sample: int = 0, passed: bool = True, answers: Sequence[str] = (), **other: Any
) -> Episode:
    """One sample of a scenario; its role and family are the first words of its name."""
    role, family, _ = name.split("-", 2)
    said = tuple(answers) or (("Done.", "All is well.") if passed else ("I cannot.",))
    steps = tuple(Step(text, ("ok",), False, 900 + n, 40, 0.5 + n) for n, text in enumerate(said))
    note = "" if passed else "No call of Bash gt mail, no tool was called."
    checks = (Check("form", True), Check("call 1", passed, note, gate=False))
    known = {
        "id": name,
        "role": role,
        "family": family,
        "held_out": False,
        "sample": sample,
        "variables": {"bead": f"pe-81{sample}"},
        "asked": ({"role": "user", "content": f"Read the mail about pe-81{sample}."},),
        "steps": steps,
        "passed": passed,
        "partial": float(passed),
        "explanation": note or "All 2 checks hold.",
        "checks": checks,
    }
    return Episode(**{**known, **other})


def make_run(episodes: Sequence[Episode], adapter: bool = False, **other: Any) -> RoleBench:
    """A run of these episodes, of a base model or of an adapter."""
    roles = sorted({episode.role for episode in episodes})
    known: dict[str, Any] = {
        "model": "output/adapters/mayor" if adapter else "base",
        "facts": {**FACTS, "adapter": ADAPTER if adapter else None},
        "settings": SETTINGS,
        "versions": {"python": "3.11", "lm_eval": "0.4.11"},
        "scenarios": {role: f"scenarios of {role}" for role in roles},
        "systems": {role: f"system of {role}" for role in roles},
        "floor": dict.fromkeys(roles, 0.1),
        "contaminated": {},
        "smoke": False,
        "summary": summarize(episodes),
        "episodes": tuple(episodes),
    }
    return RoleBench(**{**known, **other})


def make_side(
    passes: Passes, roles: Sequence[str] = ("mayor",), families: int = 10, variants: int = 2, samples: int = 2
) -> list[Episode]:
    """Episodes of every role, family and variant; `passes(scenario, sample)` says which pass.

    Every second family is held out. Scenarios are numbered over all roles.
    """
    names = [
        (f"{role}-family{family}-{variant}", family % 2 == 1)
        for role in roles
        for family in range(families)
        for variant in range(variants)
    ]
    return [
        make_episode(name, sample, passes(number, sample), held_out=held_out)
        for number, (name, held_out) in enumerate(names)
        for sample in range(samples)
    ]


def make_pair(base: Passes, adapter: Passes, **size: Any) -> tuple[RoleBench, RoleBench]:
    """Two runs over the same scenarios."""
    return make_run(make_side(base, **size)), make_run(make_side(adapter, **size), adapter=True)


def every(_scenario: int, _sample: int) -> bool:
    """All samples pass."""
    return True


def none(_scenario: int, _sample: int) -> bool:
    """No sample passes."""
    return False


def one_in(number: int) -> Passes:
    """Every `number`-th scenario passes."""
    return lambda scenario, _: scenario % number == 0


def save(run: RoleBench, path: Path) -> Path:
    """The run as a results file."""
    path.write_bytes(msgspec.json.encode(run))
    return path


def contaminated(*names: str) -> dict[str, Overlap]:
    """These scenarios stand in the training rows."""
    return {name: Overlap(0.4, 0.95, "Read the mail.") for name in names}
