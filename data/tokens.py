"""Exact token counts by the base model's own tokenizer, chat template included.

`load_counter("Qwen/Qwen2.5-7B-Instruct")` finds the tokenizer in a folder, in the hub's cache, in the packaged
Qwen vocabulary, or on the hub, in that order; it never estimates.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import unicodedata
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

if TYPE_CHECKING:
    from gigatoken import Tokenizer

Speaker = Literal["system", "user", "assistant"]

# Qwen2.5's chat template for plain messages, as its tokenizer_config.json renders it.
CHATML_OPENING = "<|im_start|>system\n"
CHATML_TO_USER = "<|im_end|>\n<|im_start|>user\n"
CHATML_TO_ASSISTANT = "<|im_end|>\n<|im_start|>assistant\n"
CHATML_CLOSING = "<|im_end|>\n"

# The three control tokens follow the 151,643 ranks of the packaged vocabulary.
QWEN_CONTROL = {"<|endoftext|>": 151643, "<|im_start|>": 151644, "<|im_end|>": 151645}

VOCABULARY_FOLDER = Path(sys.prefix) / "share" / "vocabulary"

_BATCH = 256  # gigatoken needs batches: 207 MB/s at 256 texts a call, 5 MB/s at one
_SURELY_OVER = 16  # characters a token: text has about 3, so what is longer is over the budget without a look
_MARKER_TOKENS = 16
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

    def __init__(self, name: str, tokenizer: Tokenizer, joints: tuple[str, str, str, str, str], nfc: bool) -> None:
        self.name = name
        self._tokenizer = tokenizer
        self._nfc = nfc
        opening, first_user, to_assistant, next_user, closing = self.counts(joints)
        self.frame = Frame(
            opening=opening + first_user - next_user + closing,
            exchange=to_assistant + next_user,
        )

    def counts(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, no template."""
        import awkward as ak

        sizes: list[int] = []
        for start in range(0, len(texts), _BATCH):
            batch = [self._normal(text) for text in texts[start : start + _BATCH]]
            sizes.extend(ak.num(self._tokenizer.encode_batch(batch)).tolist())
        return sizes

    def count(self, text: str) -> int:
        return self.counts([text])[0]

    def cut_middle(self, texts: Sequence[str], budget: int) -> list[str]:
        """The texts; one over the budget (tokens) has its middle replaced by a marker that says how much is missing."""
        cut = list(texts)
        # A token is at least one byte, so only longer texts need a look.
        suspects = [i for i, text in enumerate(texts) if len(text) > budget or len(text.encode()) > budget]
        sizes = self.counts([texts[i][: _SURELY_OVER * budget] for i in suspects])
        for i, size in zip(suspects, sizes, strict=True):
            if size > budget:
                cut[i] = self._cut(texts[i], budget)
        return cut

    def _cut(self, text: str, budget: int) -> str:
        keep = max(budget - _MARKER_TOKENS, 2)
        window = _SURELY_OVER * budget
        head = self._decode(self._tokenizer.encode(self._normal(text[:window]))[: keep - keep // 2]).rstrip()
        tail = self._decode(self._tokenizer.encode(self._normal(text[-window:]))[-(keep // 2) :]).lstrip()
        missing = max(len(text) - len(head) - len(tail), 0)
        return f"{head}\n[... {missing} characters left out ...]\n{tail}"

    def _decode(self, ids: Any) -> str:
        return self._tokenizer.decode(ids).decode("utf-8", "ignore")

    def _normal(self, text: str) -> str:
        return unicodedata.normalize("NFC", text) if self._nfc else text


@cache
def load_counter(base_model: str) -> TokenCounter:
    """The counter for a base model: a folder, or a hub id. Loaded once in a process.

    Raises TokenizerNotFound with the fix where no tokenizer can be had.
    """
    folder = Path(base_model).expanduser()
    if (folder / "tokenizer.json").is_file():
        return _from_folder(base_model, lambda name: folder / name)
    if (folder / "config.json").is_file():
        raise TokenizerNotFound(f"{folder} holds a model but no tokenizer.json. Save its tokenizer there.")
    if cached := _cached(base_model, "tokenizer.json"):
        return _from_folder(base_model, lambda name: cached.parent / name)
    if _is_qwen2(base_model):
        return _packaged_qwen(base_model)
    return _from_folder(base_model, lambda name: _download(base_model, name))


def _from_folder(name: str, locate: Callable[[str], Path]) -> TokenCounter:
    from gigatoken import Tokenizer

    tokenizer = Tokenizer.from_json(locate("tokenizer.json").read_bytes())
    return TokenCounter(name, tokenizer, read_joints(name, locate), nfc=False)


def read_joints(name: str, locate: Callable[[str], Path]) -> tuple[str, str, str, str, str]:
    """What the model's chat template writes before, between and after the contents of a conversation."""
    from jinja2.ext import loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    config = json.loads(locate("tokenizer_config.json").read_text("utf-8"))
    template = config.get("chat_template") or locate("chat_template.jinja").read_text("utf-8")
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    speakers: tuple[Speaker, ...] = ("system", "user", "assistant", "user", "assistant")
    messages = [{"role": who, "content": text} for who, text in zip(speakers, _PROBE, strict=True)]
    specials = {key: config[key] for key in ("bos_token", "eos_token") if isinstance(config.get(key), str)}
    rest = environment.from_string(template).render(messages=messages, add_generation_prompt=False, **specials)
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
    tokenizer = Tokenizer.from_tiktoken(vocabulary, "qwen2", QWEN_CONTROL)
    joints = (CHATML_OPENING, CHATML_TO_USER, CHATML_TO_ASSISTANT, CHATML_TO_USER, CHATML_CLOSING)
    return TokenCounter(name, tokenizer, joints, nfc=True)


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
