"""Rules about the base model, the adapter and the numbers that both are made of."""

from collections.abc import Mapping
from typing import Any, Final

from configs.contradictions.rule import KERNELS, Rule, has_kernels, number

# Axolotl's own list (utils/schemas/enums.py, config.py): with these, packed rows do not see each other.
KEEPS_ROWS_APART: Final = ("flash", "flex_attention", "xformers", "sage", "fp8", "sdpa", "eager", "kernels-community/")
# Axolotl stops at these with a bare DeprecationWarning.
GONE: Final = ("s2_attention", "max_packed_sequence_len", "flash_attn_rms_norm")


def lets_packs_leak(config: Mapping[str, Any]) -> bool:
    attention = str(config.get("attn_implementation") or "")
    legacy = any(config.get(key) for key in ("flash_attention", "sdp_attention", "flex_attention", "eager_attention"))
    return bool(config.get("sample_packing")) and not legacy and not attention.startswith(KEEPS_ROWS_APART)


def packs_under_sdpa(config: Mapping[str, Any]) -> bool:
    packed = config.get("sample_packing") and config.get("attn_implementation") == "sdpa"
    return bool(packed and config.get("bf16"))


RULES: Final[tuple[Rule, ...]] = (
    Rule(
        ("load_in_4bit", "adapter"),
        lambda c: c.get("adapter") == "qlora" and not c.get("load_in_4bit"),
        "`adapter: qlora` needs `load_in_4bit: true`. Set it, or use `adapter: lora`.",
    ),
    Rule(
        ("load_in_4bit", "adapter"),
        lambda c: c.get("adapter") == "lora" and bool(c.get("load_in_4bit")),
        "`adapter: lora` with `load_in_4bit: true` is QLoRA under another name. Use `adapter: qlora`.",
    ),
    Rule(
        ("load_in_8bit",),
        lambda c: c.get("adapter") == "qlora" and bool(c.get("load_in_8bit")),
        "`adapter: qlora` is for 4-bit weights. Remove `load_in_8bit`, or use `adapter: lora` without `load_in_4bit`.",
    ),
    Rule(
        ("lora_r", "adapter"),
        lambda c: c.get("adapter") in ("lora", "qlora") and not c.get("lora_r"),
        "an adapter without `lora_r` has no rank. Set lora_r.",
    ),
    Rule(
        ("lora_target_linear",),
        lambda c: bool(c.get("lora_target_linear") and c.get("lora_target_modules")),
        "`lora_target_linear` and `lora_target_modules` are joined without a word. Keep one of them.",
    ),
    Rule(
        ("load_in_8bit", *KERNELS),
        lambda c: c.get("adapter") == "lora" and bool(c.get("load_in_8bit")) and has_kernels(c),
        "the fused LoRA kernels do not work on 8-bit weights. Set the three lora_*_kernel to false.",
    ),
    Rule(
        ("trust_remote_code", *KERNELS),
        lambda c: bool(c.get("trust_remote_code")) and has_kernels(c),
        "the fused LoRA kernels do not know a model's own code. Remove `trust_remote_code`, or set the three "
        "lora_*_kernel to false.",
    ),
    Rule(
        ("flash_attention",),
        lambda c: "flash_attention" in c and "attn_implementation" in c,
        "`flash_attention` is the old name of `attn_implementation` and cannot stand beside it. Remove it.",
    ),
    Rule(
        ("attn_implementation", "sample_packing"),
        lets_packs_leak,
        "with this attention the rows of a pack see each other. Use `attn_implementation: flash_attention_2`, or set "
        "sample_packing to false.",
    ),
    Rule(
        ("activation_offloading",),
        lambda c: bool(c.get("activation_offloading")) and not c.get("gradient_checkpointing"),
        "`activation_offloading` needs `gradient_checkpointing: true`. Set it, or remove the offloading.",
    ),
    Rule(
        ("cut_cross_entropy",),
        lambda c: bool(c.get("cut_cross_entropy") and c.get("liger_fused_linear_cross_entropy")),
        "`cut_cross_entropy` and `liger_fused_linear_cross_entropy` exclude each other. Remove one.",
    ),
    Rule(
        ("fp16", "bf16"),
        lambda c: c.get("fp16") is True and c.get("bf16") is True,
        "`fp16` and `bf16` exclude each other. Remove fp16.",
    ),
    Rule(
        ("save_safetensors",),
        lambda c: c.get("save_safetensors") is False,
        "weights are always saved as safetensors. Remove `save_safetensors`.",
    ),
    Rule(
        GONE,
        lambda c: any(c.get(key) for key in GONE),
        "`s2_attention`, `max_packed_sequence_len` and `flash_attn_rms_norm` are gone from Axolotl. Remove it.",
    ),
    Rule(
        ("rope_scaling",),
        lambda c: bool(c.get("rope_scaling")),
        "`rope_scaling` is gone from Axolotl. Put its values under `overrides_of_model_config`.",
    ),
)

NOTES: Final[tuple[Rule, ...]] = (
    Rule(
        ("attn_implementation",),
        packs_under_sdpa,
        "Axolotl warns that packed rows under sdpa in bf16 can train on a loss of 0 on cards before the H100. Look at "
        "the first losses, or use flash_attention_2.",
    ),
    Rule(
        ("eval_batch_size",),
        lambda c: number(c, "eval_batch_size") > max(1, number(c, "micro_batch_size")),
        "`eval_batch_size` is larger than `micro_batch_size`: the peak of memory may come with the first evaluation.",
    ),
)
