"""Runs a model through lm-eval's LM classes: answers to prompts, nothing truncated in silence.

`open_model(target, settings)` loads it (lm_eval, torch and transformers are imported here and not before);
`model.reply(prompts, sampling)` returns one `Reply` per prompt, in order.
"""

import importlib.metadata
import logging
import os
import platform
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from eval.errors import BadInput
from eval.targets import Target

Backend = Literal["hf", "vllm"]
PACKAGES = ("lm_eval", "transformers", "torch", "peft", "vllm")
INSTALL = "pip install -r requirements-gpu.txt"


@dataclass(frozen=True)
class Settings:
    """What stays the same over a run: new tokens per answer at most, conversations at a time, the seed."""

    max_new_tokens: int = 512
    batch_size: int = 16
    seed: int = 1234


@dataclass(frozen=True)
class Sampling:
    """How one batch of answers is drawn: temperature 0 is greedy; otherwise `seed` decides."""

    temperature: float = 0.0
    seed: int = 1234


@dataclass(frozen=True)
class Prompt:
    """What a model is asked: chat messages, the system message first, and the tools it is offered.

    Messages are {"role", "content"} and, in the native form, "tool_calls" and the role `tool`, as OpenAI writes them;
    `tools` are function schemas, empty where the calls are text.
    """

    messages: tuple[Mapping[str, Any], ...]
    tools: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class Reply:
    """An answer as the model wrote it, special tokens kept; native calls stand as `<tool_call>` text.

    `truncated`: it hit the token limit. Tokens are None where nobody counts them; `seconds` is the response time (in
    a local batch, that of the batch divided by its answers).
    """

    text: str
    truncated: bool = False
    prompt_tokens: int | None = None
    new_tokens: int | None = None
    seconds: float = 0.0


class Model(Protocol):
    """Something that answers prompts."""

    @property
    def facts(self) -> dict[str, Any]:
        """What was run, for the results file: backend, adapter, template and their hashes."""

    @property
    def base(self) -> "Model | None":
        """The same loaded model without its adapter; None where there is no adapter, or it cannot be left out."""

    def room(self, prompt: Prompt) -> int | None:
        """Tokens left after prompt and answer (negative: too long); None where only the server knows."""

    def reply(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[Reply]:
        """One reply per prompt. Raises BadInput where a prompt does not fit or a server fails."""


def open_model(target: Target, settings: Settings, backend: Backend = "hf") -> Model:
    """Loads the target, or raises BadInput with the reason in one sentence; a server needs no backend."""
    try:
        with quiet_libraries():
            if target.server is not None:
                from eval.served import ServedModel

                return ServedModel(target.server, settings)
            if backend == "vllm":
                from eval.vllm_model import VllmModel

                return VllmModel(target, settings)
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
