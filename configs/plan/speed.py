"""Floating-point operations of a run, and the time they take under stated assumptions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from configs.plan.memory import ADAPTER_BYTES, weight_bytes
from configs.plan.recipe import Recipe
from configs.plan.shapes import Shape, adapter_weights
from configs.plan.sharding import sent_bytes_per_micro_batch, sent_bytes_per_step
from configs.plan.tables import Gpu
from configs.plan.workload import Workload

# FlashAttention computes the scores again in its backward pass: five products against two (Dao 2023,
# arXiv:2307.08691, 3.1).
ATTENTION_BACKWARD: Final = 2.5
# What does not shrink with the tokens: launching kernels from Python, for one layer and the three passes of a
# micro-batch. Qwen's rows of 256 tokens take 0.125 s with 24 layers, 0.15 s with 32, 0.2 s with 40 (published.yml has
# the source).
LAUNCH_SECONDS: Final = 0.005


@dataclass(frozen=True, slots=True)
class Flops:
    """Operations (a multiplication and an addition count as two): for each token, and for each squared row length."""

    per_token: float
    per_square: float

    def of(self, tokens: float, squares: float) -> float:
        return tokens * self.per_token + squares * self.per_square


@dataclass(frozen=True, slots=True)
class Duration:
    """Seconds of training and evaluation, and the tokens of rows that go through all cards in a second of training."""

    training: float
    evaluation: float
    tokens_per_second: float

    @property
    def hours(self) -> float:
        return (self.training + self.evaluation) / 3600


def forward(shape: Shape, recipe: Recipe) -> Flops:
    """2 operations a weight and token (Kaplan et al. 2020, arXiv:2001.08361, 2.1). Attention: two products over the
    half of the square that a causal mask leaves, 2 x width x length^2 a layer (Dao 2023, arXiv:2307.08691, 4.1).
    """
    adapter = adapter_weights(shape, recipe.targets, recipe.rank)
    linear = shape.linear_weights + adapter + shape.vocab * shape.hidden
    return Flops(2.0 * linear, 2.0 * shape.q_dim * shape.layers)


def training(shape: Shape, recipe: Recipe) -> Flops:
    """Forward, backward, and the layers once more under checkpointing.

    Frozen weights need the gradient of their input alone, 2 operations a weight instead of 4; the adapter needs both
    (Hu et al. 2021, arXiv:2106.09685, 4.2). The output embedding is not computed again.
    """
    adapter = adapter_weights(shape, recipe.targets, recipe.rank)
    head = shape.vocab * shape.hidden
    again = 1 if recipe.checkpointing else 0
    linear = (4 + 2 * again) * shape.linear_weights + (6 + 2 * again) * adapter + 4 * head
    seen = forward(shape, recipe).per_square * (1 + ATTENTION_BACKWARD + again)
    if recipe.rl:
        # The reference's answers are computed as well, without a gradient.
        linear += 2 * (shape.linear_weights + head)
        seen += forward(shape, recipe).per_square
    return Flops(linear, seen)


def duration(
    shape: Shape, recipe: Recipe, work: Workload, gpu: Gpu, gpus: int = 1, validation: Sequence[int] = ()
) -> Duration:
    """The time of a whole run. Loading, compiling and saving are not in it."""
    epoch = step_seconds(shape, recipe, work, gpu, gpus) * work.steps_per_epoch
    seconds = epoch * work.epochs
    wide = [recipe.sequence_len if recipe.padded else length for length in validation]
    seen = forward(shape, recipe).of(sum(wide), sum(length * length for length in validation))
    evaluation = recipe.evaluations(work.steps) * seen / (gpu.tflops * 1e12 * gpu.utilization) / gpus
    return Duration(seconds, evaluation, work.tokens / epoch if epoch else 0.0)


def step_seconds(shape: Shape, recipe: Recipe, work: Workload, gpu: Gpu, gpus: int) -> float:
    """The average optimizer step: arithmetic at the card's utilization, or what passes between cards where that takes
    longer; then launches, unpacking of the weights, and the sum of the gradients."""
    micro_batches = max(work.micro_batches / gpus, 1) / work.steps_per_epoch
    operations = training(shape, recipe).of(recipe.replies * work.computed_tokens, recipe.replies * work.row_squares)
    arithmetic = operations / max(work.micro_batches, 1) / (gpu.tflops * 1e12 * gpu.utilization)
    between = sent_bytes_per_micro_batch(weight_bytes(shape, recipe), recipe, gpus) / (gpu.link_gb_s * 1e9)
    gradients = adapter_weights(shape, recipe.targets, recipe.rank) * ADAPTER_BYTES
    summed = sent_bytes_per_step(gradients, gpus) / (gpu.link_gb_s * 1e9)
    fixed = shape.layers * LAUNCH_SECONDS * passes(recipe) / 3
    return micro_batches * (max(arithmetic, between) + fixed + unpacking_seconds(shape, recipe, gpu)) + summed


def passes(recipe: Recipe) -> int:
    """How often the layers are gone through: forward, backward, and once more under checkpointing."""
    return 3 if recipe.checkpointing else 2


def unpacking_seconds(shape: Shape, recipe: Recipe, gpu: Gpu) -> float:
    """Quantized weights are read, written as 16 bit and read again, in every pass of a micro-batch, at the speed of the
    card's memory (the roofline of Williams et al. 2009, doi:10.1145/1498765.1498785)."""
    if recipe.bits >= 16:
        return 0.0
    return passes(recipe) * shape.linear_weights * (recipe.bits / 8 + 2 + 2) / (gpu.bandwidth_gb_s * 1e9)
