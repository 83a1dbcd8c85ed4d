"""Build and pre-train the tiny Qwen2: its sizes, its optimizer and its steps.

Two layers, weights drawn with deviation 0.08 and a second beta of 0.98 are the sizes at which a model this small was
seen to learn a role's calls at all; what it learns from is in practice.py, what it starts from in copying.py.
"""

import math
import random
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final

from scripts.tiny_base.copying import start_copying
from scripts.tiny_base.practice import conversations
from scripts.tiny_base.texts import TownText
from scripts.tiny_base.tokenizer import CONTEXT_TOKENS, encode_turns

BATCH: Final = 16
PEAK_LEARNING_RATE: Final = 3.0e-3
WARMUP_STEPS: Final = 30
# Batches whose conversations are sorted by length together.
SORTED_TOGETHER: Final = 50

Example = tuple[list[int], list[int]]


def build_model(tokenizer: Any, seed: int) -> Any:
    """A Qwen2 of about 0.6 M parameters with tied embeddings that copies already."""
    from transformers import Qwen2Config, Qwen2ForCausalLM, set_seed

    set_seed(seed)
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=CONTEXT_TOKENS,
        # Slow rotation leaves two thirds of a head's 32 dimensions to match by content over some hundred tokens.
        rope_parameters={"rope_type": "default", "rope_theta": 1.0e8},
        initializer_range=0.08,
        tie_word_embeddings=True,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
    )
    model: Any = Qwen2ForCausalLM(config)
    start_copying(model, seed)
    return model


def pretrain(model: Any, tokenizer: Any, town: TownText, steps: int, seed: int) -> Iterator[tuple[int, float]]:
    """Train in place for `steps` batches; yields (step, mean loss of the last 50 steps) every 50 steps."""
    import torch

    optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK_LEARNING_RATE, betas=(0.9, 0.98), weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate(step, steps))
    encoded = (encode_turns(tokenizer, turns) for turns in conversations(town, steps * BATCH, seed))
    losses: list[float] = []
    model.train()
    for step, batch in enumerate(batches(encoded, seed), start=1):
        loss = learned_loss(model, *padded(batch, tokenizer.pad_token_id))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        losses.append(loss.item())
        if step % 50 == 0:
            yield step, sum(losses[-50:]) / 50


def rate(step: int, steps: int) -> float:
    """Linear warm-up, then a cosine down to a tenth."""
    if step < WARMUP_STEPS:
        return (step + 1) / WARMUP_STEPS
    return 0.1 + 0.45 * (1 + math.cos(math.pi * min(1.0, step / steps)))


def batches(examples: Iterator[Example], seed: int) -> Iterator[list[Example]]:
    """Batches of similar length in a shuffled order: padding would take half of the time otherwise."""
    rng = random.Random(seed)
    while drawn := list(islice(examples, BATCH * SORTED_TOGETHER)):
        drawn.sort(key=lambda example: len(example[0]))
        grouped = [drawn[start : start + BATCH] for start in range(0, len(drawn), BATCH)]
        rng.shuffle(grouped)
        yield from grouped


def padded(batch: Sequence[Example], pad: int) -> tuple[Any, Any]:
    """Token ids and labels of one batch, padded on the right to its longest example."""
    import torch

    width = max(len(ids) for ids, _ in batch)
    return (
        torch.tensor([ids + [pad] * (width - len(ids)) for ids, _ in batch]),
        torch.tensor([labels + [-100] * (width - len(labels)) for _, labels in batch]),
    )


def learned_loss(model: Any, ids: Any, labels: Any) -> Any:
    """Mean loss of the labelled tokens, as the model gives it, in two thirds of the time.

    Two of three tokens have no label, so their logits over the vocabulary are never made. Padding stands behind what
    is real, where no token looks, so no mask keeps the attention from its fast form.
    """
    import torch

    hidden, wanted = model.model(input_ids=ids).last_hidden_state[:, :-1], labels[:, 1:]
    learned = wanted != -100
    return torch.nn.functional.cross_entropy(model.lm_head(hidden[learned]), wanted[learned])


def save(model: Any, out: Path) -> None:
    """Write the weights and the configuration beside the tokenizer."""
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    model.eval()
    model.save_pretrained(out)
