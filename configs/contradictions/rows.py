"""Rules about the rows: which column, which of their words are trained, where a reply ends."""

from collections.abc import Mapping
from typing import Any, Final

from configs.contradictions.rule import Rule, blocks, family, part, trains_preferences


def ignores_flags(config: Mapping[str, Any]) -> bool:
    """Preferences have no flags: what is chosen is trained."""
    flagged = all(block.get("message_field_training") == "train" for block in blocks(config))
    return not flagged and not trains_preferences(config)


def reads_no_calls(block: Mapping[str, Any]) -> bool:
    """Whether a block reads native rows so that Axolotl drops calls which it does not find in the template."""
    return block.get("field_messages") == "messages" and "tool_calls" not in part(block, "message_property_mappings")


def packs_evaluation(config: Mapping[str, Any]) -> bool:
    """Unset, it follows `sample_packing`."""
    packed = config.get("eval_sample_packing", config.get("sample_packing"))
    return bool(packed) and "test_datasets" in config


def never_ends(block: Mapping[str, Any]) -> bool:
    """Unset, the end of a trained turn is trained."""
    return block.get("type") == "chat_template" and block.get("train_on_eos") in ("none", False)


def names_no_end(config: Mapping[str, Any]) -> bool:
    return not (config.get("eot_tokens") or part(config, "special_tokens").get("eos_token"))


def is_plain_qwen(config: Mapping[str, Any]) -> bool:
    name = str(config.get("base_model", "")).lower()
    return name.startswith("qwen/qwen2") and "-instruct" not in name and "-chat" not in name


def is_llama_3(config: Mapping[str, Any]) -> bool:
    name = str(config.get("base_model", "")).lower()
    return family(config) == "llama" and "llama-3" in name


def lacks_pad(config: Mapping[str, Any]) -> bool:
    return is_llama_3(config) and not part(config, "special_tokens").get("pad_token")


RULES: Final[tuple[Rule, ...]] = (
    Rule(
        ("datasets",),
        lambda c: any(str(block.get("type")).startswith("sharegpt") for block in blocks(c)),
        "`type: sharegpt` is gone from Axolotl. Use `type: chat_template` with `field_messages: conversations`.",
    ),
    Rule(
        ("datasets",),
        ignores_flags,
        "without `message_field_training: train` every reply is trained, whatever its row says. Add it.",
    ),
    Rule(
        ("datasets",),
        lambda c: not trains_preferences(c) and any(map(reads_no_calls, blocks(c))),
        "native rows without `tool_calls` in `message_property_mappings` may lose their calls. Use `--with native`.",
    ),
    Rule(
        ("datasets",),
        lambda c: any(map(never_ends, blocks(c))),
        "with `train_on_eos: none` a model never learns to stop. Use `train_on_eos: turn`.",
    ),
    Rule(
        ("val_set_size",),
        lambda c: bool(c.get("val_set_size") and c.get("test_datasets")),
        "`val_set_size` and `test_datasets` exclude each other. Remove val_set_size: our split is by session.",
    ),
    Rule(
        ("eval_sample_packing", "sample_packing"),
        packs_evaluation,
        "packed evaluation makes no batch at all from a small validation file. Set `eval_sample_packing: false`.",
    ),
    Rule(
        ("chat_template",),
        lambda c: c.get("chat_template") == "jinja" and not c.get("chat_template_jinja"),
        "`chat_template: jinja` needs the template in `chat_template_jinja`. Add it, or use tokenizer_default.",
    ),
    Rule(
        ("chat_template",),
        lambda c: c.get("chat_template") == "llama3" and any(b.get("field_messages") == "messages" for b in blocks(c)),
        "Axolotl's own `llama3` template shows no tools, and native rows have them. Use tokenizer_default.",
    ),
    Rule(
        ("eot_tokens", "base_model"),
        lambda c: is_plain_qwen(c) and names_no_end(c),
        "this base ends texts with <|endoftext|> and turns with <|im_end|>, so no reply would learn to end. "
        'Add `eot_tokens: ["<|im_end|>"]`, or use its -Instruct version.',
    ),
    Rule(
        ("eot_tokens", "base_model"),
        lambda c: is_llama_3(c) and names_no_end(c),
        'Llama 3 ends a turn with <|eot_id|>, which not every copy names as its end. Add `eot_tokens: ["<|eot_id|>"]`.',
    ),
    Rule(
        ("special_tokens", "base_model"),
        lacks_pad,
        "Llama 3 has no pad token; Axolotl takes its end mark, which then leaves the loss. Set "
        '`special_tokens: {pad_token: "<|finetune_right_pad_id|>"}`.',
    ),
)

NOTES: Final[tuple[Rule, ...]] = (
    Rule(
        ("excess_length_strategy", "sequence_len"),
        lambda c: c.get("excess_length_strategy", "drop") != "raise",
        "rows that are too long leave or are cut without a word. `excess_length_strategy: raise` would name them.",
    ),
    Rule(
        ("pad_to_sequence_len",),
        lambda c: bool(c.get("sample_packing")) and c.get("pad_to_sequence_len") is False,
        "packs of unequal length make memory uneven. Axolotl recommends `pad_to_sequence_len: true` with packing.",
    ),
)
