"""Rules about training on preferences (`rl:`)."""

from typing import Final

from configs.contradictions.rule import Rule, blocks, part, trains_preferences

# Axolotl stops at these with a bare DeprecationWarning: TRL no longer has them.
GONE: Final = ("rpo_alpha", "dpo_norm_loss", "dpo_use_logits_to_keep", "dpo_generate_during_eval")

RULES: Final[tuple[Rule, ...]] = (
    Rule(
        ("sample_packing", "rl"),
        lambda c: trains_preferences(c) and bool(c.get("sample_packing")),
        "preferences cannot be packed. Set `sample_packing: false`.",
    ),
    Rule(
        ("remove_unused_columns", "rl"),
        lambda c: c.get("rl") == "kto" and c.get("remove_unused_columns") is not False,
        "KTO needs `remove_unused_columns: false`: its labels are a column that the model does not know. Add it.",
    ),
    Rule(
        GONE,
        lambda c: any(c.get(key) is not None for key in GONE),
        "`rpo_alpha`, `dpo_norm_loss`, `dpo_use_logits_to_keep` and `dpo_generate_during_eval` are gone. Remove it.",
    ),
    Rule(
        ("dpo_beta",),
        lambda c: c.get("dpo_beta") is not None,
        "`dpo_beta` is the old name of `rl_beta`. Rename it.",
    ),
    Rule(
        ("datasets", "rl"),
        lambda c: trains_preferences(c) and any(block.get("type") == "chat_template" for block in blocks(c)),
        "`type: chat_template` reads conversations, not preferences. Use `--with dpo` or `--with kto`.",
    ),
    Rule(
        ("rl", "fsdp_version"),
        lambda c: (
            c.get("rl") in ("dpo", "kto", "orpo", "ipo")
            and c.get("fsdp_version") == 2
            and bool(c.get("load_in_4bit") or c.get("load_in_8bit"))
        ),
        "FSDP2 does not train preferences on 4-bit or 8-bit weights. Use one GPU or DDP, or 16-bit `adapter: lora`.",
    ),
    Rule(
        ("gradient_checkpointing_kwargs", "rl"),
        lambda c: (
            trains_preferences(c)
            and bool(c.get("deepspeed"))
            and bool(part(c, "gradient_checkpointing_kwargs").get("use_reentrant"))
            and bool(c.get("load_in_4bit"))
        ),
        "preferences on 4-bit weights and several GPUs need `use_reentrant: false`, and ZeRO-3 needs true. Use DDP: no "
        "override, only more GPUs.",
    ),
)
