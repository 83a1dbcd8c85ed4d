"""More than one card: what each of them holds, and what passes between them.

Assumptions, stated because nothing of it was measured here. Without sharding (DDP) every card holds everything and the
adapter's gradients are added up once a step, in buckets that are a second copy. ZeRO-3 (Rajbhandari et al. 2020,
arXiv:1910.02054, 5 and 7) and FSDP2 (Zhao et al. 2023, arXiv:2304.11277, 3.2) keep one part in N of weights, adapter,
gradients and optimizer, and gather two layers at a time, the one that is computed and the next; FSDP2 also keeps the
embeddings together from the forward to the backward pass, ZeRO-3 gathers the largest of them.
"""

from configs.plan.recipe import Recipe, Sharding
from configs.plan.shapes import Shape


def share(sharding: Sharding, gpus: int) -> float:
    """The part of weights, adapter and optimizer that one card holds."""
    return 1.0 if sharding == "none" else 1 / gpus


def gathered_bytes(shape: Shape, recipe: Recipe, gpus: int) -> int:
    """Weights that a card holds for a while though they belong to others."""
    if recipe.sharding == "none" or gpus == 1:
        return 0
    of_others = (gpus - 1) / gpus
    layers = 2 * shape.layer_weights * recipe.bits / 8
    embeddings = shape.embeddings if recipe.sharding == "fsdp2" else shape.vocab * shape.hidden
    return round(of_others * (layers + embeddings * recipe.float_bytes))


def reduced_bytes(gradients: int, recipe: Recipe, gpus: int) -> int:
    """DDP's buckets, in which gradients are added up (Li et al. 2020, arXiv:2006.15704, 3.2.3)."""
    return gradients if gpus > 1 and recipe.sharding == "none" else 0


def sent_bytes_per_step(gradients: int, gpus: int) -> float:
    """A ring sends 2 (N - 1) / N of the gradients for their sum (Rajbhandari et al. 2020, 7.1)."""
    return 2 * (gpus - 1) / gpus * gradients


def sent_bytes_per_micro_batch(weights: int, recipe: Recipe, gpus: int) -> float:
    """Sharded weights are gathered for the forward pass and once more for the backward pass, which under checkpointing
    computes a layer again while it has its weights (Rajbhandari et al. 2020, 7.2)."""
    return 0.0 if recipe.sharding == "none" else 2 * (gpus - 1) / gpus * weights
