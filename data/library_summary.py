"""What records hold in numbers, a few at a time: how many, of which shape, and their mean length in tokens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import msgspec

from data.config import load_config, repository_path
from data.extract.qna_lines import Pair
from data.library_lines import Record, stream_jsonl
from data.record import Assistant, Conversation, Drop, Message, System
from data.render import render_human, render_reply
from data.tokens import TokenCounter, load_counter
from data.validate.report_messages import messages_of

SHOWN = 20  # lines that were set aside and are named
_BATCH = 256  # records; the tokenizer is fast in batches


class Summary(msgspec.Struct, frozen=True):
    """The numbers of some records. Tokens are of the base model's own tokenizer, without its chat template.

    The output of a record is what is learned of it, the input everything else that the model sees. `shapes` counts
    records by shape, `set_aside` lines by reason, and `problems` are the sentences about the first of these.
    """

    records: int
    shapes: dict[str, int]
    mean_input_tokens: float
    mean_output_tokens: float
    longest_tokens: int
    tokens: int
    base_model: str
    set_aside: dict[str, int] = {}
    problems: tuple[str, ...] = ()


def summarize_dataset(source: str | Path | Iterable[Record], base_model: str = "") -> Summary:
    """The numbers of a file, a folder, or records at hand, in constant memory.

    `base_model` is whose tokenizer counts; without one, that of configs/data.yml. Lines that are no record are counted.
    Raises RecordError where there is nothing to read and TokenizerNotFound where the tokenizer cannot be had.
    """
    aside: Counter[str] = Counter()
    problems: list[str] = []

    def note(drop: Drop) -> None:
        aside[drop.reason] += 1
        if len(problems) < SHOWN:
            problems.append(f"{drop.file}:{drop.line}: {drop.detail}")

    counter = load_counter(base_model or load_config(repository_path("configs/data.yml")).base_model)
    records = iter(stream_jsonl(source, note) if isinstance(source, str | Path) else source)
    shapes: Counter[str] = Counter()
    inputs = outputs = longest = 0
    while batch := list(islice(records, _BATCH)):
        shapes.update(type(record).__name__ for record in batch)
        for asked, told in _sizes(batch, counter):
            inputs, outputs, longest = inputs + asked, outputs + told, max(longest, asked + told)
    count = shapes.total()
    return Summary(
        records=count,
        shapes=dict(sorted(shapes.items())),
        mean_input_tokens=round(inputs / max(count, 1), 2),
        mean_output_tokens=round(outputs / max(count, 1), 2),
        longest_tokens=longest,
        tokens=inputs + outputs,
        base_model=counter.name,
        set_aside=dict(aside.most_common()),
        problems=tuple(problems),
    )


def _sizes(batch: Sequence[Record], counter: TokenCounter) -> Iterator[tuple[int, int]]:
    """The tokens of what each record shows, and of what is learned of it."""
    sides = [sides_of(record) for record in batch]
    sizes = iter(counter.counts([text for asked, told in sides for text in (*asked, *told)]))
    for asked, told in sides:
        yield sum(islice(sizes, len(asked))), sum(islice(sizes, len(told)))


def sides_of(record: Record) -> tuple[list[str], list[str]]:
    """The texts of a record that are shown, and those that are learned."""
    if isinstance(record, Pair):
        return [record.input], [record.output]
    if isinstance(record, Conversation):
        said = [(_text(message), isinstance(message, Assistant) and message.train) for message in record.messages]
    else:
        said = [(text, trained) for _, text, trained in messages_of(record)]
    return [text for text, trained in said if not trained], [text for text, trained in said if trained]


def _text(message: Message) -> str:
    if isinstance(message, Assistant):
        return render_reply(message)
    return message.text if isinstance(message, System) else render_human([message])
