"""Rules about more than one GPU: DeepSpeed, FSDP and Ray (docs/multi-gpu.md)."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from configs.contradictions.rule import KERNELS, Rule, family, has_kernels, number, part

LAYERS: Final = {"qwen2": "Qwen2DecoderLayer", "llama": "LlamaDecoderLayer"}
# Their state is one tensor of bitsandbytes for each weight, which FSDP2 cannot divide.
BITSANDBYTES: Final = ("adamw_8bit", "adamw_bnb_8bit", "paged_", "lion_8bit", "lion_32bit", "ademamix")


def is_fsdp2(config: Mapping[str, Any]) -> bool:
    return bool(config.get("fsdp_config")) and str(config.get("fsdp_version")) == "2"


def wraps_by_layer(config: Mapping[str, Any]) -> bool:
    return is_fsdp2(config) and part(config, "fsdp_config").get("auto_wrap_policy") == "TRANSFORMER_BASED_WRAP"


def wraps_another_family(config: Mapping[str, Any]) -> bool:
    """Whether the named layer is that of another family than the base; unknown families are not judged."""
    layer = part(config, "fsdp_config").get("transformer_layer_cls_to_wrap")
    return layer in LAYERS.values() and layer != LAYERS.get(family(config), layer)


def reads_no_deepspeed(config: Mapping[str, Any]) -> bool:
    """Whether `deepspeed` names a file that is not there or holds no JSON mapping."""
    named = config.get("deepspeed")
    if not isinstance(named, str):
        return False
    try:
        return not isinstance(json.loads(Path(named).read_text(encoding="utf-8")), dict)
    except (OSError, ValueError):
        return True


def is_zero3(config: Mapping[str, Any]) -> bool:
    return "zero3" in str(config.get("deepspeed"))


RULES: Final[tuple[Rule, ...]] = (
    Rule(
        ("deepspeed",),
        reads_no_deepspeed,
        "`deepspeed` names no JSON file, seen from the repository's folder. The one that ships is "
        "configs/deepspeed/zero3.json.",
    ),
    Rule(
        ("deepspeed", "fsdp_config"),
        lambda c: bool(c.get("deepspeed")) and bool(c.get("fsdp_config") or c.get("fsdp")),
        "DeepSpeed and FSDP divide the same model twice. Keep `--with zero3` or `--with fsdp2`.",
    ),
    Rule(
        ("fsdp_version", "fsdp_config"),
        lambda c: bool(c.get("fsdp_config") or c.get("fsdp")) and not is_fsdp2(c),
        "FSDP1 is on its way out of Axolotl. Use `fsdp_version: 2` with an `fsdp_config`.",
    ),
    Rule(
        KERNELS,
        lambda c: bool(c.get("fsdp_config")) and not is_fsdp2(c) and has_kernels(c),
        "the fused LoRA kernels do not work under FSDP1. Use `fsdp_version: 2`.",
    ),
    Rule(
        ("fsdp_config.transformer_layer_cls_to_wrap", "fsdp_config"),
        lambda c: wraps_by_layer(c) and not part(c, "fsdp_config").get("transformer_layer_cls_to_wrap"),
        "without `transformer_layer_cls_to_wrap` FSDP2 divides nothing. Name the layer, such as Qwen2DecoderLayer.",
    ),
    Rule(
        ("fsdp_config.transformer_layer_cls_to_wrap",),
        wraps_another_family,
        "the base has no such layer. Qwen2 and Qwen2.5 have Qwen2DecoderLayer, Llama has LlamaDecoderLayer: put "
        "`fsdp_config: {transformer_layer_cls_to_wrap: ...}` into an override of yours.",
    ),
    Rule(
        ("optimizer", "fsdp_config"),
        lambda c: is_fsdp2(c) and str(c.get("optimizer")).startswith(BITSANDBYTES),
        "FSDP2 cannot divide the state of an optimizer of bitsandbytes. Use `optimizer: adamw_torch_8bit`.",
    ),
    Rule(
        ("fsdp_config.cpu_ram_efficient_loading",),
        lambda c: (
            is_fsdp2(c)
            and bool(c.get("load_in_4bit"))
            and bool(part(c, "fsdp_config").get("cpu_ram_efficient_loading"))
        ),
        "loading 4-bit weights on one rank alone hangs. Set `cpu_ram_efficient_loading: false`.",
    ),
    Rule(
        ("context_parallel_size", "micro_batch_size"),
        lambda c: (
            number(c, "context_parallel_size") > 1
            and bool(c.get("sample_packing"))
            and number(c, "micro_batch_size") != 1
        ),
        "a sequence that is spread over several GPUs needs `micro_batch_size: 1` with packing.",
    ),
    Rule(
        ("ray_num_workers", "ray_run_name", "resources_per_worker"),
        lambda c: not c.get("use_ray") and any(key in c for key in ("ray_num_workers", "resources_per_worker")),
        "without `use_ray: true` these mean nothing. Use `--with ray`.",
    ),
    Rule(
        ("resources_per_worker",),
        lambda c: bool(c.get("use_ray")) and not number({"GPU": 1, **part(c, "resources_per_worker")}, "GPU"),
        "Axolotl asks Ray for GPUs whatever stands here. Give each worker one: `resources_per_worker: {GPU: 1}`.",
    ),
)

NOTES: Final[tuple[Rule, ...]] = (
    Rule(
        ("gradient_checkpointing_kwargs", "deepspeed"),
        lambda c: (
            is_zero3(c)
            and c.get("adapter") == "qlora"
            and part(c, "gradient_checkpointing_kwargs").get("use_reentrant") is False
        ),
        "QLoRA under ZeRO-3 with `use_reentrant: false` may stop with a CheckpointError. `--with zero3` sets true.",
    ),
)
