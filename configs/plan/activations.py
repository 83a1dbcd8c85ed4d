"""What the forward pass keeps for the backward pass, in bytes for one token, and what the loss needs at its peak.

Counted tensor by tensor from the code that runs: transformers 5 (models/qwen2) with PEFT 0.20's LoRA layers, or
Axolotl 0.19's autograd functions (kernels/lora.py) with Liger's RMSNorm and RoPE. Tests hold the count against what
autograd really saves on a CPU; the 16-bit figures against published measurements in docs/plan-accuracy.md.
FlashAttention keeps q, k, v, its output and 4 bytes a head (Dao et al. 2022, arXiv:2205.14135); sdpa does the same;
eager attention keeps the squares.
"""

import math
from typing import Final

from configs.plan.recipe import Recipe
from configs.plan.shapes import ATTENTION, MLP, Shape

# Bytes for one logit while the loss is computed without a fused kernel: the model's logits in 32 bit (accelerate
# turns them), their log-softmax, and its gradient. The same 12 come out of IBM's memory figures for Mistral-7B
# (published.yml).
TRAINED_LOGIT: Final = 12


def kept_by_layer(shape: Shape, recipe: Recipe) -> int:
    """Bytes a token that one layer keeps for its backward pass, its own input not among them."""
    return norms(shape, recipe) + attention(shape, recipe) + mlp(shape, recipe) + low_rank(shape, recipe)


def norms(shape: Shape, recipe: Recipe) -> int:
    """Both RMSNorms: the sum after attention and one number a norm; the plain one works on a 32-bit copy of its
    input.
    """
    copies = 0 if recipe.fused_norm or recipe.float_bytes == 4 else 2 * 4 * shape.hidden
    return shape.hidden * recipe.float_bytes + 2 * 4 + copies


def attention(shape: Shape, recipe: Recipe) -> int:
    """q, k, v, what comes out, 4 bytes a head, and the inputs that LoRA needs.

    Eager attention keeps k and v as often as there are heads, its weights in 32 bit and once more in 16, and no output.
    """
    size, targets = recipe.float_bytes, recipe.targets
    if recipe.eager:
        weights = shape.heads * recipe.sequence_len * (4 + (size if size == 2 else 0))
        kept = 3 * shape.q_dim * size + weights
    else:
        kept = (2 * shape.q_dim + 2 * shape.kv_dim) * size + 4 * shape.heads
    in_front = sum(name in targets for name in ATTENTION[:3])
    kept += inputs(shape.hidden, in_front, recipe, "qkv" in recipe.fused)
    return kept + inputs(shape.q_dim, int("o_proj" in targets), recipe, "o" in recipe.fused, counted=not recipe.eager)


def mlp(shape: Shape, recipe: Recipe) -> int:
    """gate and up; without the kernel also the activated gate, and the product where down_proj has an adapter."""
    size, targets = recipe.float_bytes, recipe.targets
    fused = "mlp" in recipe.fused
    in_front = sum(name in targets for name in MLP[:2])
    kept = inputs(shape.hidden, in_front, recipe, fused) + (2 if fused else 3) * shape.intermediate * size
    if "down_proj" in targets and not fused:
        kept += inputs(shape.intermediate, 1, recipe, fused)
    return kept


def inputs(width: int, modules: int, recipe: Recipe, fused: bool, counted: bool = False) -> int:
    """What `modules` adapters keep of one input: the kernels share it and one copy after dropout; PEFT's layers, whose
    weights are 32 bit, each cast it back to 16 bit; in 32 bit they share it. A dropout keeps one byte for its mask.

    `counted`: the input itself is kept by somebody else already.
    """
    size = recipe.float_bytes
    if not modules:
        return 0
    mask = (1 if size == 2 else 4) if recipe.dropout else 0
    if fused:
        return width * ((0 if counted else size) + (size + mask if recipe.dropout else 0))
    if size == 2:
        return modules * width * (size + mask)
    return width * (modules * (size + mask) if recipe.dropout else 0 if counted else size)


def low_rank(shape: Shape, recipe: Recipe) -> int:
    """The r numbers between A and B, which PEFT's layers keep; the kernels compute them again."""
    groups = {"qkv": ATTENTION[:3], "o": ATTENTION[3:], "mlp": MLP}
    plain = [name for group, names in groups.items() if group not in recipe.fused for name in names]
    return recipe.rank * recipe.float_bytes * sum(name in recipe.targets for name in plain)


def passing_by_layer(shape: Shape, recipe: Recipe) -> int:
    """Bytes a token that the backward pass of one layer needs beside what was kept, at its widest: inside the MLP.

    The kernels write gradients over gate and up (swiglu_backward) and need the gradient that comes in, that of the
    product, and two that go out. Plain layers hold the gradients of product, gate and up; an adapter on down_proj in
    16 bit first brings that of its own input twice in 32 bit.
    """
    size = recipe.float_bytes
    if "mlp" in recipe.fused:
        return 3 * shape.hidden * size + shape.intermediate * size
    widest = 3 * shape.intermediate * size
    if "down_proj" in recipe.targets and size == 2:
        widest = max(widest, shape.intermediate * (size + 8))
    return shape.hidden * size + widest


def loss_bytes(shape: Shape, recipe: Recipe, tokens: int) -> int:
    """The peak of the loss over one micro-batch: last hidden states, their norm and its gradient, and the logits.

    Liger's fused cross-entropy goes through chunks of 2^ceil(log2(tokens / ceil(vocab / hidden))) tokens and turns
    their logits into gradients in place (Hsu et al. 2024, arXiv:2410.10989, 3.2;
    liger_kernel/ops/fused_linear_cross_entropy.py).
    """
    hidden = 3 * tokens * shape.hidden * recipe.float_bytes
    if not recipe.fused_loss or recipe.rl:
        return hidden + tokens * shape.vocab * TRAINED_LOGIT
    chunk = 1 << max(math.ceil(tokens / math.ceil(shape.vocab / shape.hidden)) - 1, 0).bit_length()
    return hidden + min(chunk, tokens) * shape.vocab * recipe.float_bytes


def evaluation_bytes(shape: Shape, recipe: Recipe, tokens: int) -> int:
    """The peak of one evaluation batch: whole logits, and a few hidden states that no backward pass waits for.

    Liger computes whole logits there, because its forward skips them in training mode only: in 16 bit, in a 32-bit copy
    (transformers, loss/loss_utils.py), and their log-softmax.
    """
    logit = recipe.float_bytes + (4 if recipe.float_bytes < 4 else 0) + 4
    return tokens * (shape.vocab * logit + 2 * shape.hidden * recipe.float_bytes)
