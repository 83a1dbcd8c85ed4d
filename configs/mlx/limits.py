"""What mlx-lm cannot do: recipes that it refuses, and what it leaves out of one without harm."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from configs.combine import START, method_of

# Where the modules that a recipe names lie in a layer, for the families of the recipes: Qwen, Llama, Mistral.
MODULES: Final = {
    **dict.fromkeys(("q_proj", "k_proj", "v_proj", "o_proj"), "self_attn"),
    **dict.fromkeys(("gate_proj", "up_proj", "down_proj"), "mlp"),
}
SCHEDULES: Final = ("cosine", "linear", "constant", "constant_with_warmup")
DIVIDING: Final = ("deepspeed", "fsdp_config", "use_ray")
OTHER_ADAPTERS: Final = ("peft_use_dora", "peft_use_rslora", "peft_layers_to_transform", "lora_modules_to_save")


def problems_of(config: Mapping[str, Any]) -> Iterator[str]:
    """Why mlx-lm cannot train this recipe, each with what to do."""
    if rl := method_of(config):
        yield f"`rl: {rl}`: mlx-lm does not learn from preferences. Leave out `--with {rl}`, or train it with Axolotl."
    if config.get("adapter") not in ("lora", "qlora"):
        yield f"`adapter: {config.get('adapter')}`: with mlx-lm only lora becomes an adapter. Set `adapter: lora`."
    if START in config:
        yield f"`{START}`: mlx-lm starts from no adapter of PEFT. Leave out `--with sft`, or train it with Axolotl."
    for key in (key for key in (*DIVIDING, *OTHER_ADAPTERS) if config.get(key)):
        yield f"`{key}`: there is no such thing with mlx-lm. Leave it out, or train it with Axolotl."
    targets = config.get("lora_target_modules")
    unknown = sorted(set(targets) - set(MODULES)) if isinstance(targets, list) else ["lora_target_linear"]
    if unknown:
        yield f"`lora_target_modules`: with mlx-lm name some of {', '.join(MODULES)}, not {', '.join(unknown)}."
    if (schedule := config.get("lr_scheduler", "cosine")) not in SCHEDULES:
        yield f"`lr_scheduler: {schedule}`: with mlx-lm use {', '.join(SCHEDULES)}."
    if any(block.get("field_messages") != "conversations" for block in config["datasets"]):
        yield "rows in the base model's own tool format: mlx-lm trains the ordinary ones. Leave out `--with native`."


def notes_on(config: Mapping[str, Any]) -> Iterator[str]:
    """What of the recipe does not count, one sentence each."""
    if config.get("load_in_4bit"):
        yield (
            "load_in_4bit does not count: mlx-lm has its own quantisation and trains on the base as it is stored. For "
            "4 bits set base_model to one of mlx-community; its adapter then belongs to that base."
        )
    if config.get("sample_packing"):
        yield "sample_packing does not count: mlx-lm pads the rows of a batch."
    if config.get("max_grad_norm"):
        yield "max_grad_norm does not count: mlx-lm does not clip gradients."
    if config.get("load_best_model_at_end") or config.get("early_stopping_patience"):
        yield "the run is not stopped early and keeps its last adapter: forge eval judges it afterwards."
