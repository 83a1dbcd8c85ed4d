"""What each recipe needs and on which card: `python -m configs.plan.hardware [--write]`.

Prints the tables of docs/hardware.md: rows as long as sequence_len, in training and in evaluation, the worst that there
can be. --write puts them into that file.
"""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from configs.combine import combine
from configs.plan.plan import Plan, Rows, Verdict, make_plan
from configs.plan.tables import Gpu, load_gpus, load_models
from configs.plan.tabulate import run

REPORT: Final = Path("docs/hardware.md")
SHORT: Final[dict[str, Any]] = {"sequence_len": 2048}
LARGE: Final[dict[str, Any]] = {"micro_batch_size": 1, "gradient_accumulation_steps": 8}
# (recipe in words, overrides, further keys): what ships with the recipes, and larger models by their name alone.
RECIPES: Final[tuple[tuple[str, tuple[str, ...], dict[str, Any]], ...]] = (
    ("`WITH=qwen1.5b`, which is not evaluated on the way", ("qwen1.5b",), {}),
    ("`WITH=qwen3b`, rows of 2048", ("qwen3b",), SHORT),
    ("`WITH=qwen3b`", ("qwen3b",), {}),
    ("base, rows of 2048", (), SHORT),
    ("base (Qwen2.5-7B)", (), {}),
    ("`WITH=llama31` (Llama-3.1-8B)", ("llama31",), {}),
    ("Qwen2.5-14B, one row at a time", (), {**LARGE, "base_model": "Qwen/Qwen2.5-14B-Instruct"}),
    ("Qwen2.5-32B, one row at a time", (), {**LARGE, "base_model": "Qwen/Qwen2.5-32B-Instruct"}),
    ("Qwen2.5-72B, one row at a time", (), {**LARGE, "base_model": "Qwen/Qwen2.5-72B-Instruct"}),
)
DIVIDED: Final = ("Qwen2.5-7B", "Qwen2.5-32B", "Qwen2.5-72B")


def main(arguments: list[str] | None = None) -> int:
    return run("configs.plan.hardware", __doc__.splitlines()[0], REPORT, report, arguments)


def report() -> Iterator[str]:
    gpus = load_gpus()
    yield "| recipe | weights | training | evaluation | needed | smallest card | tokens/s there |"
    yield "|---|--:|--:|--:|--:|---|--:|"
    yield from (line(words, overrides, changes, gpus) for words, overrides, changes in RECIPES)
    yield "\nGiB on each of several cards, one row at a time, rows of 4096:\n"
    yield "| model | cards | every card all of it (DDP) | `WITH=zero3` | `WITH=fsdp2` |"
    yield "|---|--:|--:|--:|--:|"
    for model in DIVIDED:
        for cards in (2, 4, 8):
            ways = ((), ("zero3",), ("fsdp2",))
            needs = (f"{plan_of(way, large(model), gpus['h100'], cards).needs:.0f}" for way in ways)
            yield f"| {model} | {cards} | {' | '.join(needs)} |"


def large(model: str) -> dict[str, Any]:
    return {**LARGE, "base_model": f"Qwen/{model}-Instruct"}


def line(words: str, overrides: tuple[str, ...], changes: Mapping[str, Any], gpus: Mapping[str, Gpu]) -> str:
    plans = [plan_of(overrides, changes, gpu) for gpu in gpus.values()]
    fitting = [plan for plan in plans if plan.verdict is Verdict.FITS]
    memory = plans[0].memory
    sizes = {moment.name: f"{moment.total / 2**30:.1f}" for moment in memory.moments}
    weights = f"{memory.peak.parts['weights'] / 2**30:.1f}"
    training = max(sizes["backward pass"], sizes["loss"], key=float)
    smallest = min(fitting, key=lambda plan: plan.gpu.memory_gib, default=None)
    card = [smallest.gpu.name, f"{smallest.duration.tokens_per_second:,.0f}"] if smallest else ["none alone", ""]
    return f"| {' | '.join([words, weights, training, sizes.get('evaluation', '-'), f'{plans[0].needs:.1f}', *card])} |"


def plan_of(overrides: tuple[str, ...], changes: Mapping[str, Any], gpu: Gpu, cards: int = 1) -> Plan:
    """A recipe on rows of full length, as many as eight steps take."""
    config = {**combine("gastown", overrides), **changes}
    length = int(config["sequence_len"])
    rows = 8 * int(config["micro_batch_size"]) * int(config["gradient_accumulation_steps"]) * cards
    return make_plan(config, Rows([length] * rows, [length] * 8, 0), gpu, cards, load_models())


if __name__ == "__main__":
    sys.exit(main())
