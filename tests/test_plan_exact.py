"""The plan's arithmetic against the libraries themselves, to the byte: no GPU, no weights, tiny or without storage."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from configs.plan.activations import attention, kept_by_layer, mlp
from configs.plan.memory import matrix_bytes
from configs.plan.packing import first_fit
from configs.plan.recipe import Recipe, read_recipe
from configs.plan.shapes import ATTENTION, LINEAR, MLP, Shape, adapter_weights
from configs.plan.speed import forward, training
from configs.plan.stand_in import model_config
from configs.plan.tables import load_models, read_shape
from configs.plan.workload import batches

pytestmark = pytest.mark.slow

TINY = Shape("qwen2", 64, 3, 4, 2, 16, 160, 512, True)
ROWS, LENGTH, RANK = 2, 32, 4
TOKENS = ROWS * LENGTH


@pytest.fixture(autouse=True, scope="module")
def libraries() -> None:
    pytest.importorskip("axolotl")


def model_of(shape: Shape, attention: str = "sdpa") -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_config(model_config(shape), attn_implementation=attention)


def with_adapter(model: Any, targets: tuple[str, ...] = LINEAR, rank: int = RANK) -> Any:
    from peft import LoraConfig, get_peft_model

    adapted = get_peft_model(model, LoraConfig(r=rank, target_modules=list(targets), lora_dropout=0.0))
    # As Axolotl does for checkpointing; without it the first layer's inputs have no gradient.
    adapted.enable_input_require_grads()
    return adapted.train()


def recipe_of(**changes: Any) -> Recipe:
    settings = {"base_model": "tiny", "adapter": "lora", "lora_r": RANK, "lora_target_modules": list(LINEAR)}
    return read_recipe({**settings, "sequence_len": LENGTH, "micro_batch_size": ROWS, **changes})


@pytest.mark.parametrize("name", load_models())
def test_a_shape_has_the_parameters_of_the_model_that_transformers_builds(name: str) -> None:
    import torch

    shape = load_models()[name]
    with torch.device("meta"):
        model = model_of(shape)
    assert sum(weight.numel() for weight in model.parameters()) == shape.parameters
    layers = [weight.numel() for key, weight in model.named_parameters() if key.endswith("_proj.weight")]
    assert sum(layers) == shape.linear_weights


@pytest.mark.parametrize(("name", "targets", "rank"), [("Qwen2.5-7B", LINEAR, 64), ("Llama-3.1-8B", ATTENTION, 16)])
def test_an_adapter_has_the_parameters_of_the_one_that_peft_makes(name: str, targets: Any, rank: int) -> None:
    import torch

    shape = load_models()[name]
    with torch.device("meta"):
        model = with_adapter(model_of(shape), targets, rank)
    trained = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
    assert trained == adapter_weights(shape, targets, rank)


@pytest.mark.parametrize(("inputs", "outputs"), [(64, 256), (3584, 512), (100, 70)])
def test_a_quantized_matrix_has_the_bytes_that_bitsandbytes_stores(inputs: int, outputs: int) -> None:
    import torch
    from bitsandbytes.nn import Params4bit

    values = torch.randn(outputs, inputs)
    kind = {"quant_type": "nf4", "compress_statistics": True, "quant_storage": torch.bfloat16}
    weight = Params4bit(values, requires_grad=False, **kind).to("cpu")
    state = weight.quant_state
    stored = [weight.data, state.absmax, state.code, state.offset, state.state2.absmax, state.state2.code]
    assert sum(part.nbytes for part in stored) == matrix_bytes(inputs, outputs, 4)


@contextmanager
def saved_bytes(model: Any) -> Iterator[dict[int, int]]:
    """Bytes of every storage that autograd keeps, by its address; weights and buffers of the model do not count."""
    import torch

    own = {tensor.untyped_storage().data_ptr() for tensor in (*model.parameters(), *model.buffers())}
    kept: dict[int, int] = {}
    alive = []

    def keep(tensor: Any) -> Any:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
            alive.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        yield kept


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("kind", ["sdpa", "eager"])
@pytest.mark.parametrize("targets", [LINEAR, ATTENTION, ("q_proj", "v_proj")])
def test_autograd_keeps_the_bytes_that_were_counted(targets: tuple[str, ...], kind: str, checkpointing: bool) -> None:
    import torch

    model = with_adapter(model_of(TINY, kind), targets)
    if checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    recipe = recipe_of(lora_target_modules=list(targets), attn_implementation=kind)
    with saved_bytes(model) as kept:
        model.model.model(input_ids=torch.zeros(ROWS, LENGTH, dtype=torch.long), use_cache=False)
    layers = TINY.layers * TOKENS * TINY.hidden * 4
    # The last norm keeps its input and one number a token; outside of checkpoints, cos and sin are kept once.
    rest = TOKENS * (TINY.hidden * 4 + 4)
    if not checkpointing:
        layers += TINY.layers * TOKENS * kept_by_layer(TINY, recipe)
        rest += 2 * LENGTH * TINY.head_dim * 4
    assert sum(kept.values()) == layers + rest


@pytest.mark.parametrize("checkpointing", [False, True])
def test_pytorch_counts_the_same_operations(checkpointing: bool) -> None:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    model = with_adapter(model_of(TINY, "eager"))
    if checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    ids = torch.zeros(ROWS, LENGTH, dtype=torch.long)
    with FlopCounterMode(display=False) as counter:
        model(input_ids=ids, labels=ids).loss.backward()
    recipe = recipe_of(gradient_checkpointing=checkpointing)
    # Eager attention computes the whole square, twice the causal half, and in its backward pass two products for each.
    square = 2 * forward(TINY, recipe).per_square * ROWS * LENGTH**2
    expected = TOKENS * training(TINY, recipe).per_token + square * (3 + checkpointing)
    rope = 2 * LENGTH * TINY.head_dim // 2
    # PyTorch stops computing a layer again once it has all that it needs: before the last product, B of down_proj.
    skipped = TINY.layers * 2 * TOKENS * RANK * TINY.hidden if checkpointing else 0
    assert counter.get_total_flops() == expected + rope - skipped


def test_axolotls_packer_makes_the_same_packs() -> None:
    import numpy as np
    from axolotl.utils.samplers.multipack import pack_group

    draw = random.Random(3)
    lengths = [min(int(draw.lognormvariate(6, 1)) + 1, 4096) for _ in range(2000)]
    for capacity, per_pack in ((4096, 200), (8192, 5)):
        theirs = pack_group(np.array(lengths), 0, capacity, len(lengths), per_pack, True)
        assert [list(pack) for pack in theirs] == first_fit(lengths, capacity, per_pack)


@pytest.mark.parametrize(("one_long_pack", "attention"), [(True, "flash_attention_2"), (False, "sdpa")])
def test_axolotls_sampler_makes_as_many_batches_up_to_its_own_shuffling(one_long_pack: bool, attention: str) -> None:
    import numpy as np
    import torch
    from axolotl.utils.samplers.multipack import MultipackBatchSampler
    from torch.utils.data import RandomSampler

    draw = random.Random(5)
    lengths = [min(int(draw.lognormvariate(6, 1)) + 1, 2048) for _ in range(1500)]
    recipe = recipe_of(sequence_len=2048, attn_implementation=attention, sample_packing=True, pad_to_sequence_len=True)
    assert recipe.one_long_pack == one_long_pack
    torch.manual_seed(0)
    sampler = MultipackBatchSampler(
        RandomSampler(lengths),
        batch_size=1 if one_long_pack else ROWS,
        batch_max_len=2048 * (ROWS if one_long_pack else 1),
        lengths=np.array(lengths),
        bin_size=recipe.per_pack,
        drop_last=True,
        num_processes=1,
    )
    assert abs(len(sampler) - batches(recipe, lengths)[1]) <= 2


def test_the_kernels_for_q_k_v_and_o_keep_the_bytes_that_were_counted() -> None:
    import torch
    from axolotl.kernels.lora import LoRA_O, LoRA_QKV

    owner = torch.nn.ParameterList()
    inputs = torch.randn(ROWS, LENGTH, TINY.hidden, requires_grad=True)
    dropped = torch.nn.functional.dropout(inputs, 0.1)
    q, k, v, o = (kernel_arguments(name, owner) for name in ATTENTION)
    with saved_bytes(owner) as kept:
        LoRA_QKV.apply(inputs, dropped, *q, *k, *v, True)
    # The input and its copy after dropout; outside, the dropout keeps its mask, in 32 bit as large as they are.
    assert sum(kept.values()) == TOKENS * 2 * TINY.hidden * 4
    with saved_bytes(owner) as kept:
        LoRA_O.apply(inputs, dropped, *o)
    # The input of o_proj is what comes out of attention, and counted there.
    assert sum(kept.values()) == TOKENS * 2 * TINY.hidden * 4
    recipe = recipe_of(lora_qkv_kernel=True, lora_o_kernel=True, lora_dropout=0.1)
    flash = (2 * TINY.q_dim + 2 * TINY.kv_dim) * 4 + 4 * TINY.heads
    assert attention(TINY, recipe) == flash + (2 + 1) * TINY.hidden * 4 + (1 + 1) * TINY.hidden * 4


def test_the_kernel_for_the_mlp_keeps_the_bytes_that_were_counted() -> None:
    import torch
    from axolotl.kernels.lora import LoRA_MLP

    def swiglu(gate: Any, up: Any) -> Any:
        return torch.nn.functional.silu(gate) * up

    owner = torch.nn.ParameterList()
    inputs = torch.randn(ROWS, LENGTH, TINY.hidden, requires_grad=True)
    gate, up, down = (kernel_arguments(name, owner) for name in MLP)
    with saved_bytes(owner) as kept:
        LoRA_MLP.apply(inputs, None, *gate, *up, *down, swiglu, None, True)
    assert sum(kept.values()) == TOKENS * mlp(TINY, recipe_of(lora_mlp_kernel=True))


def kernel_arguments(name: str, owner: Any) -> list[Any]:
    """Weight, bias, quantization, A, B, scale, LoRA bias and DoRA magnitude, as Axolotl's kernels take them."""
    from torch import nn, randn

    inputs, outputs = TINY.linear(name)
    weight = nn.Parameter(randn(outputs, inputs), requires_grad=False)
    a, b = nn.Parameter(randn(RANK, inputs)), nn.Parameter(randn(outputs, RANK))
    owner.extend([weight, a, b])
    return [weight, None, None, a, b, 1.0, None, None]


def test_a_shape_is_read_from_the_config_that_transformers_writes(tmp_path: Any) -> None:
    for kind, shape in (("qwen2", TINY), ("llama", load_models()["Llama-3.2-1B"])):
        import torch

        with torch.device("meta"):
            model_of(shape).config.save_pretrained(tmp_path / kind)
        assert read_shape(tmp_path / kind / "config.json") == shape
