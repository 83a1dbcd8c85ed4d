"""A base model with or without an adapter in vLLM on this machine, through lm-eval's `vllm` class. Imports vllm.

`VllmModel(target, settings)` answers as eval.local does: prompts by the tokenizer's own template, special tokens kept,
an error instead of a cut prompt, and a check that the adapter does something. Here it compares log-likelihoods, because
vLLM was seen to answer as the base without a word (issue 2432 of lm-evaluation-harness).
"""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from lm_eval.api.instance import Instance
from transformers import AutoConfig

from eval.errors import BadInput, sha256
from eval.local import MARK, PROBES, LocalModel
from eval.models import Sampling, Settings, quiet_libraries
from eval.targets import CONFIG, Adapter, Target, refuse_other_shapes

try:
    from lm_eval.models.vllm_causallms import VLLM
except ImportError as missing:
    raise BadInput(
        f"vllm cannot be used ({missing}); install vllm and ray beside an lm_eval that knows them "
        "(0.4.13 for vllm 0.18 and newer), or leave out --backend vllm."
    ) from None

RANKS = (8, 16, 32, 64, 128, 256, 320, 512)  # the values that vLLM takes for max_lora_rank
# Two passes of a GPU over the same words may differ a little; an adapter that is there does more.
ABOVE_NOISE = 2.0


class MarkedVLLM(VLLM):  # type: ignore[misc]
    """lm-eval's vllm class that puts the costs of an answer before it. It keeps special tokens by itself."""

    def _model_generate(self, requests: Any, generate: bool = False, sampling_params: Any = None) -> Any:
        started = time.perf_counter()
        outputs = super()._model_generate(requests, generate=generate, sampling_params=sampling_params)
        if generate:
            seconds = (time.perf_counter() - started) / max(len(requests), 1)
            for output in outputs:
                answer = output.outputs[0]
                cut = int(answer.finish_reason == "length")
                answer.text = f"{MARK}{len(answer.token_ids)} {seconds:.6f} {cut}{MARK}{answer.text}"
        return outputs


class VllmModel(LocalModel):
    """One model in vLLM; all open conversations of a round are handed to it at once."""

    def __init__(self, target: Target, settings: Settings) -> None:
        self._settings, self._target = settings, target
        self.lm = _load(target, settings)
        self.tokenizer = self.lm.tokenizer
        if not self.tokenizer.chat_template:
            raise BadInput(f"the tokenizer of {target.label} has no chat template; use an instruct model as base.")
        self.facts: dict[str, Any] = {
            "backend": "vllm",
            "base_model": target.base_model,
            "base_revision": getattr(self.lm._config, "_commit_hash", None),
            "adapter": self._adapter_facts(target.adapter),
            "template_sha256": sha256(str(self.tokenizer.chat_template).encode()),
            "context_tokens": self.lm.max_length,
            "device": "cuda",
            "dtype": str(self.lm.model.llm_engine.model_config.dtype),
        }

    @contextmanager
    def without_adapter(self) -> Iterator[None]:
        """Requests inside carry no adapter."""
        kept, self.lm.lora_request = self.lm.lora_request, None
        try:
            yield
        finally:
            self.lm.lora_request = kept

    def adapter_change(self) -> float:
        """Largest change of a probe's log-likelihood per token; 0 where two passes of the base differ as much."""
        with self.without_adapter():
            base, again = self._likelihoods(), self._likelihoods()
        change, noise = _distance(self._likelihoods(), base), _distance(again, base)
        return change if change > ABOVE_NOISE * noise else 0.0

    def _likelihoods(self) -> list[float]:
        """Log-likelihood per token of each probe behind its first token."""
        tokens = [self.tokenizer.encode(text) for text in PROBES]
        with quiet_libraries():
            found = self.lm._loglikelihood_tokens([(None, t[:1], t[1:]) for t in tokens], disable_tqdm=True)
        return [total / len(t[1:]) for (total, _), t in zip(found, tokens, strict=True)]

    def _generate(self, texts: Sequence[str], sampling: Sampling) -> list[str]:
        # The class greedily lets temperature 0 decide; top_k -1 is all tokens.
        options = {
            "max_gen_toks": self._settings.max_new_tokens,
            "until": [],
            "do_sample": sampling.temperature > 0,
            "temperature": sampling.temperature,
            "top_p": 1.0,
            "top_k": -1,
            "repetition_penalty": 1.0,
            "seed": sampling.seed,
        }
        requests = [
            Instance("generate_until", {}, (text, {**options, "until": []}), index) for index, text in enumerate(texts)
        ]
        with quiet_libraries():
            return list(self.lm.generate_until(requests, disable_tqdm=True)) if requests else []


def _load(target: Target, settings: Settings) -> MarkedVLLM:
    adapter = target.adapter
    try:
        lora = _lora_options(adapter) if adapter else {}
        if adapter:
            refuse_other_shapes(target, AutoConfig.from_pretrained(target.base_model).to_dict())
        return MarkedVLLM(
            pretrained=target.base_model,
            tokenizer=str(adapter.folder) if adapter and adapter.has_tokenizer else None,
            seed=settings.seed,
            batch_size="auto",
            max_num_seqs=settings.batch_size,
            **lora,
        )
    except TypeError as problem:
        raise BadInput(
            f"this lm_eval gives vllm an option that it does not take ({problem}); install lm_eval 0.4.13."
        ) from None
    except (OSError, ValueError, RuntimeError, KeyError) as problem:
        reason = (str(problem).strip() or type(problem).__name__).splitlines()[0].split(". ")[0]
        raise BadInput(
            f"{target.label} on {target.base_model} cannot be loaded in vllm ({reason}); "
            "give a model folder or a reachable hub name with --base-model, or leave out --backend vllm."
        ) from None


def _lora_options(adapter: Adapter) -> dict[str, Any]:
    """The adapter's folder, and the least rank that vLLM takes and that holds its largest one."""
    config = json.loads((adapter.folder / CONFIG).read_text(encoding="utf-8"))
    largest = max([config.get("r", 0), *(config.get("rank_pattern") or {}).values()])
    rank = next((rank for rank in RANKS if rank >= largest), None)
    if rank is None:
        raise BadInput(
            f"{adapter.folder} has rank {largest}, vllm takes {RANKS[-1]} at most; leave out --backend vllm."
        )
    return {"lora_local_path": str(adapter.folder), "max_lora_rank": rank}


def _distance(one: Sequence[float], other: Sequence[float]) -> float:
    return max(abs(a - b) for a, b in zip(one, other, strict=True))
