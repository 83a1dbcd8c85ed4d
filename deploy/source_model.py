"""What a model says before it becomes another format: prompts, greedy answers and logits from transformers and PEFT.

Exports are held against this. Prompts are the role's own validation rows where the datasets are there, filled up with
fixed ones.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, takewhile
from pathlib import Path
from typing import Any, Final

from deploy.adapter import Refusal

Chat = tuple[dict[str, str], ...]
"""messages with `role` and `content`"""

FIXED: Final[tuple[Chat, ...]] = tuple(
    ({"role": "system", "content": "You are a careful assistant."}, {"role": "user", "content": text})
    for text in (
        "Bead pe-42 is ready. Give it to petals.",
        "Read src/parser.py first, then tell me what it does.",
        "Write a Python function that adds two numbers.",
        "What is 17 + 25?",
        "Nenne drei Flüsse in Europa – mit Länge.",
        "How does convoy ha-17 stand?",
    )
)
PROMPTS: Final = len(FIXED)
# Longer prompts cost a large model on a CPU minutes and say the same.
MAX_PROMPT_TOKENS: Final = 1024
ANSWER_TOKENS: Final = 24
SPEAKERS: Final = {"system": "system", "human": "user", "gpt": "assistant"}


@dataclass(frozen=True)
class Answer:
    """A prompt and what the source model answers greedily."""

    chat: Chat
    text: str
    """the prompt as the chat template renders it"""
    prompt: tuple[int, ...]
    tokens: tuple[int, ...]
    """of the answer, with the end mark if it came"""
    logits: Any
    """float32, one row for each of `tokens`: what predicted it"""


class Source:
    """A loaded model with its tokenizer."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self.model, self.tokenizer = model, tokenizer
        # Nothing else of generation_config.json is used: its repetition penalty would hide what the weights say.
        named = model.generation_config.eos_token_id if model.generation_config else None
        ends = named if isinstance(named, list) else [named, tokenizer.eos_token_id]
        self.ends = frozenset(end for end in ends if end is not None)

    @property
    def precision(self) -> str:
        """float32, or what the weights are in where float32 does not fit."""
        return str(self.model.dtype).removeprefix("torch.")

    def render(self, chat: Sequence[dict[str, str]], prompt: bool = True) -> str:
        """The text of a chat by the model's own template, open for an answer where it is a prompt."""
        text = self.tokenizer.apply_chat_template(list(chat), tokenize=False, add_generation_prompt=prompt)
        return str(text)

    def encode(self, text: str) -> list[int]:
        """Token ids of a text; special tokens in it count as such, none is added."""
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def logits(self, tokens: Sequence[int]) -> Any:
        """float32 logits, one row a token."""
        import torch

        with torch.inference_mode():
            return self.model(input_ids=torch.tensor([list(tokens)], device=self.model.device)).logits[0].float().cpu()

    def answer(self, chat: Chat) -> Answer:
        """The greedy answer to a prompt, `ANSWER_TOKENS` long at most."""
        text = self.render(chat)
        prompt = self.encode(text)
        tokens: list[int] = []
        rows: list[Any] = []
        for row in islice(self._next_logits(prompt, tokens), ANSWER_TOKENS):
            rows.append(row)
            tokens.append(int(row.argmax()))
            if tokens[-1] in self.ends:
                break
        return Answer(chat, text, tuple(prompt), tuple(tokens), rows)

    def _next_logits(self, prompt: list[int], tokens: list[int]) -> Iterator[Any]:
        """The logits after the prompt, then after each token that was appended to `tokens` meanwhile."""
        import torch

        fed, cache = prompt, None
        while True:
            with torch.inference_mode():
                ids = torch.tensor([fed], device=self.model.device)
                out = self.model(input_ids=ids, past_key_values=cache, use_cache=True)
            cache = out.past_key_values
            yield out.logits[0, -1].float().cpu()
            fed = tokens[-1:]


def load(folder: Path, adapter: Path | None = None) -> Source:
    """The model in `folder`, with an adapter on top if one is given, in float32 where half of the memory holds that."""
    for library in ("bitsandbytes", "torch.utils._pytree", "torchao"):
        logging.getLogger(library).setLevel(logging.CRITICAL)  # kernels that no CPU has
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    weights = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    # Weights in 16 bits double in float32.
    fits = 2 * weights < os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32 if fits else "auto")
    if adapter is not None:
        from peft import PeftModel

        model = PeftModel.from_pretrained(model, str(adapter))
    has_tokenizer = adapter is not None and (adapter / "tokenizer_config.json").is_file()
    return Source(model.eval(), AutoTokenizer.from_pretrained(adapter if has_tokenizer else folder))


def read_chats(rows: Path, limit: int) -> list[Chat]:
    """The first conversations of a file of rows with text in every message; none where there is no such file."""
    if not rows.is_file():
        return []
    with rows.open(encoding="utf-8") as lines:
        chats = (_chat(json.loads(line)) for line in lines)
        return list(islice((chat for chat in chats if chat), limit))


def _chat(row: dict[str, Any]) -> Chat:
    if "conversations" in row:
        return tuple({"role": SPEAKERS[turn["from"]], "content": turn["value"]} for turn in row["conversations"])
    spoken = takewhile(lambda message: isinstance(message.get("content"), str), row.get("messages", ()))
    return tuple({"role": message["role"], "content": message["content"]} for message in spoken)


def prompts(source: Source, rows: Path) -> list[Chat]:
    """What the role is asked in its rows, before its first reply, then fixed prompts: `PROMPTS` in all."""
    asked = [tuple(takewhile(lambda message: message["role"] != "assistant", chat)) for chat in read_chats(rows, 50)]
    fitting = [chat for chat in _distinct(asked) if len(source.encode(source.render(chat))) <= MAX_PROMPT_TOKENS]
    return [*fitting, *FIXED][:PROMPTS]


def _distinct(chats: Sequence[Chat]) -> list[Chat]:
    seen = {json.dumps(chat): chat for chat in chats if any(message["role"] == "user" for message in chat)}
    return list(seen.values())


def refuse_without_training_libraries() -> None:
    """Raises `Refusal` where torch and transformers are not installed."""
    from importlib.util import find_spec

    if any(find_spec(name) is None for name in ("torch", "transformers", "peft")):
        raise Refusal("torch, transformers and peft are not installed here. Run: pip install -r requirements-gpu.txt.")
