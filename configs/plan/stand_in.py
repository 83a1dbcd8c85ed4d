"""A base model of a given shape with random weights, its tokenizer, and rows of a given length: all that steps need.

What is learned does not matter for what it takes, so nothing has to come from a hub. A token is a byte; the rest of the
vocabulary is there and never used.
"""

import json
from pathlib import Path
from typing import Any

from configs.plan.shapes import Shape

TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
# Bytes that the template puts around the three messages of a row.
AROUND = 32


def make_base(shape: Shape, folder: Path) -> None:
    """Random 16-bit weights, made on the GPU where there is one, and a tokenizer beside them."""
    import torch
    from transformers import AutoModelForCausalLM

    ends = {"eos_token_id": len(alphabet()) + SPECIAL.index("<|im_end|>"), "bos_token_id": None}
    config = model_config(shape, max_position_embeddings=32768, **ends)
    gpu = torch.cuda.is_available()
    with torch.device("cuda" if gpu else "cpu"):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16 if gpu else torch.float32)
    model.save_pretrained(folder)
    make_tokenizer(folder)
    del model
    if gpu:
        torch.cuda.empty_cache()


def model_config(shape: Shape, **more: Any) -> Any:
    """The configuration of transformers for a shape."""
    from transformers import LlamaConfig, Qwen2Config

    sizes: dict[str, Any] = {
        "hidden_size": shape.hidden,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "intermediate_size": shape.intermediate,
        "vocab_size": shape.vocab,
        "tie_word_embeddings": shape.tied,
        **more,
    }
    return Qwen2Config(**sizes) if shape.kind == "qwen2" else LlamaConfig(head_dim=shape.head_dim, **sizes)


def alphabet() -> list[str]:
    from tokenizers.pre_tokenizers import ByteLevel

    return sorted(ByteLevel.alphabet())


def make_tokenizer(folder: Path) -> None:
    """One token for each byte, and the marks of ChatML."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE(vocab={byte: number for number, byte in enumerate(alphabet())}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(SPECIAL))
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>", chat_template=TEMPLATE
    )
    fast.save_pretrained(folder)


def write_full_rows(file: Path, rows: int, tokens: int) -> None:
    """Rows of about `tokens` tokens each, and never more, half of them trained."""
    half = (tokens - AROUND) // 2
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", encoding="utf-8") as lines:
        for number in range(rows):
            said = (("system", "Copy."), ("human", f"{number:06}" + "a" * (half - 6)), ("gpt", "b" * (half - 5)))
            turns = [{"from": who, "value": value, "train": who == "gpt"} for who, value in said]
            row = {"conversations": turns, "metadata": {"tokens": tokens, "trained_tokens": half}}
            lines.write(json.dumps(row) + "\n")
