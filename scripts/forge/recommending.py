"""Which overrides of the recipe fit this machine, by the arithmetic of configs/plan."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from scripts.forge.hardware import ALIKE, Hardware, like

# The base recipe first, then what makes it smaller, the larger one first.
TRIED: Final = ((), ("qwen3b",), ("qwen1.5b",))
# Of the memory of Apple silicon, which model and system share; mlx-lm trains with half-precision weights here.
SHARED: Final = 0.6


@dataclass(frozen=True, slots=True)
class Advice:
    """`overrides` for `--with`; `trains` says whether this machine can train a real base at all."""

    backend: str
    overrides: tuple[str, ...]
    base_model: str
    trains: bool
    why: str

    @property
    def options(self) -> str:
        """As `forge train` takes it."""
        backend = f" --backend {self.backend}" if self.backend != "axolotl" else ""
        return backend + "".join(f" --with {name}" for name in self.overrides)


def recommend(hardware: Hardware) -> Advice:
    """The largest base that the plan says fits, with rows of full length."""
    if hardware.kind == "cpu":
        why = "no GPU: the tiny base of `make smoke` trains here, a real one on a rented machine (forge remote full)"
        return Advice("axolotl", (), base_of(()), False, why)
    found = on_cuda(hardware) if hardware.kind == "cuda" else on_apple(hardware)
    if (advice := next(found, None)) is not None:
        return advice
    why = "this machine has too little memory for the smallest base; rent one (forge remote full)"
    return Advice("axolotl", ("qwen1.5b",), base_of(("qwen1.5b",)), False, why)


def base_of(overrides: tuple[str, ...]) -> str:
    from configs.combine import combine

    return str(combine("gastown", overrides)["base_model"])


def on_cuda(hardware: Hardware) -> Iterator[Advice]:
    from configs.plan.hardware import plan_of
    from configs.plan.plan import Verdict
    from configs.plan.tables import load_gpus

    card = like(hardware)
    assert card is not None
    # The table's card has the speed; the memory is what was found, less what its driver keeps.
    listed, found = load_gpus()[card], hardware.cards[0][1]
    is_no_larger = ALIKE * listed.memory_gib <= found
    gpu = replace(listed, memory_gib=max(listed.memory_gib if is_no_larger else 0, ALIKE * found))
    for overrides in TRIED:
        plan = plan_of(overrides, {}, gpu)
        if plan.verdict is Verdict.FITS:
            why = f"the plan says {plan.needs:.1f} of {gpu.memory_gib:.1f} GiB with rows of full length"
            yield Advice("axolotl", overrides, plan.recipe.base_model, True, why)


def on_apple(hardware: Hardware) -> Iterator[Advice]:
    from configs.plan.tables import find_shape, load_models

    for overrides in TRIED:
        base = base_of(overrides)
        weights = find_shape(base, load_models()).parameters * 2 / 2**30
        if weights * 1.5 <= hardware.memory_gib * SHARED:
            why = f"its weights take {weights:.1f} of {hardware.memory_gib:.0f} GiB, which system and model share"
            yield Advice("mlx", overrides, base, True, why)
