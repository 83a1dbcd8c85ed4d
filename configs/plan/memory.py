"""Peak memory of one card, by part: what lies there all the time, and what each of three moments adds."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from configs.plan.activations import evaluation_bytes, kept_by_layer, loss_bytes, passing_by_layer
from configs.plan.recipe import Recipe
from configs.plan.shapes import LINEAR, Shape, adapter_layer_weights, adapter_weights
from configs.plan.sharding import gathered_bytes, reduced_bytes, share

GIB: Final = 1 << 30
# CUDA's context, cuBLAS and the kernels' own buffers, and the free pieces between tensors that PyTorch keeps, as a
# share of what comes and goes. Both from the difference between nvidia-smi and PyTorch's peak in IBM's seven
# single-card runs of Llama-3-8B with Liger (published.yml), within 0.5 GiB of this line. Where whole logits come and
# go, its runs of Mistral-7B without Liger keep 33 to 37 %. Axolotl asks PyTorch for expandable segments, with which it
# may be less.
CONTEXT: Final = round(0.95 * GIB)
SLACK: Final = 0.10
SLACK_OF_WHOLE_LOGITS: Final = 0.35
# PEFT keeps the adapter in 32 bit over a 16-bit base (`autocast_adapter_dtype`), and so are its gradients.
ADAPTER_BYTES: Final = 4


@dataclass(frozen=True, slots=True)
class Moment:
    """What is on the card at one moment: bytes by part."""

    name: str
    parts: Mapping[str, int]

    @property
    def total(self) -> int:
        return sum(self.parts.values())


@dataclass(frozen=True, slots=True)
class Memory:
    """The moments of a run; the run needs what the largest of them needs."""

    moments: tuple[Moment, ...]

    @property
    def peak(self) -> Moment:
        return max(self.moments, key=lambda moment: moment.total)

    @property
    def without_slack(self) -> int:
        """Bytes that PyTorch needs at the least: when memory is short it gives the pieces between tensors back."""
        return max(moment.total - moment.parts["free pieces"] for moment in self.moments)


def memory(
    shape: Shape, recipe: Recipe, gpus: int = 1, longest: int | None = None, longest_seen: int | None = None
) -> Memory:
    """The memory of one of `gpus` cards. `longest`, `longest_seen`: tokens of the longest row of training and
    evaluation, which count where rows are not padded to sequence_len.
    """
    width = recipe.sequence_len if recipe.packing else batch_width(recipe, longest)
    tokens = recipe.replies * recipe.micro_batch * width
    still = resident(shape, recipe, gpus)
    kept = {"activations, layer inputs": kept_inputs(shape, recipe, tokens)}
    layer = tokens * passing_by_layer(shape, recipe) + dequantized(shape, recipe)
    if recipe.checkpointing:
        kept_layers = {"activations, one layer again": tokens * kept_by_layer(shape, recipe) + layer}
    else:
        every = shape.layers * tokens * kept_by_layer(shape, recipe)
        kept["activations, inside layers"] = every
        kept_layers = {"gradients of activations": layer}
    slack = SLACK if recipe.fused_loss and not recipe.rl else SLACK_OF_WHOLE_LOGITS
    moments = [
        moment("backward pass", still, kept | kept_layers, slack),
        moment("loss", still, kept | {"logits and loss": loss_bytes(shape, recipe, tokens)}, slack),
    ]
    if recipe.eval_batch:
        seen = recipe.replies * recipe.eval_batch * batch_width(recipe, longest_seen)
        quiet = {name: size for name, size in still.items() if name != "gradients"}
        whole = {"logits and loss": evaluation_bytes(shape, recipe, seen)}
        moments.append(moment("evaluation", quiet, whole, SLACK_OF_WHOLE_LOGITS))
    return Memory(tuple(moments))


def batch_width(recipe: Recipe, longest: int | None) -> int:
    """Tokens in each row of a batch that is not packed."""
    return recipe.sequence_len if recipe.padded or longest is None else longest


def moment(name: str, still: Mapping[str, int], moving: Mapping[str, int], slack: float) -> Moment:
    overhead = {"CUDA and libraries": CONTEXT, "free pieces": round(slack * sum(moving.values()))}
    return Moment(name, {**still, **moving, **overhead})


def resident(shape: Shape, recipe: Recipe, gpus: int = 1) -> dict[str, int]:
    """What lies on one card all the time, gradients between two steps excepted."""
    adapter = adapter_weights(shape, recipe.targets, recipe.rank)
    part = share(recipe.sharding, gpus)
    return {
        "weights": round(weight_bytes(shape, recipe) * part) + gathered_bytes(shape, recipe, gpus),
        "adapter": round(adapter * ADAPTER_BYTES * part),
        "gradients": round(adapter * ADAPTER_BYTES * part) + reduced_bytes(adapter * ADAPTER_BYTES, recipe, gpus),
        "optimizer": round(adapter * recipe.optimizer_bytes * part),
    }


def weight_bytes(shape: Shape, recipe: Recipe) -> int:
    """The frozen base: its matrices in `bits`, embeddings, norms and biases as floats."""
    floats = (shape.embeddings + shape.small) * recipe.float_bytes
    matrices = sum(matrix_bytes(*shape.linear(name), recipe.bits) for name in LINEAR)
    return shape.layers * matrices + floats


def matrix_bytes(inputs: int, outputs: int, bits: int) -> int:
    """One matrix as bitsandbytes stores it.

    4 bit: half a byte a weight; one 8-bit scale for each block of 64, and for each 256 of those one 32-bit scale
    (double quantization: Dettmers et al. 2023, arXiv:2305.14314, 3; 0.127 bits a weight), with its tables of 16 and
    256 numbers and an offset. 8 bit: one byte, and a 32-bit scale a row (Dettmers et al. 2022, arXiv:2208.07339).
    """
    count = inputs * outputs
    if bits == 4:
        blocks = math.ceil(count / 64)
        return math.ceil(count / 2) + blocks + 4 * math.ceil(blocks / 256) + 4 * (16 + 256 + 1)
    if bits == 8:
        return count + 4 * outputs
    return count * bits // 8


def dequantized(shape: Shape, recipe: Recipe) -> int:
    """The matrix that is unpacked for its product, at most one at a time, and the kernels' 16-bit copies of A and B."""
    unpacked = shape.largest_matrix * recipe.float_bytes if recipe.bits < 16 else 0
    copies = adapter_layer_weights(shape, recipe.targets, recipe.rank) * 2 if recipe.fused else 0
    return unpacked + copies


def kept_inputs(shape: Shape, recipe: Recipe, tokens: int) -> int:
    """The input of every layer: all that checkpointing keeps (Chen et al. 2016, arXiv:1604.06174, 4.1, a segment a
    layer).

    With activation_offloading they wait in the machine's memory, and two of them pass through the card at a time.
    """
    layers = min(2, shape.layers) if recipe.offloading and recipe.checkpointing else shape.layers
    return layers * tokens * shape.hidden * recipe.float_bytes
