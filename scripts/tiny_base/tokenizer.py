"""The tiny base's own tokenizer: Qwen2's kind (byte-level BPE, single digits, ChatML), trained on the town.

Axolotl's copy of the Qwen2.5 chat template goes with it, so that masks and prompts are those of a real run.
"""

from collections.abc import Sequence
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import Any, Final, NamedTuple

# Qwen2's pre-tokenizer. Its single digits are what lets a small model copy ids that it has never seen.
SPLIT: Final = "|".join(
    (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)",
        r"[^\r\n\p{L}\p{N}]?\p{L}+",
        r"\p{N}",
        r" ?[^\s\p{L}\p{N}]+[\r\n]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    )
)
END_OF_TEXT, START, END = SPECIALS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
VOCABULARY: Final = 2048
CONTEXT_TOKENS: Final = 4096


class Turn(NamedTuple):
    """One message of a conversation in the chat template's own words (system, user, assistant)."""

    role: str
    content: str


def train_tokenizer(texts: Sequence[str], out: Path) -> Any:
    """Train on `texts`, save into `out`, and return the loaded `PreTrainedTokenizerFast`."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE())
    raw.normalizer = normalizers.NFC()
    raw.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(  # type: ignore[no-untyped-call]
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIALS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    raw.train_from_iterator(texts, trainer=trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw,
        eos_token=END,
        pad_token=END_OF_TEXT,
        model_max_length=CONTEXT_TOKENS,
        chat_template=chat_template(),
    )
    tokenizer.save_pretrained(out)
    return tokenizer


def chat_template() -> str:
    """Qwen2.5's chat template, from the Axolotl that is installed (found, not imported: that takes seconds)."""
    spec = find_spec("axolotl")
    if spec is None or not spec.submodule_search_locations:
        raise ValueError("Axolotl is not installed. Run `pip install -r requirements-gpu.txt`.")
    root = Path(spec.submodule_search_locations[0])
    return (root / "utils/chat_templates/templates/qwen_25.jinja").read_text(encoding="utf-8")


def encode_turns(tokenizer: Any, turns: Sequence[Turn]) -> tuple[list[int], list[int]]:
    """Token ids of a conversation and its labels: -100 everywhere but in the assistant's text and its end mark."""
    pieces = [piece for turn in turns for piece in (f"{START}{turn.role}\n", f"{turn.content}{END}", "\n")]
    encoded: list[list[int]] = tokenizer(pieces, add_special_tokens=False)["input_ids"]
    labels: list[int] = []
    for turn, head, body, tail in zip(turns, encoded[::3], encoded[1::3], encoded[2::3], strict=True):
        learned = body if turn.role == "assistant" else [-100] * len(body)
        labels += [-100] * len(head) + learned + [-100] * len(tail)
    return list(chain.from_iterable(encoded)), labels
