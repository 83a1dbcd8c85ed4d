"""How llama.cpp must cut a text before it looks for tokens, and the texts on which both sides have to agree.

llama.cpp's converter knows a pre-tokenizer by the ids that its vocabulary gives to one long string. A vocabulary that
somebody trained anew is unknown to it even where the rule is a common one, so a person may name the rule; it is taken
only where tokenizer.json holds that very regular expression, and the ids of `NASTY` are compared afterwards.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from deploy.adapter import Refusal, read_object

_WORDS: Final = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
_REST: Final = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
# The regular expressions of the tokenizer.json of Qwen2 and Llama 3, and GPT-2's own, by llama.cpp's names for them.
SPLITS: Final = {
    "qwen2": rf"{_WORDS}\p{{N}}{_REST}",
    "llama-bpe": rf"{_WORDS}\p{{N}}{{1,3}}{_REST}",
    "gpt-2": r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
}

# All in NFC: llama.cpp never normalises, so no vocabulary that does gives other texts the same ids on both sides.
NASTY: Final = (
    "",
    " ",
    "a  b   c",
    "\n\n\t \n  x\r\n\r\ny \n",
    "I've we'LL they'd 'tis '' ''''",
    "0 12 345 6789 3.14 1e-5 0x1F ２３",
    "def f(x):\n\treturn {'a': [x, *y]}  # done\n",
    "Größe naïve Ελληνικά русский العربية हिन्दी 中文 日本語 한국어",
    "🚀👩‍👩‍👧‍👦 e⃣ \u200b\u00a0\u3000 \ufeff",
    "…—“”‘’ ------ ======= ....!!!!??",
    '<|im_start|>user\nhi<|im_end|>\n<tool_call>\n{"name": "Bash"}\n</tool_call>',
    "\x00\x01\x7f \\u0000 \\n",
)


def split_of(tokenizer: Path) -> str | None:
    """The regular expression by which a tokenizer.json cuts texts; None where it cuts in another way."""
    rule = read_object(tokenizer).get("pre_tokenizer") or {}
    steps: list[dict[str, Any]] = rule.get("pretokenizers", []) if rule.get("type") == "Sequence" else [rule]
    found = [expression for step in steps if (expression := _expression(step)) is not None]
    return found[0] if len(found) == 1 else None


def _expression(step: dict[str, Any]) -> str | None:
    """What one step cuts by; None for a step that only turns text into bytes."""
    kind = step.get("type")
    if kind == "ByteLevel" and not step.get("add_prefix_space"):
        return SPLITS["gpt-2"] if step.get("use_regex", True) else None
    if kind == "Split" and step.get("behavior") == "Isolated" and not step.get("invert"):
        pattern = step.get("pattern", {})
        return str(pattern["Regex"]) if "Regex" in pattern else ""
    return ""


def check_named(name: str, tokenizer: Path) -> None:
    """Raises `Refusal` unless a tokenizer.json cuts exactly as llama.cpp's pre-tokenizer of this name."""
    if split_of(tokenizer) != SPLITS[name]:
        same = [known for known, expression in SPLITS.items() if split_of(tokenizer) == expression]
        fix = f"Say --pre-tokenizer {same[0]}." if same else "No pre-tokenizer that can be named here is that of it."
        raise Refusal(f"{tokenizer} does not cut texts as {name} does. {fix}")
