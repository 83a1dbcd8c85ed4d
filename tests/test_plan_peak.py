"""The plan's peaks against the tensors that are really alive while transformers and PEFT take a step, on a CPU.

A dispatch mode sees every tensor that is made, and its end. 16-bit autocast as on a GPU; what a GPU adds, its context
and free pieces, is not there.
"""

import weakref
from contextlib import AbstractContextManager
from typing import Any

import pytest

from configs.plan.memory import memory
from configs.plan.recipe import read_recipe
from configs.plan.shapes import LINEAR, Shape

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
