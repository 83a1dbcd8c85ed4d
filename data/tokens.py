"""Exact token counts by the base model's own tokenizer, chat template included.

`load_counter("Qwen/Qwen2.5-7B-Instruct")` finds the tokenizer in a folder, in the hub's cache, in the packaged
Qwen vocabulary, or on the hub, in that order; it never estimates.
"""

from __future__ import annotations

import importlib.util
import os
import re
import sys
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from data.chat_template import QWEN2_5, ChatTemplate, TemplateRefused, read_template

if TYPE_CHECKING:
    import numpy as np
    from gigatoken import Tokenizer
    from numpy.typing import NDArray

Speaker = Literal["system", "user", "assistant"]

# Qwen2.5's chat template for plain messages, as its tokenizer_config.json renders it.
CHATML_OPENING = "<|im_start|>system\n"
CHATML_TO_USER = "<|im_end|>\n<|im_start|>user\n"
CHATML_TO_ASSISTANT = "<|im_end|>\n<|im_start|>assistant\n"
CHATML_CLOSING = "<|im_end|>\n"

# The three control tokens follow the 151,643 ranks of the packaged vocabulary.
QWEN_CONTROL = {"<|endoftext|>": 151643, "<|im_start|>": 151644, "<|im_end|>": 151645}
# Qwen2.5 counts each tag of a call as one token, which Qwen2 does not (added_tokens of its tokenizer_config.json).
QWEN2_5_TAGS = {"<tool_call>": 151657, "</tool_call>": 151658}

VOCABULARY_FOLDER = Path(sys.prefix) / "share" / "vocabulary"

_BATCH_CHARACTERS = 4_000_000
_SURELY_OVER = 16  # characters a token: text has about 3, so what is longer is over the budget without a look
_MARKER_TOKENS = 16
_QWEN2_5_TEXT = re.compile(r"Qwen/Qwen2\.5-(?:Coder-)?[\d.]+B(?:-Instruct)?")
_PROBE = ("\x02sys\x03", "\x02one\x03", "\x02two\x03", "\x02three\x03", "\x02four\x03")


class TokenizerNotFound(Exception):
    """No tokenizer of the base model is at hand."""


class Frame(msgspec.Struct, frozen=True):
    """How many tokens the chat template adds around contents.

    A row of n exchanges costs `opening + n * exchange` besides its contents: the system turn's frame, and for
    each exchange the frames of its user and assistant turns. `end_of_turn` of them are trained with each reply.
    """

    opening: int
    exchange: int
    end_of_turn: int = 1


class TokenCounter:
    """Counts and cuts texts. Holds the loaded tokenizer; safe to build once per process."""

    def __init__(
        self,
        name: str,
        tokenizer: Tokenizer,
        joints: tuple[str, str, str, str, str],
        control: Mapping[str, int],
        nfc: bool,
    ) -> None:
        self.name = name
        self._tokenizer = tokenizer
        self._nfc = nfc
        self._separator = next((pair for pair in control.items() if _separates(tokenizer, *pair)), None)
        opening, first_user, to_assistant, next_user, closing = self.counts(joints)
        self.frame = Frame(
            opening=opening + first_user - next_user + closing,
            exchange=to_assistant + next_user,
        )

    def counts(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, no template."""
        sizes = [0] * len(texts)
        for batch in _batches(texts):
            for i, ids in zip(batch, self._encode([texts[i] for i in batch]), strict=True):
                sizes[i] = len(ids)
        return sizes

    def count(self, text: str) -> int:
        return self.counts([text])[0]

    def cut_middle(self, texts: Sequence[str], budgets: Sequence[int]) -> list[str]:
        """The texts; one over its budget (tokens) has its middle replaced by a marker that says how much is missing."""
        cut = list(texts)
        # A token is at least one byte, so only longer texts need a look.
        suspects = [
            i
            for i, (text, budget) in enumerate(zip(texts, budgets, strict=True))
            if len(text) > budget or (not text.isascii() and len(text.encode()) > budget)
        ]
        for i, head, tail in self._ends_of_long(texts, suspects, budgets):
            missing = max(len(texts[i]) - len(head) - len(tail), 0)
            cut[i] = f"{head}\n[... {missing} characters left out ...]\n{tail}"
        return cut

    def _ends_of_long(
        self, texts: Sequence[str], suspects: Sequence[int], budgets: Sequence[int]
    ) -> Iterator[tuple[int, str, str]]:
        """For each text over its budget its place, and the head and the tail that are kept of it."""
        heads = [texts[i][: _SURELY_OVER * budgets[i]] for i in suspects]
        keeps = [max(budgets[i] - _MARKER_TOKENS, 2) for i in suspects]
        for batch in _batches(heads):
            encoded = zip(batch, self._encode([heads[n] for n in batch]), strict=True)
            long = [(n, ids) for n, ids in encoded if len(ids) > budgets[suspects[n]]]
            tails = self._encode([texts[suspects[n]][-_SURELY_OVER * (keeps[n] // 2) :] for n, _ in long])
            for (n, ids), tail in zip(long, tails, strict=True):
                keep = keeps[n]
                yield (
                    suspects[n],
                    self._decode(ids[: keep - keep // 2]).rstrip(),
                    self._decode(tail[-(keep // 2) :]).lstrip(),
                )

    def _encode(self, batch: Sequence[str]) -> list[NDArray[np.uint32]]:
        """The ids of each text. One call for texts with a control token between them is as exact as a batch, which
        costs more and loads a library of 0.3 s."""
        texts = [self._normal(text) for text in batch]
        if self._separator and len(texts) > 1:
            text, mark = self._separator
            ids = self._tokenizer.encode(text.join(texts))
            places = (ids == mark).nonzero()[0].tolist()
            if len(places) == len(texts) - 1:  # else a text holds the separator itself
                starts, ends = [0, *(at + 1 for at in places)], [*places, len(ids)]
                return [ids[start:end] for start, end in zip(starts, ends, strict=True)]
        return [self._tokenizer.encode(text) for text in texts]

    def _decode(self, ids: Any) -> str:
        return self._tokenizer.decode(ids).decode("utf-8", "ignore")

    def _normal(self, text: str) -> str:
        return unicodedata.normalize("NFC", text) if self._nfc else text


class _AddedToken(msgspec.Struct, frozen=True):
    id: int
    content: str
    special: bool = False


class _Added(msgspec.Struct, frozen=True):
    """The part of a tokenizer.json that lists its control tokens."""

    added_tokens: tuple[_AddedToken, ...] = ()


def _separates(tokenizer: Tokenizer, text: str, mark: int) -> bool:
    """Whether a control token parts two texts and changes neither: it takes no spaces, and nothing is put before."""
    halves = (" a b \n", "\n c d ")
    apart = [tokenizer.encode(half).tolist() for half in halves]
    together: list[int] = tokenizer.encode(text.join(halves)).tolist()
    return together == [*apart[0], mark, *apart[1]]


def _batches(texts: Sequence[str]) -> Iterator[list[int]]:
    """The places of the texts in batches of bounded size."""
    batch: list[int] = []
    size = 0
    for i, text in enumerate(texts):
        batch.append(i)
        size += len(text)
        if size > _BATCH_CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


@cache
def load_counter(base_model: str) -> TokenCounter:
    """The counter for a base model: a folder, or a hub id. Loaded once in a process.

    Raises TokenizerNotFound with the fix where no tokenizer can be had.
    """
    locate = _find_tokenizer(base_model)
    return _from_folder(base_model, locate) if locate else _packaged_qwen(base_model)


def load_template(base_model: str) -> ChatTemplate:
    """The chat template of a base model, from where its tokenizer is found.

    Raises TokenizerNotFound with the fix where none can be had.
    """
    locate = _find_tokenizer(base_model)
    if not locate and not _QWEN2_5_TEXT.fullmatch(base_model):
        raise TokenizerNotFound(
            f"The chat template of {base_model} is not at hand. Set base_model in configs/data.yml to a folder with"
            " its tokenizer.json and tokenizer_config.json, or set tool_format: xml."
        )
    try:
        if locate:
            return read_template(base_model, locate)
        return ChatTemplate(base_model, QWEN2_5.read_text("utf-8"), {"eos_token": "<|im_end|>"})
    except TemplateRefused as error:
        raise TokenizerNotFound(f"The chat template of {base_model} {error}.") from None


def _find_tokenizer(base_model: str) -> Callable[[str], Path] | None:
    """Where the files of a model's tokenizer are, by name; None where the packaged vocabulary stands in for them."""
    folder = Path(base_model).expanduser()
    if (folder / "tokenizer.json").is_file():
        return lambda name: folder / name
    if (folder / "config.json").is_file():
        raise TokenizerNotFound(f"{folder} holds a model but no tokenizer.json. Save its tokenizer there.")
    if cached := _cached(base_model, "tokenizer.json"):
        return lambda name: cached.parent / name
    return None if _is_qwen2(base_model) else lambda name: _download(base_model, name)


def vocabulary_of(base_model: str) -> list[Path]:
    """The files that `load_counter` reads, as far as they are at hand: other ones may count other tokens."""
    folder = Path(base_model).expanduser()
    cached = None if (folder / "config.json").is_file() else _cached(base_model, "tokenizer.json")
    home = cached.parent if cached else folder
    names = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
    found = [home / name for name in names if (home / name).is_file()]
    packaged = packaged_vocabulary() if not found and _is_qwen2(base_model) else None
    return [packaged] if packaged else found


def _from_folder(name: str, locate: Callable[[str], Path]) -> TokenCounter:
    from gigatoken import Tokenizer

    content = locate("tokenizer.json").read_bytes()
    added = msgspec.json.decode(content, type=_Added).added_tokens
    control = {token.content: token.id for token in added if token.special}
    return TokenCounter(name, Tokenizer.from_json(content), read_joints(name, locate), control, nfc=False)


def read_joints(name: str, locate: Callable[[str], Path]) -> tuple[str, str, str, str, str]:
    """What the model's chat template writes before, between and after the contents of a conversation."""
    speakers: tuple[Speaker, ...] = ("system", "user", "assistant", "user", "assistant")
    messages = [{"role": who, "content": text} for who, text in zip(speakers, _PROBE, strict=True)]
    try:
        rest = read_template(name, locate).render(messages)
    except TemplateRefused as error:
        raise TokenizerNotFound(f"The chat template of {name} {error}; it cannot be counted.") from None
    joints = []
    for text in _PROBE:
        joint, found, rest = rest.partition(text)
        if not found:
            raise TokenizerNotFound(f"The chat template of {name} does not show every message; it cannot be counted.")
        joints.append(joint)
    opening, first_user, to_assistant, next_user, second_assistant = joints
    if second_assistant != to_assistant:
        raise TokenizerNotFound(f"The chat template of {name} depends on the position of a turn; it cannot be counted.")
    return opening, first_user, to_assistant, next_user, rest


def _packaged_qwen(name: str) -> TokenCounter:
    from gigatoken import Tokenizer

    vocabulary = packaged_vocabulary()
    if vocabulary is None:
        raise TokenizerNotFound(
            f"No tokenizer of {name} is at hand. Run `pip install --no-deps dashscope` (it carries the Qwen"
            " vocabulary), or set base_model in configs/data.yml to a folder with its tokenizer.json."
        )
    control = QWEN_CONTROL | (QWEN2_5_TAGS if name.startswith("Qwen/Qwen2.5-") else {})
    tokenizer = Tokenizer.from_tiktoken(vocabulary, "qwen2", control)
    joints = (CHATML_OPENING, CHATML_TO_USER, CHATML_TO_ASSISTANT, CHATML_TO_USER, CHATML_CLOSING)
    return TokenCounter(name, tokenizer, joints, control, nfc=True)


def packaged_vocabulary() -> Path | None:
    """The Qwen ranks that the model vendor's own package carries.

    `make` unpacks that package beside the environment, since nothing else of it is used and its dependencies stay out;
    an installed one serves as well.
    """
    spec = importlib.util.find_spec("dashscope")
    folders = [VOCABULARY_FOLDER / "dashscope", *([Path(spec.origin).parent] if spec and spec.origin else [])]
    files = (folder / "resources" / "qwen.tiktoken" for folder in folders)
    return next((file for file in files if file.is_file()), None)


def _is_qwen2(base_model: str) -> bool:
    """The Qwen2 and Qwen2.5 text models share one vocabulary and, for plain messages, one template."""
    return base_model.startswith(("Qwen/Qwen2.5-", "Qwen/Qwen2-")) and not Path(base_model).exists()


def _cached(repo: str, filename: str) -> Path | None:
    if repo.count("/") != 1 or not _hub_cache().is_dir():
        return None
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(repo, filename)
    return Path(found) if isinstance(found, str) else None


def _hub_cache() -> Path:
    home = Path(os.environ.get("HF_HOME", "~/.cache/huggingface")).expanduser()
    return Path(os.environ.get("HF_HUB_CACHE", home / "hub"))


def _download(repo: str, filename: str) -> Path:
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(repo, filename))
    except Exception as error:  # the hub client raises a dozen kinds; the user needs one sentence
        reason = type(error).__name__
        raise TokenizerNotFound(
            f"No tokenizer of {repo} is at hand and the hub did not give {filename} ({reason}). Download the"
            " model's tokenizer.json into a folder and set base_model in configs/data.yml to that folder."
        ) from None
