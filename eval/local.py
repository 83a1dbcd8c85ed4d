"""A base model with or without an adapter on this machine, through lm-eval's `hf` class. Imports torch.

What the class would do in silence is an error here: cutting a long prompt from the left, dropping the system
prompt when the template fails, stripping special tokens, and running an adapter that changes nothing.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from transformers import AutoConfig, AutoTokenizer

from eval.chat import render_chat
from eval.errors import BadInput, sha256
from eval.models import Prompt, Reply, Sampling, Settings, quiet_libraries
from eval.targets import Adapter, Target, refuse_other_shapes

PROBES = ("Say what you would do next.", "gt hook", "The queue is empty and the branch is merged.")
MARK = "\x00"


class MarkedLM(HFLM):  # type: ignore[misc]
    """lm-eval's hf class that keeps special tokens (`[TOOL_CALLS]`) and puts the costs of an answer before it."""

    stop_ids: frozenset[int] = frozenset()
    seconds_each = 0.0

    def tok_decode(self, tokens: Any, skip_special_tokens: bool = False) -> str:
        if isinstance(tokens, int):
            return str(self.tokenizer.decode(tokens, skip_special_tokens=False))
        end = next((place for place, token in enumerate(tokens) if token in self.stop_ids), None)
        text = self.tokenizer.decode(tokens[:end], skip_special_tokens=False)
        used = len(tokens) if end is None else end + 1
        return f"{MARK}{used} {self.seconds_each:.6f} {int(end is None)}{MARK}{text}"

    def _model_generate(self, context: Any, max_length: int, stop: list[str], **options: Any) -> Any:
        """Ends at token ids: the class looks for stop words in the decoded text of every row, token by token."""
        started = time.perf_counter()
        tokens = super()._model_generate(context, max_length, [], eos_token_id=sorted(self.stop_ids), **options)
        self.seconds_each = (time.perf_counter() - started) / len(context)
        return tokens


class LocalModel:
    """One loaded model with its tokenizer."""

    def __init__(self, target: Target, settings: Settings) -> None:
        torch.manual_seed(settings.seed)
        self._settings = settings
        self._target = target
        self.lm = _load(target, settings)
        self.tokenizer = self.lm.tokenizer
        self.lm.stop_ids = _stop_ids(self.lm)
        self.facts: dict[str, Any] = {
            "backend": "hf",
            "base_model": target.base_model,
            "base_revision": getattr(self.lm.config, "_commit_hash", None),
            "adapter": self._adapter_facts(target.adapter),
            "template_sha256": sha256(str(self.tokenizer.chat_template).encode()),
            "context_tokens": self.lm.max_length,
            "device": str(self.lm.device),
            "dtype": str(self.lm.model.dtype),
        }

    @property
    def base(self) -> "BaseSide | None":
        """The same model with its adapter switched off, None where there is none."""
        return BaseSide(self) if self._target.adapter is not None else None

    def room(self, prompt: Prompt) -> int:
        """Tokens left in the context window after this prompt and the longest answer."""
        used = len(self.lm.tok_encode(self.render(prompt)))
        return int(self.lm.max_length) - used - self._settings.max_new_tokens

    def render(self, prompt: Prompt) -> str:
        """The prompt text of the model's own chat template; the system prompt and the tools must be in it."""
        return render_chat(self.tokenizer, prompt)

    def reply(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[Reply]:
        """Answers in order; a prompt that does not fit the context raises BadInput."""
        texts = [self.render(prompt) for prompt in prompts]
        used = [len(self.lm.tok_encode(text)) for text in texts]
        over = max(used, default=0) + self._settings.max_new_tokens - int(self.lm.max_length)
        if over > 0:
            raise BadInput(
                f"a prompt and its {self._settings.max_new_tokens} new tokens exceed the context of "
                f"{self.lm.max_length} tokens by {over}; lower --max-new-tokens or shorten the prompt."
            )
        marked = self._generate(texts, sampling)
        return [_reply(text, tokens) for text, tokens in zip(marked, used, strict=True)]

    def _generate(self, texts: Sequence[str], sampling: Sampling) -> list[str]:
        # A generation_config may hold a repetition penalty (Qwen2.5: 1.05), top_p and top_k; what is asked decides.
        drawn = {"do_sample": True, "temperature": sampling.temperature, "top_p": 1.0, "top_k": 0}
        options = {
            "max_gen_toks": self._settings.max_new_tokens,
            "repetition_penalty": 1.0,
            **(drawn if sampling.temperature else {"do_sample": False}),
        }
        requests = [Instance("generate_until", {}, (text, {**options}), index) for index, text in enumerate(texts)]
        torch.manual_seed(sampling.seed)
        try:
            with quiet_libraries():
                return list(self.lm.generate_until(requests, disable_tqdm=True)) if requests else []
        except torch.OutOfMemoryError:
            raise BadInput(f"out of memory with {self._settings.batch_size} at a time; lower --batch-size.") from None

    @contextmanager
    def without_adapter(self) -> Iterator[None]:
        """The base's own weights inside; equal to a base that was loaded alone."""
        with self.lm.model.disable_adapter():
            yield

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
        largest = 0.0
        for text in PROBES:
            tokens = torch.tensor([self.tokenizer.encode(text)], device=self.lm.device)
            with torch.inference_mode():
                with_adapter = self.lm.model(tokens).logits
                with self.without_adapter():
                    without = self.lm.model(tokens).logits
            largest = max(largest, float((with_adapter - without).abs().max()))
        return largest


class BaseSide:
    """A loaded model as it answers without its adapter."""

    base = None

    def __init__(self, model: LocalModel) -> None:
        self._model = model
        self.facts = model.facts | {"adapter": None}

    def room(self, prompt: Prompt) -> int:
        """As of the model with its adapter: both share template and context window."""
        return self._model.room(prompt)

    def reply(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[Reply]:
        """Answers of the base's own weights."""
        with self._model.without_adapter():
            return self._model.reply(prompts, sampling)


def _reply(marked: str, prompt_tokens: int) -> Reply:
    _, costs, text = marked.split(MARK, 2)
    new_tokens, seconds, cut = costs.split()
    return Reply(text, cut == "1", prompt_tokens, int(new_tokens), float(seconds))


def _load(target: Target, settings: Settings) -> MarkedLM:
    cuda = torch.cuda.is_available()
    try:
        config = AutoConfig.from_pretrained(target.base_model)
        refuse_other_shapes(target, config.to_dict())
        source = str(target.adapter.folder) if target.adapter and target.adapter.has_tokenizer else target.base_model
        tokenizer = AutoTokenizer.from_pretrained(source)
        if not tokenizer.chat_template:
            raise BadInput(f"the tokenizer of {source} has no chat template; use an instruct model as base.")
        return MarkedLM(
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


def _stop_ids(lm: MarkedLM) -> frozenset[int]:
    """Every token that ends an answer: the tokenizer's, and those of the model's generation config."""
    configured = getattr(lm.model.generation_config, "eos_token_id", None)
    several = configured if isinstance(configured, list) else [configured]
    ids = {lm.tokenizer.eos_token_id, lm.tokenizer.pad_token_id, *several}
    return frozenset(token for token in ids if token is not None)
