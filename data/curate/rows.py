"""The examples of a finished dataset, one at a time: its rows as turns, and what its origins say of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import asdict

from data.curate.turns import Call, Turn, key_of, written
from data.curate.values import About
from data.origins import ORIGINS, read_traces
from data.record import SPLITS, Split
from data.render import parse_results, unescape
from data.trace import Trace
from data.transform.chat_formatter import Metadata, NativeRow, Row
from data.validate.pairing import CALL, CALL_END, RESULT_END
from data.validate.rows import COMBINED, DatasetError, read_build, read_rows

PREVIEW = 160  # characters


class Loaded(msgspec.Struct, frozen=True):
    """An example on its way into the store. `files` are the transcripts that it was made of."""

    key: str
    split: Split
    metadata: Metadata
    turns: tuple[Turn, ...]
    about: About
    files: tuple[str, ...]
    preview: str


def read_examples(folder: Path) -> Iterator[Loaded]:
    """The examples of a dataset in the order in which they were recorded. Raises DatasetError."""
    for split, row, trace in _traced(folder):
        turns = turns_of_row(row)
        about, files = _about(row.metadata, trace)
        preview = next((turn.text for turn in turns if turn.speaker == "human" and turn.text), "")
        key = key_of(row.metadata.role, turns)
        yield Loaded(key, split, row.metadata, turns, about, files, " ".join(preview.split())[:PREVIEW])


def _traced(folder: Path) -> Iterator[tuple[Split, Row | NativeRow, Trace | None]]:
    """The rows with their origins, which stand in the same order; without them, split by split."""
    if not (folder / ORIGINS).is_file():
        yield from ((split, row, None) for split, row in read_build(folder))
        return
    files = {split: folder / f"{COMBINED}_{split}.jsonl" for split in SPLITS}
    rows = {split: read_rows(path) for split, path in files.items() if path.is_file()}
    for trace in read_traces(folder):
        row = next(rows.get(trace.split, iter(())), None)
        if row is None or row.metadata.id != trace.id:
            raise DatasetError(f"{folder}: {ORIGINS} and the rows do not belong together. Build the dataset again.")
        yield trace.split, row, trace


def _about(metadata: Metadata, trace: Trace | None) -> tuple[About, tuple[str, ...]]:
    parts = asdict(metadata.quality_parts)
    if trace is None:
        return About(parts, session=metadata.session_id), ()
    notes = tuple((note.stage, note.reason, note.count) for note in trace.notes)
    files = dict.fromkeys((trace.origin.file, *(place.file for place in trace.trained)))
    about = About(parts, notes, metadata.session_id, trace.origin.file, trace.origin.lines)
    return about, tuple(name for name in files if name)


def turns_of_row(row: Row | NativeRow) -> tuple[Turn, ...]:
    """The turns of a row, the same as those of the window that it was made of. Raises DatasetError."""
    try:
        return tuple(_xml(row) if isinstance(row, Row) else _native(json.loads(row.messages)))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        problem = f"Row {row.metadata.id} cannot be read ({type(error).__name__}: {error})"
        raise DatasetError(f"{problem}. Build the dataset again.") from None


def _xml(row: Row) -> Iterator[Turn]:
    for turn in row.conversations:
        value, train = turn.value, turn.train
        match turn.from_:
            case "gpt":
                at = value.find(CALL)
                said, made = (value, "") if at < 0 else (value[:at], value[at:])
                calls = [json.loads(body.partition(CALL)[2]) for body in made.split(CALL_END)[:-1]]
                found = tuple(Call(call["name"], written(json.dumps(call["arguments"]))) for call in calls)
                yield Turn("gpt", unescape(said.strip()), train, found)
            case "human":
                end = value.rfind(RESULT_END) + len(RESULT_END) if value.startswith("<tool_result>") else 0
                yield Turn("human", unescape(value[end:].strip()), train, (), tuple(parse_results(value[:end])))
            case _:
                yield Turn("system", unescape(value), train)


def _native(messages: list[dict[str, Any]]) -> Iterator[Turn]:
    """Results and what was said after them are one turn."""
    results: list[str] = []
    for index, message in enumerate(messages):
        said = unescape(message["content"])
        match message["role"]:
            case "tool":
                results.append(said)
                if messages[index + 1]["role"] in ("tool", "user"):
                    continue
                yield Turn("human", "", False, (), tuple(results))
                results = []
            case "user":
                yield Turn("human", said, False, (), tuple(results))
                results = []
            case "assistant":
                made = [call["function"] for call in message.get("tool_calls", ())]
                calls = tuple(
                    Call(unescape(one["name"]), json.dumps(one["arguments"], ensure_ascii=False)) for one in made
                )
                yield Turn("gpt", said, message["train"], calls)
            case _:
                yield Turn("system", said, message["train"])
