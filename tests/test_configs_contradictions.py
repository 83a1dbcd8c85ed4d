"""Settings that are right one by one and wrong together: each rule is met by a recipe that breaks it alone."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.combine import combine, merge
from configs.contradictions import NOTES, RULES, contradictions, doubts
from configs.files import BASE_FILE
from configs.strict_yaml import load_mapping

KEYS = sorted({key.split(".")[0] for rule in (*RULES, *NOTES) for key in rule.keys} | {"base_model", "num_epochs"})
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3) | st.floats(0, 1) | st.sampled_from(["dpo", "steps", "zero3", ""]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["type", "path", "GPU"]), inner),
    max_leaves=4,
)
FSDP2 = {"fsdp_version": 2, "optimizer": "adamw_torch_8bit"}
LAYER = {"auto_wrap_policy": "TRANSFORMER_BASED_WRAP", "transformer_layer_cls_to_wrap": "Qwen2DecoderLayer"}
DPO = {"rl": "dpo", "sample_packing": False, "datasets": {"type": "chat_template.default"}}
EIGHT_BIT = {"adapter": "lora", "load_in_4bit": None, "load_in_8bit": True}
PER_EPOCH = {"eval_steps": None, "save_steps": None, "evals_per_epoch": 1, "saves_per_epoch": 1}

# What is changed in base.yml, and how the one sentence about it begins or what it names.
BROKEN: tuple[tuple[dict[str, Any], str], ...] = (
    ({"load_in_4bit": False}, "`adapter: qlora` needs"),
    ({"adapter": "lora"}, "is QLoRA under another name"),
    ({"load_in_8bit": True}, "`adapter: qlora` is for 4-bit weights"),
    ({"lora_r": None}, "has no rank"),
    ({"lora_target_linear": True}, "are joined without a word"),
    (EIGHT_BIT, "do not work on 8-bit weights"),
    ({"trust_remote_code": True}, "do not know a model's own code"),
    ({"flash_attention": True}, "is the old name of `attn_implementation`"),
    ({"attn_implementation": None}, "the rows of a pack see each other"),
    ({"gradient_checkpointing": None, "activation_offloading": True}, "needs `gradient_checkpointing: true`"),
    ({"cut_cross_entropy": True}, "exclude each other. Remove one."),
    ({"bf16": True, "fp16": True}, "Remove fp16."),
    ({"save_safetensors": False}, "always saved as safetensors"),
    ({"s2_attention": True}, "are gone from Axolotl"),
    ({"rope_scaling": {"type": "linear"}}, "under `overrides_of_model_config`"),
    ({"datasets": {"type": "sharegpt"}}, "`type: sharegpt` is gone"),
    ({"datasets": {"message_field_training": None}}, "every reply is trained"),
    ({"datasets": {"field_messages": "messages"}}, "may lose their calls"),
    ({"datasets": {"train_on_eos": "none"}}, "never learns to stop"),
    ({"val_set_size": 0.1}, "exclude each other. Remove val_set_size"),
    ({"eval_sample_packing": True}, "makes no batch at all"),
    ({"eval_sample_packing": None}, "makes no batch at all"),
    ({"chat_template": "jinja"}, "needs the template in `chat_template_jinja`"),
    ({"base_model": "Qwen/Qwen2.5-7B"}, "no reply would learn to end"),
    ({"base_model": "meta-llama/Llama-3.1-8B", "eot_tokens": ["<|eot_id|>"]}, "has no pad token"),
    (
        {"base_model": "meta-llama/Llama-3.1-8B", "special_tokens": {"pad_token": "<|finetune_right_pad_id|>"}},
        "Llama 3 ends a turn with <|eot_id|>",
    ),
    ({"batch_size": 8}, "say the same twice"),
    ({"warmup_steps": 5}, "`warmup_steps` and `warmup_ratio`"),
    ({"test_datasets": None, "early_stopping_patience": None}, "there are no rows to evaluate"),
    ({"eval_strategy": "no"}, "does not stop the evaluation before the first step"),
    ({"eval_strategy": "epoch"}, "`eval_steps` needs `eval_strategy: steps`"),
    ({"save_strategy": "epoch"}, "`save_steps` needs `save_strategy: steps`"),
    ({"evals_per_epoch": 1}, "`evals_per_epoch` and `eval_steps` exclude each other"),
    ({"saves_per_epoch": 1}, "`saves_per_epoch` and `save_steps` exclude each other"),
    (
        PER_EPOCH | {"eval_strategy": "epoch", "early_stopping_patience": None},
        "`evals_per_epoch` needs `eval_strategy: steps`",
    ),
    (PER_EPOCH, "counts by `eval_steps` and `save_steps` alone"),
    ({"save_steps": 0.3}, "To a computer 0.3 is no multiple of 0.1"),
    ({"wandb_project": None}, "Axolotl does not log to W&B"),
    ({"wandb_mode": "onlin"}, "is online, offline or disabled"),
    (DPO | {"sample_packing": True}, "preferences cannot be packed"),
    (DPO | {"rl": "kto"}, "KTO needs `remove_unused_columns: false`"),
    (DPO | {"rpo_alpha": 0.5}, "are gone. Remove it."),
    (DPO | {"dpo_beta": 0.1}, "is the old name of `rl_beta`"),
    ({"rl": "dpo", "sample_packing": False}, "reads conversations, not preferences"),
    (DPO | FSDP2 | {"fsdp_config": LAYER}, "FSDP2 does not train preferences"),
    (
        DPO
        | {"deepspeed": "configs/deepspeed/zero3.json", "gradient_checkpointing_kwargs": {"use_reentrant": True}},
        "and ZeRO-3 needs true",
    ),
    ({"deepspeed": "configs/deepspeed/zero4.json"}, "`deepspeed` names no JSON file"),
    ({"deepspeed": "configs/base.yml"}, "`deepspeed` names no JSON file"),
    (
        FSDP2 | {"fsdp_config": LAYER, "deepspeed": "configs/deepspeed/zero3.json"},
        "divide the same model twice",
    ),
    ({"fsdp": ["full_shard"]}, "FSDP1 is on its way out"),
    (FSDP2 | {"fsdp_config": LAYER | {"transformer_layer_cls_to_wrap": None}}, "FSDP2 divides nothing"),
    (
        FSDP2 | {"fsdp_config": LAYER | {"transformer_layer_cls_to_wrap": "LlamaDecoderLayer"}},
        "the base has no such layer",
    ),
    (FSDP2 | {"fsdp_config": LAYER, "optimizer": "paged_adamw_8bit"}, "cannot divide the state"),
    (FSDP2 | {"fsdp_config": LAYER | {"cpu_ram_efficient_loading": True}}, "on one rank alone hangs"),
    ({"context_parallel_size": 2}, "needs `micro_batch_size: 1` with packing"),
    ({"ray_num_workers": 2}, "without `use_ray: true`"),
    ({"use_ray": True, "resources_per_worker": {"CPU": 1, "GPU": 0}}, "asks Ray for GPUs whatever stands here"),
)  # fmt: skip
DOUBTFUL: tuple[tuple[dict[str, Any], str], ...] = (
    ({"attn_implementation": "sdpa"}, "can train on a loss of 0"),
    ({"eval_batch_size": 8}, "the peak of memory may come with the first evaluation"),
    ({"excess_length_strategy": "drop"}, "leave or are cut without a word"),
    ({"pad_to_sequence_len": False}, "make memory uneven"),
    ({"deepspeed": "configs/deepspeed/zero3.json"}, "may stop with a CheckpointError"),
)
# Broken in two ways at once: no recipe shows the one without the other.
IN_COMPANY = ("`early_stopping_patience` needs", "not work under FSDP1", "once in the whole run", "shows no tools")


def sentences(changes: dict[str, Any], found: Any = contradictions) -> list[str]:
    return [sentence for _, sentence in found(merge(load_mapping(BASE_FILE), changes))]


@pytest.mark.parametrize(("changes", "words"), BROKEN)
def test_a_contradiction_is_one_sentence_of_its_own(changes: dict[str, Any], words: str) -> None:
    (sentence,) = sentences(changes)
    assert words in sentence


@pytest.mark.parametrize(("changes", "words"), DOUBTFUL)
def test_what_is_only_doubtful_is_a_note_and_no_problem(changes: dict[str, Any], words: str) -> None:
    assert sentences(changes) == []
    (sentence,) = sentences(changes, doubts)
    assert words in sentence


def test_every_rule_is_met_by_a_test() -> None:
    words = [*(text for _, text in (*BROKEN, *DOUBTFUL)), *IN_COMPANY]
    unmet = [rule.sentence for rule in (*RULES, *NOTES) if not any(text in rule.sentence for text in words)]
    assert unmet == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"test_datasets": None}, "`early_stopping_patience` needs `test_datasets`"),
        ({"fsdp_config": LAYER}, "do not work under FSDP1"),
        (PER_EPOCH | {"num_epochs": 1}, "once in the whole run"),
        (
            {"chat_template": "llama3", "datasets": {"field_messages": "messages"}},
            "template shows no tools, and native rows have them",
        ),
    ],
)
def test_what_never_goes_wrong_alone_is_named_as_well(changes: dict[str, Any], words: str) -> None:
    assert any(words in sentence for sentence in sentences(changes))


@given(changes=st.dictionaries(st.sampled_from(KEYS), ANYTHING, max_size=6))
def test_no_value_of_a_wrong_type_makes_a_rule_fail(changes: dict[str, Any]) -> None:
    config = {**load_mapping(BASE_FILE), **changes}
    list(contradictions(config))
    list(doubts(config))


@given(evaluated=st.integers(1, 50), times=st.integers(1, 20))
def test_saving_at_every_so_many_evaluations_keeps_the_best(evaluated: int, times: int) -> None:
    assert sentences({"eval_steps": evaluated, "save_steps": evaluated * times}) == []
    assert len(sentences({"eval_steps": evaluated + 1, "save_steps": (evaluated + 1) * times + 1})) == 1


@given(epochs=st.integers(2, 20), evals=st.integers(1, 8))
def test_counts_per_epoch_keep_the_best_wherever_they_are_equal(epochs: int, evals: int) -> None:
    changes = PER_EPOCH | {"evals_per_epoch": evals, "saves_per_epoch": evals, "early_stopping_patience": None}
    assert sentences(changes | {"num_epochs": epochs}) == []


def test_preferences_have_no_flags_and_no_calls_to_lose() -> None:
    assert sentences(DPO | {"datasets": {"type": "chat_template.default", "field_messages": "messages"}}) == []
    changes = DPO | {"rl": "kto", "remove_unused_columns": False, "datasets": {"message_field_training": None}}
    assert sentences(changes | {"datasets": {"type": "chatml.prompt_pairs"}}) == []


@pytest.mark.parametrize(
    "base", ["Qwen/Qwen2.5-7B-Instruct-AWQ", "Qwen/Qwen1.5-7B-Chat", "/models/mine", "openai/gpt-oss-20b"]
)
def test_a_base_that_is_not_known_to_lack_an_end_is_not_judged(base: str) -> None:
    assert sentences({"base_model": base}) == []


def test_a_llama_is_wrapped_by_the_name_of_its_own_layer() -> None:
    config = combine("mayor", ["llama31", "fsdp2"])
    (sentence,) = (sentence for _, sentence in contradictions(config))
    assert sentence.startswith("the base has no such layer")
    own = {"fsdp_config": {"transformer_layer_cls_to_wrap": "LlamaDecoderLayer"}}
    assert list(contradictions(merge(config, own))) == []
