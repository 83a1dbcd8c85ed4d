"""Holds an ONNX model against the transformers model that it was made from: logits and greedy answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from deploy.adapter import Refusal
from deploy.exports import Kind
from deploy.merge import TOKENS_OF_A_TEXT, Difference, difference_of
from deploy.source_model import ANSWER_TOKENS, FIXED, PROMPTS, Answer, Source, load, prompts, read_chats


@dataclass(frozen=True)
class Gate:
    """What a kind must reach beside its source. None: does not decide."""

    argmax_agreement: float
    max_logit_difference: float | None
    equal_answers: bool


# In float32 the order of additions moves logits by about 1e-4. In int8 weights are rounded: 0.955 was measured on
# random tokens and 1.0 on texts of the training, with a model of five million weights.
GATES: Final = {
    Kind.ONNX_FP32: Gate(1.0, 1e-3, True),
    Kind.ONNX_INT8: Gate(0.95, None, False),
}


@dataclass(frozen=True)
class Expected:
    """What the source says: logits over texts, and greedy answers. `of` tells where the texts come from."""

    texts: Sequence[Sequence[int]]
    logits: Sequence[Any]
    """float32, one row a token of the text"""
    answers: Sequence[Answer]
    ends: frozenset[int]
    precision: str
    of: str


class OnnxModel:
    """A folder that onnxruntime-genai loads."""

    def __init__(self, folder: Path) -> None:
        self._library: Any = import_module("onnxruntime_genai")
        self._model = self._library.Model(str(folder))

    def logits(self, tokens: Sequence[int]) -> Any:
        """float32 logits, one row a token."""
        import torch

        generator = self._fed(tokens, len(tokens) + 1)
        return torch.from_numpy(generator.get_output("logits")[0].copy()).float()

    def greedy(self, prompt: Sequence[int], limit: int) -> list[int]:
        """The likeliest next tokens, `limit` at most, without the mark that ends an answer."""
        generator = self._fed(prompt, len(prompt) + limit)
        while not generator.is_done():
            generator.generate_next_token()
        return [int(token) for token in generator.get_sequence(0)[len(prompt) :]]

    def _fed(self, tokens: Sequence[int], longest: int) -> Any:
        parameters = self._library.GeneratorParams(self._model)
        # A penalty of generation_config.json would hide what the weights say.
        parameters.set_search_options(max_length=longest, do_sample=False, repetition_penalty=1.0)
        generator = self._library.Generator(self._model, parameters)
        generator.append_tokens(list(tokens))
        return generator


def expected_of(folder: Path, rows: Path) -> Expected:
    """What the model in a folder says to the role's validation rows, or to fixed texts. Raises `Refusal`."""
    source = load(folder)
    if source.precision != "float32":
        raise Refusal(
            f"{folder} does not fit into this machine's memory in float32, and a comparison in {source.precision} "
            "would prove nothing. Export it on a machine with four times as much memory as it has weights in 16 bits."
        )
    chats = read_chats(rows, PROMPTS)
    texts = [source.encode(source.render(chat, prompt=False))[:TOKENS_OF_A_TEXT] for chat in chats or FIXED]
    return Expected(
        texts=texts,
        logits=[source.logits(tokens) for tokens in texts],
        answers=[source.answer(chat) for chat in prompts(source, rows)],
        ends=_ends(source),
        precision=source.precision,
        of="validation rows of the role" if chats else "fixed texts",
    )


def _ends(source: Source) -> frozenset[int]:
    return frozenset(end for end in source.ends if end is not None)


def compare(model: OnnxModel, expected: Expected) -> tuple[Difference, int]:
    """How far the logits are apart, and how many of the greedy answers are equal."""
    difference = difference_of(model, expected.texts, expected.logits, expected.precision)
    equal = sum(
        model.greedy(answer.prompt, ANSWER_TOKENS) == [token for token in answer.tokens if token not in expected.ends]
        for answer in expected.answers
    )
    return difference, equal


def why_refused(kind: Kind, difference: Difference, equal: int, answers: int) -> list[str]:
    """What of the gate a model does not pass, one phrase each."""
    gate = GATES[kind]
    wrong = []
    if difference.argmax_agreement < gate.argmax_agreement:
        wrong.append(
            f"{difference.argmax_agreement:.2%} of the likeliest tokens are equal, not {gate.argmax_agreement:.0%}"
        )
    # Written so that NaN fails too.
    if gate.max_logit_difference is not None and not difference.max_logit_difference < gate.max_logit_difference:
        wrong.append(
            f"logits differ by {difference.max_logit_difference:.2g}, not less than {gate.max_logit_difference:g}"
        )
    if gate.equal_answers and equal < answers:
        wrong.append(f"{equal} of {answers} greedy answers are equal")
    return wrong
