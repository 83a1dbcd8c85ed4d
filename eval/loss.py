"""How surprised a model is by what was really answered: loss per token by segment, and bits per byte.

`measure_losses(model, rows)` reads every row once and gives the loss of all its trained replies, with the adapter and
without it. What counts is what Axolotl trains: the reply and the mark that ends it, never the newline that
belongs to the prompt. Imports torch where it runs the model.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from eval.answer import parse_answer
from eval.heldout import Message, Row, as_text, without_oldest
from eval.segments import SEGMENTS, Segment, split_reply

if TYPE_CHECKING:
    from eval.local import LocalModel


class NoLoss(Exception):
    """Why a loss cannot be measured: the end of a sentence."""


class Part(msgspec.Struct, frozen=True):
    """Tokens of one segment, and the sum of their losses in nats."""

    tokens: int
    nats: float


class TurnLoss(msgspec.Struct, frozen=True):
    """The loss of one reply by segment; `bytes` are those of its text in UTF-8, without the mark that ends it.

    `dropped`: how many of the oldest messages had to go for the row to fit.
    """

    segments: dict[Segment, Part]
    bytes: int
    dropped: int = 0


@dataclass(frozen=True)
class Losses:
    """Loss by reply of both sides, `base` empty without an adapter, and the replies that do not fit at all."""

    model: dict[str, TurnLoss]
    base: dict[str, TurnLoss]
    too_long: tuple[str, ...]


@dataclass(frozen=True)
class Trained:
    """A reply in a pass: the places of its tokens and their segments."""

    key: str
    places: tuple[int, ...]
    segments: tuple[Segment, ...]
    bytes: int
    dropped: int


@dataclass(frozen=True)
class Pass:
    """One forward pass: token ids, and the replies that are measured in it."""

    ids: tuple[int, ...]
    trained: tuple[Trained, ...]


def measure_losses(model: "LocalModel", rows: Sequence[Row]) -> Losses:
    """Runs every row through the loaded model, and again without its adapter. Raises NoLoss."""
    reader = Reader(model.tokenizer, model.lm.stop_ids, int(model.lm.max_length))
    ours: dict[str, TurnLoss] = {}
    bases: dict[str, TurnLoss] = {}
    too_long: list[str] = []
    for row in rows:
        for found in reader.passes(row):
            if isinstance(found, str):
                too_long.append(found)
                continue
            ours |= _run(model.lm.model, model.lm.device, found)
            if model.base is not None:
                with model.without_adapter():
                    bases |= _run(model.lm.model, model.lm.device, found)
    return Losses(ours, bases, tuple(too_long))


class Reader:
    """Turns rows into passes with a model's own tokenizer and chat template."""

    def __init__(self, tokenizer: Any, stops: frozenset[int], limit: int) -> None:
        if not tokenizer.is_fast:
            raise NoLoss("its tokenizer does not say where its tokens stand in the text")
        self._tokenizer, self._stops, self._limit = tokenizer, stops, limit

    def passes(self, row: Row) -> Iterator[Pass | str]:
        """One pass for a row that fits; for a longer one a pass per reply, its oldest exchanges dropped.

        The name of a reply stands for one that does not fit even alone.
        """
        if not row.trained:
            return
        if (whole := self._read(row, row.messages, {place: row.key(place) for place in row.trained}, 0)) is not None:
            yield whole
            return
        for place in row.trained:
            yield self._alone(row, place) or row.key(place)

    def _alone(self, row: Row, place: int) -> Pass | None:
        before: tuple[Message, ...] | None = row.messages[:place]
        while before:
            names = {len(before): row.key(place)}
            if found := self._read(row, (*before, row.messages[place]), names, place - len(before)):
                return found
            before = without_oldest(before)
        return None

    def _read(self, row: Row, messages: Sequence[Message], names: Mapping[int, str], dropped: int) -> Pass | None:
        text = self._render(row, messages)
        coded = self._tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        ids, offsets = coded["input_ids"], coded["offset_mapping"]
        if len(ids) > self._limit:
            return None
        found = []
        for place, name in names.items():
            start, end = self._reply_span(row, messages, place, text)
            found.append(self._trained(name, messages[place], text[start:end], start, ids, offsets, dropped))
        return Pass(tuple(ids), tuple(found))

    def _reply_span(self, row: Row, messages: Sequence[Message], place: int, text: str) -> tuple[int, int]:
        """Where a reply with its end mark stands: behind the generation prompt, before what comes next."""
        prompt = self._render(row, messages[:place], ask=True)
        through = self._render(row, messages[: place + 1])
        if not (text.startswith(prompt) and text.startswith(through) and len(prompt) <= len(through)):
            raise NoLoss("its chat template writes a reply in another way when others follow")
        return len(prompt), len(through)

    def _trained(
        self, name: str, message: Message, reply: str, start: int, ids: Sequence[int], offsets: Any, dropped: int
    ) -> Trained:
        end = start + len(reply)
        inside = [place for place, (low, high) in enumerate(offsets) if start <= low < end and high > start]
        closing = next((count for count, place in enumerate(inside) if ids[place] in self._stops), None)
        if closing is None:
            raise NoLoss("no token that ends an answer stands behind the replies")
        places = inside[: closing + 1]
        said = reply[: offsets[places[-1]][0] - start]
        parts = split_reply(said, message["content"], parse_answer(as_text(message)).calls)
        # A tokenizer may place a blank at the character behind it.
        inner = [parts[min(offsets[place][0] - start, len(parts) - 1)] for place in places[:-1]]
        return Trained(name, tuple(places), (*inner, "end"), len(said.encode()), dropped)

    def _render(self, row: Row, messages: Sequence[Message], ask: bool = False) -> str:
        try:
            text: str = self._tokenizer.apply_chat_template(
                list(messages), tools=list(row.tools) or None, tokenize=False, add_generation_prompt=ask
            )
        except Exception as problem:
            raise NoLoss(f"its chat template cannot show {row.id} ({str(problem).splitlines()[0]})") from None
        return text


def _run(network: Any, device: Any, found: Pass) -> dict[str, TurnLoss]:
    """The losses of the replies of one pass; logits are made at their places only."""
    import torch

    targets = torch.tensor([place for trained in found.trained for place in trained.places], device=device)
    ids = torch.tensor([found.ids], device=device)
    try:
        with torch.inference_mode():
            logits = network(input_ids=ids, logits_to_keep=targets - 1, use_cache=False).logits[0]
            logits = logits if len(logits) == len(targets) else logits[targets - 1]
            nats = torch.nn.functional.cross_entropy(logits.float(), ids[0, targets], reduction="none").tolist()
    except torch.OutOfMemoryError:
        raise NoLoss(f"a row of {len(found.ids)} tokens does not fit the memory") from None
    left = iter(nats)
    return {trained.key: _add_up(trained, [next(left) for _ in trained.places]) for trained in found.trained}


def _add_up(trained: Trained, nats: Sequence[float]) -> TurnLoss:
    parts = {}
    for segment in SEGMENTS:
        of_it = [loss for loss, kind in zip(nats, trained.segments, strict=True) if kind == segment]
        if of_it:
            parts[segment] = Part(len(of_it), math.fsum(of_it))
    return TurnLoss(parts, trained.bytes, trained.dropped)
