"""The shape of a decoder, and what follows from it alone: parameters of the base and of an adapter."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

ATTENTION: Final = ("q_proj", "k_proj", "v_proj", "o_proj")
MLP: Final = ("gate_proj", "up_proj", "down_proj")
LINEAR: Final = (*ATTENTION, *MLP)


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes as config.json names them; `kind` is qwen2 (q, k and v have biases) or llama (no biases)."""

    kind: str
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate: int
    vocab: int
    tied: bool

    @property
    def q_dim(self) -> int:
        return self.heads * self.head_dim

    @property
    def kv_dim(self) -> int:
        return self.kv_heads * self.head_dim

    def linear(self, name: str) -> tuple[int, int]:
        """(inputs, outputs) of a projection of one layer."""
        return {
            "q_proj": (self.hidden, self.q_dim),
            "k_proj": (self.hidden, self.kv_dim),
            "v_proj": (self.hidden, self.kv_dim),
            "o_proj": (self.q_dim, self.hidden),
            "gate_proj": (self.hidden, self.intermediate),
            "up_proj": (self.hidden, self.intermediate),
            "down_proj": (self.intermediate, self.hidden),
        }[name]

    @property
    def layer_weights(self) -> int:
        """Parameters in the matrices of one layer, which are what 4-bit loading quantizes."""
        return sum(inputs * outputs for inputs, outputs in map(self.linear, LINEAR))

    @property
    def linear_weights(self) -> int:
        return self.layers * self.layer_weights

    @property
    def largest_matrix(self) -> int:
        return max(inputs * outputs for inputs, outputs in map(self.linear, LINEAR))

    @property
    def embeddings(self) -> int:
        """Input and output embeddings; one matrix where they are tied."""
        return self.vocab * self.hidden * (1 if self.tied else 2)

    @property
    def small(self) -> int:
        """Norms, and the biases of qwen2."""
        biases = self.q_dim + 2 * self.kv_dim if self.kind == "qwen2" else 0
        return self.layers * (2 * self.hidden + biases) + self.hidden

    @property
    def parameters(self) -> int:
        return self.linear_weights + self.embeddings + self.small


def adapter_layer_weights(shape: Shape, targets: Iterable[str], rank: int) -> int:
    """LoRA parameters of one layer: A is rank x inputs, B is outputs x rank (Hu et al. 2021, arXiv:2106.09685, 4.1)."""
    return rank * sum(sum(shape.linear(name)) for name in targets)


def adapter_weights(shape: Shape, targets: Iterable[str], rank: int) -> int:
    return shape.layers * adapter_layer_weights(shape, targets, rank)
