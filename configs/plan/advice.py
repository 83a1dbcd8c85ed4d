"""What to change when a run does not fit, in the order in which it costs least; every line is a plan of its own."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from configs.combine import Config, merge, override_names
from configs.files import CONFIGS
from configs.plan.plan import Plan, Rows, Verdict, make_plan
from configs.plan.shapes import Shape
from configs.plan.tables import Gpu
from configs.strict_yaml import load_mapping

# Overrides that put a smaller model in the place of the recipe's, the larger one first.
SMALLER: Final = ("qwen3b", "qwen1.5b")
SHORTEST: Final = 1024
# GiB; less is no change worth making.
WORTH_IT: Final = 0.05


@dataclass(frozen=True, slots=True)
class Change:
    """A change in words, the plan with it (and with those before it, for steps), and what that saves in GiB."""

    words: str
    plan: Plan
    saves: float


def steps(config: Mapping[str, Any], rows: Rows, plan: Plan, models: Mapping[str, Shape]) -> Iterator[Change]:
    """Changes on top of each other until the run fits: each time the first in the list that saves something."""
    current, before = dict(config), plan
    while before.verdict is not Verdict.FITS:
        for words, changed in settings(current):
            tried = {**current, **changed}
            after = make_plan(tried, rows, plan.gpu, plan.gpus, models)
            if before.needs - after.needs > WORTH_IT:
                yield Change(words, after, before.needs - after.needs)
                current, before = tried, after
                break
        else:
            return


def settings(config: Mapping[str, Any]) -> Iterator[tuple[str, Config]]:
    """Each change in words and keys: rows only as long as they are in an evaluation, a smaller micro-batch that
    accumulates more, so that a step sees as many rows; shorter rows mean another build with that `max_tokens` in
    configs/data.yml.
    """
    micro, more = int(config.get("micro_batch_size") or 1), int(config.get("gradient_accumulation_steps") or 1)
    if (config.get("eval_batch_size") or micro) > 1 and config.get("test_datasets"):
        yield "eval_batch_size: 1", {"eval_batch_size": 1}
    if micro > 1:
        changed = {"micro_batch_size": 1, "gradient_accumulation_steps": micro * more}
        yield f"micro_batch_size: 1, gradient_accumulation_steps: {micro * more}", changed
    if config.get("pad_to_sequence_len") and config.get("sample_packing"):
        yield "pad_to_sequence_len: false", {"pad_to_sequence_len": False}
    if not config.get("gradient_checkpointing"):
        yield "gradient_checkpointing: true", {"gradient_checkpointing": True}
    if not config.get("activation_offloading") and not config.get("rl"):
        yield "activation_offloading: true, slower", {"activation_offloading": True}
    if (length := int(config["sequence_len"]) // 2) >= SHORTEST:
        yield f"sequence_len: {length}, rows with max_tokens: {length}", {"sequence_len": length}


def others(
    config: Mapping[str, Any], rows: Rows, plan: Plan, models: Mapping[str, Shape], gpus: Mapping[str, Gpu]
) -> Iterator[Change]:
    """Instead of those: each smaller model on this card, and the cheapest card that takes the recipe as it is."""
    for name in (name for name in SMALLER if name in override_names()):
        smaller = merge(config, load_mapping(CONFIGS / f"{name}.yml"))
        changed = make_plan(smaller, rows, plan.gpu, plan.gpus, models)
        if changed.shape.parameters < plan.shape.parameters:
            model = changed.recipe.base_model.rsplit("/", 1)[-1]
            yield Change(f"WITH={name}: {model}", changed, plan.needs - changed.needs)
    cards = [make_plan(config, rows, gpu, plan.gpus, models) for gpu in gpus.values()]
    fitting = [card for card in cards if card.verdict is Verdict.FITS]
    if fitting:
        best = min(fitting, key=lambda card: card.cost)
        yield Change(f"GPU={best.gpu.name}: {best.gpu.memory_gib:g} GiB", best, plan.needs - best.needs)
