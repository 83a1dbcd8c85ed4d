"""A base model with or without an adapter on this machine, through lm-eval's `hf` class. Imports torch.

What the class would do in silence is an error here: cutting a long prompt from the left, dropping the system
prompt when the template fails, stripping special tokens, and running an adapter that changes nothing.
"""

from collections.abc import Sequence
from typing import Any

import torch
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from transformers import AutoConfig, AutoTokenizer

from eval.errors import BadInput, sha256
from eval.models import CUT, Conversation, Reply, Settings, quiet_libraries
from eval.targets import WEIGHTS, Adapter, Target, shape_fault, tensor_shapes

PROBES = ("Say what you would do next.", "gt hook", "The queue is empty and the branch is merged.")


class GreedyLM(HFLM):  # type: ignore[misc]
    """lm-eval's hf class that keeps special tokens (`[TOOL_CALLS]`) and marks answers without an end."""

    stop_ids: frozenset[int] = frozenset()

    def tok_decode(self, tokens: Any, skip_special_tokens: bool = False) -> str:
        text: str = self.tokenizer.decode(tokens, skip_special_tokens=False)
        ended = isinstance(tokens, int) or not self.stop_ids.isdisjoint(tokens)
        return text if ended else text + CUT


class LocalModel:
    """One loaded model with its tokenizer."""

    def __init__(self, target: Target, settings: Settings) -> None:
        torch.manual_seed(settings.seed)
        self._settings = settings
        self._lm = _load(target, settings)
        self._tokenizer = self._lm.tokenizer
        self._stops = _stop_ids(self._lm)
        self._lm.stop_ids = frozenset(self._stops)
        self.facts: dict[str, Any] = {
            "backend": "hf",
            "base_model": target.base_model,
            "base_revision": getattr(self._lm.config, "_commit_hash", None),
            "adapter": self._adapter_facts(target.adapter),
            "template_sha256": sha256(str(self._tokenizer.chat_template).encode()),
            "context_tokens": self._lm.max_length,
            "device": str(self._lm.device),
            "dtype": str(self._lm.model.dtype),
        }

    def room(self, conversation: Conversation) -> int:
        """Tokens left in the context window after this prompt and the longest answer."""
        used = len(self._lm.tok_encode(self.render(conversation)))
        return int(self._lm.max_length) - used - self._settings.max_new_tokens

    def render(self, conversation: Conversation) -> str:
        """The prompt text of the model's own chat template; the system prompt must be in it."""
        try:
            prompt: str = self._tokenizer.apply_chat_template(
                list(conversation), tokenize=False, add_generation_prompt=True
            )
        except Exception as problem:
            reason = str(problem).splitlines()[0]
            raise BadInput(f"the chat template cannot show the conversation ({reason}); give the model one.") from None
        if conversation[0]["content"].strip() not in prompt:
            raise BadInput("the chat template drops the system prompt; give the model one that shows it.")
        return prompt

    def reply(self, conversations: Sequence[Conversation]) -> list[Reply]:
        """Greedy answers in order; a prompt that does not fit the context raises BadInput."""
        shortest = min((self.room(conversation) for conversation in conversations), default=0)
        if shortest < 0:
            raise BadInput(
                f"a prompt and its {self._settings.max_new_tokens} new tokens exceed the context of "
                f"{self._lm.max_length} tokens by {-shortest}; lower --max-new-tokens or shorten the prompt."
            )
        stops = [self._tokenizer.decode([token], skip_special_tokens=False) for token in self._stops]
        # A generation_config may hold a repetition penalty (Qwen2.5: 1.05); greedy means the likeliest token.
        limits = {
            "max_gen_toks": self._settings.max_new_tokens,
            "do_sample": False,
            "repetition_penalty": 1.0,
        }
        requests = [
            Instance("generate_until", {}, (self.render(conversation), {**limits, "until": [*stops]}), index)
            for index, conversation in enumerate(conversations)
        ]
        try:
            with quiet_libraries():
                texts = self._lm.generate_until(requests, disable_tqdm=True) if requests else []
        except torch.OutOfMemoryError:
            raise BadInput(f"out of memory with {self._settings.batch_size} at a time; lower --batch-size.") from None
        return [Reply.of(text) for text in texts]

    def _adapter_facts(self, adapter: Adapter | None) -> dict[str, Any] | None:
        if adapter is None:
            return None
        change = self.adapter_change()
        if change == 0.0:
            raise BadInput(
                f"{adapter.folder} changes nothing: the logits of {len(PROBES)} prompts are the base's; "
                "train it, or check that its target modules exist in this base."
            )
        return {"path": str(adapter.folder), "sha256": adapter.sha256, "max_logit_change": round(change, 6)}

    def adapter_change(self) -> float:
        """Largest change of a logit that the adapter makes on three prompts."""
        model, largest = self._lm.model, 0.0
        for text in PROBES:
            tokens = torch.tensor([self._tokenizer.encode(text)], device=self._lm.device)
            with torch.inference_mode():
                with_adapter = model(tokens).logits
                with model.disable_adapter():
                    without = model(tokens).logits
            largest = max(largest, float((with_adapter - without).abs().max()))
        return largest


def _load(target: Target, settings: Settings) -> GreedyLM:
    cuda = torch.cuda.is_available()
    try:
        config = AutoConfig.from_pretrained(target.base_model)
        _refuse_other_shapes(target, config.to_dict())
        source = str(target.adapter.folder) if target.adapter and target.adapter.has_tokenizer else target.base_model
        tokenizer = AutoTokenizer.from_pretrained(source)
        if not tokenizer.chat_template:
            raise BadInput(f"the tokenizer of {source} has no chat template; use an instruct model as base.")
        return GreedyLM(
            pretrained=target.base_model,
            peft=str(target.adapter.folder) if target.adapter else None,
            tokenizer=tokenizer,
            batch_size=settings.batch_size,
            device="cuda" if cuda else "cpu",
            dtype="auto" if cuda else "float32",
        )
    except (OSError, ValueError, RuntimeError, KeyError) as problem:
        reason = (str(problem).strip() or type(problem).__name__).splitlines()[0].split(". ")[0]
        raise BadInput(
            f"{target.label} on {target.base_model} cannot be loaded ({reason}); "
            "give a model folder or a reachable hub name with --base-model."
        ) from None


def _refuse_other_shapes(target: Target, config: dict[str, Any]) -> None:
    if target.adapter is None:
        return
    fault = shape_fault(tensor_shapes(target.adapter.folder / WEIGHTS), config)
    if fault is not None:
        raise BadInput(
            f"{target.adapter.folder} does not fit {target.base_model}: {fault}; give its own base with --base-model."
        )


def _stop_ids(lm: GreedyLM) -> list[int]:
    """Every token that ends an answer: the tokenizer's, and those of the model's generation config."""
    configured = getattr(lm.model.generation_config, "eos_token_id", None)
    several = configured if isinstance(configured, list) else [configured]
    ids = {lm.tokenizer.eos_token_id, lm.tokenizer.pad_token_id, *several}
    return sorted(token for token in ids if token is not None)
