"""Runs a model through lm-eval's LM classes: greedy answers to conversations, nothing truncated in silence.

`open_model(target, settings)` loads it (lm_eval, torch and transformers are imported here and not before);
`model.reply(conversations)` returns one `Reply` per conversation, in order.
"""

import importlib.metadata
import logging
import os
import platform
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from eval.errors import BadInput
from eval.targets import Target

Conversation = Sequence[Mapping[str, str]]
"""Messages as {"role": system | user | assistant, "content": str}, the system message first."""
PACKAGES = ("lm_eval", "transformers", "torch", "peft")
INSTALL = "pip install -r requirements-gpu.txt"
# The backends put it behind an answer that ended at the token limit; no tokenizer produces a NUL.
CUT = "\x00cut"


@dataclass(frozen=True)
class Settings:
    """How answers are drawn: always greedy; `max_new_tokens` per answer.

    `batch_size` conversations at a time.
    """

    max_new_tokens: int = 256
    batch_size: int = 16
    seed: int = 1234


@dataclass(frozen=True)
class Reply:
    """An answer as the model wrote it, special tokens kept; `truncated` where it hit the token limit."""

    text: str
    truncated: bool

    @classmethod
    def of(cls, marked: str) -> "Reply":
        """The reply in a backend's text, whose end may carry the mark CUT."""
        return cls(marked.removesuffix(CUT), marked.endswith(CUT))


class Model(Protocol):
    """Something that answers conversations."""

    @property
    def facts(self) -> dict[str, Any]:
        """What was run, for the results file: backend, adapter, template and their hashes."""

    def room(self, conversation: Conversation) -> int | None:
        """Tokens left after prompt and answer (negative: too long); None where only the server knows."""

    def reply(self, conversations: Sequence[Conversation]) -> list[Reply]:
        """One reply per conversation. Raises BadInput where a prompt does not fit or a server fails."""


def open_model(target: Target, settings: Settings) -> Model:
    """Loads the target, or raises BadInput with the reason in one sentence."""
    try:
        with quiet_libraries():
            if target.server is not None:
                from eval.served import ServedModel

                return ServedModel(target.server, settings)
            from eval.local import LocalModel

            return LocalModel(target, settings)
    except ImportError as missing:
        name = missing.name.partition(".")[0] if missing.name else "the API extra of lm_eval"
        raise BadInput(f"{name} is not installed; run `{INSTALL}`.") from None


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that ran the model."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Keeps the libraries' chatter off the terminal; what goes wrong still raises."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)
