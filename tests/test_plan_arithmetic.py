"""What a plan adds up, held against what must be true of any sum: packs, steps, memory, operations."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.combine import combine
from configs.plan.activations import kept_by_layer, loss_bytes
from configs.plan.memory import GIB, Memory, matrix_bytes, memory, resident
from configs.plan.packing import fewest_packs, first_fit
from configs.plan.plan import Rows, Verdict, make_plan
from configs.plan.recipe import Recipe, read_recipe
from configs.plan.shapes import LINEAR, adapter_weights
from configs.plan.speed import duration, forward, training
from configs.plan.tables import load_gpus, load_models
from configs.plan.workload import workload
from configs.strict_yaml import ConfigError

MODELS, GPUS = load_models(), load_gpus()
QWEN = MODELS["Qwen2.5-7B"]
LENGTHS = st.lists(st.integers(1, 512), min_size=1, max_size=200)


def recipe_with(**changes: Any) -> Recipe:
    return read_recipe({**combine("mayor"), **changes})


@st.composite
def recipes(draw: st.DrawFn) -> Recipe:
    """Recipes that differ in everything that changes memory or time."""
    one = st.booleans()
    kernels = {f"lora_{name}_kernel": draw(one) for name in ("qkv", "o", "mlp")}
    four_bit = draw(one)
    return recipe_with(
        adapter="qlora" if four_bit else "lora",
        load_in_4bit=four_bit,
        lora_r=draw(st.sampled_from([1, 16, 64])),
        lora_target_modules=draw(st.lists(st.sampled_from(LINEAR), min_size=1, unique=True)),
        lora_dropout=draw(st.sampled_from([0.0, 0.1])),
        bf16=draw(st.sampled_from([True, False])),
        gradient_checkpointing=draw(one),
        activation_offloading=draw(one),
        liger_fused_linear_cross_entropy=draw(one),
        sequence_len=draw(st.sampled_from([256, 1024, 4096])),
        micro_batch_size=draw(st.integers(1, 4)),
        optimizer=draw(st.sampled_from(["paged_adamw_8bit", "adamw_torch_fused", "sgd"])),
        sample_packing=draw(one),
        **kernels,
    )


def naive_first_fit(lengths: list[int], capacity: int, per_pack: int) -> list[list[int]]:
    packs: list[list[int]] = []
    for place, length in enumerate(lengths):
        for pack in packs:
            if len(pack) < per_pack and sum(lengths[other] for other in pack) + length <= capacity:
                pack.append(place)
                break
        else:
            packs.append([place])
    return packs


@given(lengths=LENGTHS, capacity=st.integers(512, 2048), per_pack=st.integers(1, 20))
def test_packs_are_those_of_a_plain_search(lengths: list[int], capacity: int, per_pack: int) -> None:
    assert first_fit(lengths, capacity, per_pack) == naive_first_fit(lengths, capacity, per_pack)


@given(lengths=LENGTHS, capacity=st.integers(512, 2048))
def test_no_row_is_split_lost_or_too_much_and_the_packs_are_nearly_as_few_as_can_be(
    lengths: list[int], capacity: int
) -> None:
    packs = first_fit(lengths, capacity, 200)
    assert sorted(place for pack in packs for place in pack) == list(range(len(lengths)))
    assert all(sum(lengths[place] for place in pack) <= capacity for pack in packs)
    fewest = fewest_packs(lengths, capacity)
    # First fit never needs more than 1.7 times the best packing (Dosa and Sgall 2013), which is no less than `fewest`.
    assert fewest <= len(packs) <= 2 * fewest


def test_a_row_longer_than_a_pack_is_refused() -> None:
    with pytest.raises(ValueError, match="a row of 513 tokens does not fit into a pack of 512"):
        first_fit([513], 512, 200)


@given(
    lengths=LENGTHS,
    gpus=st.integers(1, 4),
    accumulation=st.integers(1, 8),
    micro=st.integers(1, 4),
    packing=st.booleans(),
)
def test_the_steps_of_an_epoch_take_every_batch_and_not_one_step_more(
    lengths: list[int], gpus: int, accumulation: int, micro: int, packing: bool
) -> None:
    recipe = recipe_with(
        sequence_len=512,
        micro_batch_size=micro,
        gradient_accumulation_steps=accumulation,
        num_epochs=2,
        sample_packing=packing,
    )
    work = workload(recipe, lengths, 0, gpus)
    taken = work.steps_per_epoch * accumulation * gpus
    # With packs and several cards, what does not reach all cards is left out.
    assert taken >= work.micro_batches - (gpus - 1 if packing else 0)
    assert (work.steps_per_epoch - 1) * accumulation * gpus < work.micro_batches
    assert work.steps == 2 * work.steps_per_epoch
    assert work.computed_tokens >= work.tokens == sum(lengths)


def test_max_steps_end_a_run_early() -> None:
    work = workload(recipe_with(max_steps=7), [4000] * 100, 0)
    assert (work.steps, work.steps_per_epoch, work.epochs) == (7, 13, 7 / 13)


def test_sdpa_packs_each_row_of_a_batch_for_itself_and_drops_a_batch_that_is_not_full() -> None:
    work = workload(recipe_with(attn_implementation="sdpa", sequence_len=512), [400] * 5, 0)
    assert (work.packs, work.micro_batches, work.computed_tokens) == (5, 2, 5 * 512)


@given(recipe=recipes(), gpus=st.sampled_from([1, 2, 8]))
def test_the_parts_of_every_moment_add_up_and_the_run_needs_the_largest(recipe: Recipe, gpus: int) -> None:
    used = memory(QWEN, recipe, gpus)
    assert all(moment.total == sum(moment.parts.values()) for moment in used.moments)
    assert used.peak.total == max(moment.total for moment in used.moments)
    assert used.without_slack <= used.peak.total
    assert all(size >= 0 for moment in used.moments for size in moment.parts.values())


def total(recipe: Recipe) -> int:
    return memory(QWEN, recipe).peak.total


@given(recipe=recipes())
def test_more_tokens_more_rows_and_more_rank_never_need_less(recipe: Recipe) -> None:
    assert total(replace(recipe, sequence_len=2 * recipe.sequence_len)) > total(recipe)
    assert total(replace(recipe, micro_batch=recipe.micro_batch + 1)) >= total(recipe)
    assert total(replace(recipe, eval_batch=recipe.eval_batch + 1)) >= total(recipe)
    assert total(replace(recipe, rank=2 * recipe.rank)) > total(recipe)


@given(recipe=recipes())
def test_what_is_there_to_save_memory_never_needs_more(recipe: Recipe) -> None:
    assert total(replace(recipe, checkpointing=True)) <= total(replace(recipe, checkpointing=False))
    assert total(replace(recipe, offloading=True)) <= total(replace(recipe, offloading=False))
    assert total(replace(recipe, fused_loss=True)) <= total(replace(recipe, fused_loss=False))
    assert total(replace(recipe, bits=4)) < total(replace(recipe, bits=16))
    assert total(replace(recipe, dropout=False)) <= total(replace(recipe, dropout=True))


@given(recipe=recipes())
def test_checkpointing_costs_one_more_forward_pass_of_the_layers(recipe: Recipe) -> None:
    kept, again = (training(QWEN, replace(recipe, checkpointing=on)) for on in (False, True))
    adapter = adapter_weights(QWEN, recipe.targets, recipe.rank)
    assert again.per_token - kept.per_token == 2 * (QWEN.linear_weights + adapter)
    assert again.per_square - kept.per_square == forward(QWEN, recipe).per_square


@given(size=st.sampled_from(["Qwen2.5-0.5B", "Qwen2.5-7B", "Llama-3.1-8B"]), rank=st.sampled_from([4, 64]))
def test_frozen_weights_train_for_two_thirds_of_the_operations(size: str, rank: int) -> None:
    shape = MODELS[size]
    without = training(shape, recipe_with(lora_r=rank, gradient_checkpointing=False)).per_token
    full = 6 * (shape.linear_weights + shape.vocab * shape.hidden)
    adapter = 6 * adapter_weights(shape, LINEAR, rank)
    assert without - adapter == pytest.approx(full * 2 / 3)


def test_a_quantized_matrix_takes_the_4_127_bits_of_the_paper() -> None:
    assert matrix_bytes(3584, 18944, 4) * 8 / (3584 * 18944) == pytest.approx(4.127, abs=0.001)


@pytest.mark.parametrize("sharding", ["zero3", "fsdp2"])
def test_sharding_divides_what_lies_there_and_ddp_does_not(sharding: Any) -> None:
    recipe = recipe_with()
    alone, ddp = resident(QWEN, recipe), resident(QWEN, recipe, 8)
    divided = resident(QWEN, replace(recipe, sharding=sharding), 8)
    assert ddp == {**alone, "gradients": 2 * alone["gradients"]}
    assert divided["optimizer"] == pytest.approx(alone["optimizer"] / 8, abs=1)
    assert divided["adapter"] == pytest.approx(alone["adapter"] / 8, abs=1)
    assert alone["weights"] / 8 < divided["weights"] < alone["weights"]
    assert resident(QWEN, replace(recipe, sharding=sharding), 1)["weights"] == alone["weights"]


def test_twice_the_cards_take_half_the_time_when_nothing_passes_between_them() -> None:
    recipe = recipe_with(gradient_accumulation_steps=1)
    lengths = [4096] * 64
    fast = replace(GPUS["a100-80"], link_gb_s=1e12)
    times = [duration(QWEN, recipe, workload(recipe, lengths, 0, gpus), fast, gpus).training for gpus in (1, 2, 4)]
    assert times[0] == pytest.approx(2 * times[1]) == pytest.approx(4 * times[2])


def test_a_slow_link_makes_sharding_wait_for_weights() -> None:
    recipe = recipe_with(deepspeed="configs/deepspeed/zero3.json")
    assert recipe.sharding == "zero3"
    work = workload(recipe, [4096] * 64, 0, 2)
    slow, fast = (
        duration(QWEN, recipe, work, replace(GPUS["h100"], link_gb_s=link), 2).training for link in (0.1, 450.0)
    )
    assert slow > 10 * fast


def test_whole_logits_in_evaluation_are_the_peak_of_the_base_recipe() -> None:
    """Liger leaves the logits out in training mode only, so a validation batch needs more than a training batch."""
    used: Memory = memory(QWEN, recipe_with())
    assert used.peak.name == "evaluation"
    assert used.peak.parts["logits and loss"] > 4096 * QWEN.vocab * 10
    assert total(recipe_with(eval_batch_size=2)) > used.peak.total + 5 * GIB


def test_liger_keeps_a_chunk_of_logits_and_a_plain_loss_all_of_them() -> None:
    fused, plain = (loss_bytes(QWEN, recipe_with(liger_fused_linear_cross_entropy=on), 8192) for on in (True, False))
    hidden = 3 * 8192 * 3584 * 2
    # ceil(152064 / 3584) = 43 parts of 8192 tokens are 191 each, rounded up to 256.
    assert fused - hidden == 256 * QWEN.vocab * 2
    assert plain - hidden == 8192 * QWEN.vocab * 12


def test_the_kernels_keep_less_than_the_plain_layers() -> None:
    plain = recipe_with(lora_qkv_kernel=False, lora_o_kernel=False, lora_mlp_kernel=False)
    assert kept_by_layer(QWEN, recipe_with()) < 0.7 * kept_by_layer(QWEN, plain)


@pytest.mark.parametrize(("name", "verdict"), [("h200", Verdict.FITS), ("rtx4060-8", Verdict.TOO_LARGE)])
def test_a_card_is_large_enough_or_not(name: str, verdict: Verdict) -> None:
    plan = make_plan(combine("mayor"), Rows([1000] * 20, [500] * 4, 5000), GPUS[name], 1, MODELS)
    assert plan.verdict is verdict
    assert plan.cost == pytest.approx(plan.duration.hours * GPUS[name].price)


def test_pairs_of_answers_need_twice_the_tokens_and_whole_logits() -> None:
    one, two = recipe_with(), recipe_with(rl="dpo")
    assert loss_bytes(QWEN, two, 1000) - loss_bytes(QWEN, one, 1000) > 900 * QWEN.vocab * 12
    kept = [memory(QWEN, recipe).moments[0].parts["activations, layer inputs"] for recipe in (one, two)]
    assert kept[1] == 2 * kept[0]


def test_all_that_a_plan_does_not_cover_is_told_at_once() -> None:
    with pytest.raises(ConfigError) as error:
        recipe_with(adapter="relora", rl="grpo", lora_target_modules=["q_proj", "experts"], lora_modules_to_save=["x"])
    assert len(error.value.problems) == 4


@pytest.mark.parametrize(
    ("deepspeed", "sharding"),
    [({"zero_optimization": {"stage": 3}}, "zero3"), ({"zero_optimization": {"stage": 2}}, "none"), (None, "none")],
)
def test_the_stage_of_deepspeed_says_whether_weights_are_divided(deepspeed: Any, sharding: str, tmp_path: Path) -> None:
    assert recipe_with(deepspeed=deepspeed).sharding == sharding
    file = tmp_path / "own.json"
    file.write_text(json.dumps(deepspeed), encoding="utf-8")
    assert recipe_with(deepspeed=str(file)).sharding == sharding


def test_a_run_is_evaluated_as_often_as_axolotl_does() -> None:
    assert recipe_with(eval_steps=0.25).evaluations(1000) == 5
    assert recipe_with(eval_steps=500).evaluations(1600) == 4
    assert recipe_with(eval_steps=None, evals_per_epoch=2, num_epochs=3).evaluations(1000) == 7
    assert recipe_with(eval_steps=None, eval_strategy="no").evaluations(1000) == 1
    for nothing in ({"test_datasets": None}, {"eval_steps": None, "eval_strategy": None}):
        assert recipe_with(**nothing).evaluations(1000) == recipe_with(**nothing).eval_batch == 0
    assert math.isclose(recipe_with(num_epochs=2.5).epochs, 2.5)
