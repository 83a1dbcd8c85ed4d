"""A stand-in for vllm, with the names that lm-eval's class imports: it computes with transformers on the CPU.

Only what lies on our side of that border is tested with it; vllm itself needs a GPU and never runs in the tests.
"""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import pytest

VERSION = "0.18.0"


@dataclass
class SamplingParams:
    """The parameters that lm-eval gives; an unknown one is a TypeError, as in vllm."""

    max_tokens: int = 16
    temperature: float = 1.0
    stop: list[str] = field(default_factory=list)
    top_p: float = 1.0
    top_k: int = -1
    repetition_penalty: float = 1.0
    seed: int | None = None
    prompt_logprobs: int | None = None
    detokenize: bool = True
    skip_special_tokens: bool = True
    spaces_between_special_tokens: bool = True


@dataclass(frozen=True)
class LoRARequest:
    lora_name: str
    lora_int_id: int
    lora_path: str


class LLM:
    """One model; `ignores_adapters` is the fault of issue 2432."""

    ignores_adapters = False
    made: ClassVar[list[dict[str, Any]]] = []

    def __init__(
        self, model: str, tokenizer: str | None = None, max_model_len: int | None = None, enable_lora: bool = False,
        max_lora_rank: int = 16, max_num_seqs: int | None = None, seed: int = 0, **others: Any,
    ) -> None:  # fmt: skip
        from transformers import AutoModelForCausalLM, AutoTokenizer

        LLM.made.append({"enable_lora": enable_lora, "max_lora_rank": max_lora_rank, "max_num_seqs": max_num_seqs})
        self._model = AutoModelForCausalLM.from_pretrained(model)
        self._tokenizer = AutoTokenizer.from_pretrained(tokenizer or model)
        self._adapted: Any = None
        limit = max_model_len or self._model.config.max_position_embeddings
        config = SimpleNamespace(max_model_len=limit, dtype="torch.float32")
        self.llm_engine = SimpleNamespace(model_config=config)

    def generate(
        self, prompts: list[Any], sampling_params: list[SamplingParams], use_tqdm: bool, lora_request: Any = None
    ) -> list[Any]:
        with self._weights(lora_request) as model:
            return [self._answer(model, p, s) for p, s in zip(prompts, sampling_params, strict=True)]

    @contextmanager
    def _weights(self, request: LoRARequest | None) -> Iterator[Any]:
        if request is None or LLM.ignores_adapters:
            if self._adapted is None:
                yield self._model
            else:
                with self._adapted.disable_adapter():
                    yield self._adapted
            return
        if self._adapted is None:
            from peft import PeftModel

            self._adapted = PeftModel.from_pretrained(self._model, request.lora_path)
        yield self._adapted

    def _answer(self, model: Any, prompt: Any, params: SamplingParams) -> Any:
        import torch

        torch.manual_seed(params.seed or 0)
        tokens = torch.tensor([prompt["prompt_token_ids"]])
        with torch.inference_mode():
            if params.prompt_logprobs is not None:
                likely = model(tokens).logits[0].log_softmax(-1)
                ids = prompt["prompt_token_ids"]
                listed = [None, *({token: float(likely[at, token])} for at, token in enumerate(ids[1:]))]
                return SimpleNamespace(prompt_logprobs=listed, outputs=[])
            drawn = {"do_sample": True, "temperature": params.temperature, "top_k": 0, "top_p": params.top_p}
            options = drawn if params.temperature else {"do_sample": False}
            found = model.generate(
                tokens, attention_mask=torch.ones_like(tokens), max_new_tokens=params.max_tokens, **options
            )
        new = found[0, tokens.shape[1] :].tolist()
        ended = new[-1] == self._tokenizer.eos_token_id
        text = self._tokenizer.decode(new[:-1] if ended else new, skip_special_tokens=params.skip_special_tokens)
        answer = SimpleNamespace(text=text, token_ids=new, finish_reason="stop" if ended else "length")
        return SimpleNamespace(outputs=[answer], prompt_token_ids=prompt["prompt_token_ids"])


def get_tokenizer(name: str, **_: Any) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(name)


def install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes `import vllm` find this module until the test ends."""
    itself = sys.modules[__name__]
    known = importlib.metadata.version
    monkeypatch.setattr(importlib.metadata, "version", lambda name: VERSION if name == "vllm" else known(name))
    for name, content in {
        "vllm": {"LLM": LLM, "SamplingParams": SamplingParams, "TokensPrompt": dict},
        "vllm.lora": {},
        "vllm.lora.request": {"LoRARequest": LoRARequest},
        "vllm.entrypoints": {},
        "vllm.entrypoints.chat_utils": {"resolve_hf_chat_template": lambda **_: None},
        "vllm.tokenizers": {"get_tokenizer": itself.get_tokenizer},
        "vllm.utils": {},
        "vllm.utils.network_utils": {"get_open_port": lambda: 0},
    }.items():
        module = ModuleType(name)
        module.__dict__.update(content, __path__=[], __spec__=importlib.util.spec_from_loader(name, None))
        monkeypatch.setitem(sys.modules, name, module)
