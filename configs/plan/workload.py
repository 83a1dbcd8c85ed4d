"""The rows of a run as batches and steps: what goes through the model, padding included."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from configs.plan.packing import first_fit, shuffled
from configs.plan.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Workload:
    """Rows and tokens of the training file; for one epoch on all cards together: `packs` (or padded rows),
    micro-batches and computed tokens; `row_squares` is the sum of the squared lengths that attention sees. `steps` is
    the whole run.
    """

    rows: int
    tokens: int
    trained_tokens: int
    packs: int
    micro_batches: int
    computed_tokens: int
    row_squares: int
    steps: int
    steps_per_epoch: int
    longest: int

    @property
    def epochs(self) -> float:
        return self.steps / self.steps_per_epoch

    @property
    def full(self) -> float:
        """The share of computed tokens that are tokens of rows."""
        return self.tokens / self.computed_tokens if self.computed_tokens else 0.0


def read_lengths(file: Path) -> tuple[list[int], int]:
    """Tokens of each row, and the trained tokens of all."""
    lengths: list[int] = []
    trained = 0
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            metadata = json.loads(line)["metadata"]
            if isinstance(metadata, str):
                # Rows of preferences keep it as text.
                metadata = json.loads(metadata)
            lengths.append(int(metadata["tokens"]))
            trained += int(metadata["trained_tokens"])
    return lengths, trained


def workload(recipe: Recipe, lengths: Sequence[int], trained: int, gpus: int = 1) -> Workload:
    """The batches and steps of `lengths` under a recipe on `gpus` cards that share the rows."""
    packs, micro_batches, computed = batches(recipe, shuffled(lengths))
    each = micro_batches // gpus if recipe.packing else math.ceil(micro_batches / gpus)
    # transformers 5, Trainer.set_initial_training_values: a last step with fewer micro-batches counts.
    steps_per_epoch = max(math.ceil(each / recipe.accumulation), 1)
    return Workload(
        rows=len(lengths),
        tokens=sum(lengths),
        trained_tokens=trained,
        packs=packs,
        micro_batches=micro_batches,
        computed_tokens=computed,
        row_squares=sum(length * length for length in lengths),
        steps=recipe.max_steps or math.ceil(recipe.epochs * steps_per_epoch),
        steps_per_epoch=steps_per_epoch,
        longest=max(lengths, default=0),
    )


def batches(recipe: Recipe, lengths: Sequence[int]) -> tuple[int, int, int]:
    """(packs or rows, micro-batches, tokens that are computed) of one epoch, rows in this order."""
    if recipe.packing and recipe.one_long_pack:
        packs = len(first_fit(lengths, recipe.batch_tokens, recipe.per_pack))
        return packs, packs, packs * recipe.batch_tokens if recipe.padded else sum(lengths)
    if recipe.packing:
        # One pack for each place of the batch, and a last batch that is not full is dropped.
        packs = len(first_fit(lengths, recipe.sequence_len, recipe.per_pack))
        return packs, packs // recipe.micro_batch, packs * recipe.sequence_len
    groups = [lengths[start : start + recipe.micro_batch] for start in range(0, len(lengths), recipe.micro_batch)]
    wide = [recipe.sequence_len if recipe.padded else max(group) for group in groups]
    return len(lengths), len(groups), sum(width * len(group) for width, group in zip(wide, groups, strict=True))
