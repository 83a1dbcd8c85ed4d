"""The plan's peaks against the tensors that are really alive while transformers and PEFT take a step, on a CPU.

A dispatch mode sees every tensor that is made, and its end. 16-bit autocast as on a GPU; what a GPU adds, its context
and free pieces, is not there.
"""

import weakref
from contextlib import AbstractContextManager
from typing import Any

import pytest

from configs.plan.activations import mlp, passing_by_layer
from configs.plan.memory import memory
from configs.plan.recipe import read_recipe
from configs.plan.shapes import LINEAR, MLP, Shape

pytestmark = pytest.mark.slow

TOKENS = 1024
RESIDENT = {"weights", "adapter", "gradients", "optimizer", "CUDA and libraries", "free pieces"}


class Storages:
    """Bytes of all storages that were made and are still there: now, and at the most."""

    def __init__(self) -> None:
        self.sizes: dict[int, int] = {}
        self.now = self.peak = 0

    def see(self, storage: Any) -> None:
        key = storage._cdata
        if key not in self.sizes:
            self.sizes[key] = storage.nbytes()
            self.now += storage.nbytes()
            self.peak = max(self.peak, self.now)
            weakref.finalize(storage, self.forget, key)

    def forget(self, key: int) -> None:
        self.now -= self.sizes.pop(key, 0)


def watching(storages: Storages) -> AbstractContextManager[Any]:
    """A dispatch mode that shows `storages` what every operation makes."""
    from torch import Tensor
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_iter

    class Watching(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            made = func(*args, **(kwargs or {}))
            for tensor in tree_iter(made):
                if isinstance(tensor, Tensor):
                    storages.see(tensor.untyped_storage())
            return made

    return Watching()


def peak_of_a_step(shape: Shape, checkpointing: bool, training: bool) -> int:
    """Bytes that a training step, or the evaluation of one batch, has at most beside the weights."""
    torch = pytest.importorskip("torch")
    peft = pytest.importorskip("peft")
    from transformers import Qwen2Config, Qwen2ForCausalLM

    config = Qwen2Config(
        hidden_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        intermediate_size=shape.intermediate,
        vocab_size=shape.vocab,
        tie_word_embeddings=shape.tied,
    )
    adapter = peft.LoraConfig(r=4, target_modules=list(LINEAR))
    model = peft.get_peft_model(Qwen2ForCausalLM(config).bfloat16(), adapter)
    model.enable_input_require_grads()
    if checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    model.train(training)
    ids = torch.zeros(1, TOKENS, dtype=torch.long)
    storages = Storages()
    with watching(storages), torch.set_grad_enabled(training):
        with torch.autocast("cpu", torch.bfloat16):
            loss = model(input_ids=ids, labels=ids).loss
        if training:
            loss.backward()
    return storages.peak


@pytest.mark.parametrize(
    ("vocab", "checkpointing", "training"),
    [(64, True, True), (64, False, True), (20000, True, True), (20000, False, False)],
    ids=["one layer computed again", "all layers kept", "whole logits in training", "whole logits in evaluation"],
)
def test_the_peak_is_within_five_percent(vocab: int, checkpointing: bool, training: bool) -> None:
    shape = Shape("qwen2", 64, 6, 4, 2, 16, 320, vocab, True)
    settings = {"base_model": "tiny", "adapter": "lora", "lora_r": 4, "lora_target_modules": list(LINEAR)}
    step = {"bf16": True, "sequence_len": TOKENS, "gradient_checkpointing": checkpointing, "pad_to_sequence_len": True}
    rows = {} if training else {"test_datasets": [{}], "eval_steps": 1}
    moments = memory(shape, read_recipe({**settings, **step, **rows})).moments
    sums = [sum(size for name, size in moment.parts.items() if name not in RESIDENT) for moment in moments]
    predicted = max(sums[:2]) if training else sums[2]
    assert predicted == pytest.approx(peak_of_a_step(shape, checkpointing, training), rel=0.05)


def test_the_mlp_kernel_passes_what_was_counted() -> None:
    """Axolotl's own autograd function, its Triton activation replaced by PyTorch's, which here makes nothing seen."""
    torch = pytest.importorskip("torch")
    lora = pytest.importorskip("axolotl.kernels.lora")
    from torch.utils._python_dispatch import _disable_current_modes

    shape, rank = Shape("qwen2", 64, 1, 4, 2, 16, 320, 64, True), 4
    settings = {"base_model": "tiny", "adapter": "lora", "lora_r": rank, "lora_target_modules": list(LINEAR)}
    recipe = read_recipe({**settings, "sequence_len": TOKENS, "lora_mlp_kernel": True, "lora_dropout": 0.1})

    def swiglu_backward(grad: Any, gate: Any, up: Any) -> tuple[Any, Any, Any]:
        with _disable_current_modes():
            sigmoid = torch.sigmoid(gate)
            silu = gate * sigmoid
            d_up, d_gate = grad * silu, grad * up * (sigmoid + silu * (1 - sigmoid))
            grad.copy_(silu * up)
            gate.copy_(d_gate)
            up.copy_(d_up)
        return grad, gate, up

    def swiglu(gate: Any, up: Any) -> Any:
        with _disable_current_modes():
            return torch.nn.functional.silu(gate) * up

    parts: list[Any] = []
    for name in MLP:
        inputs, outputs = shape.linear(name)
        weight = torch.nn.Parameter(torch.randn(outputs, inputs), requires_grad=False)
        pair = (torch.nn.Parameter(torch.randn(rank, inputs)), torch.nn.Parameter(torch.randn(outputs, rank)))
        parts += [weight, None, None, *pair, 1.0, None, None]
    before, grad = torch.randn(1, TOKENS, shape.hidden, requires_grad=True), torch.ones(1, TOKENS, shape.hidden)
    storages = Storages()
    storages.sizes = {part.untyped_storage()._cdata: 0 for part in parts if isinstance(part, torch.Tensor)}
    with watching(storages):
        dropped = before * 1.0
        lora.LoRA_MLP.apply(before, dropped, *parts, swiglu, swiglu_backward, True).backward(grad)
    # The count has a mask for the dropout, which is not made here; the result, which is, adds to the rest in a model.
    assert storages.peak == pytest.approx(TOKENS * (mlp(shape, recipe) + passing_by_layer(shape, recipe)), rel=0.02)
