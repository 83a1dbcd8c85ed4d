"""The contract of a dataset row: a JSON Schema for each of its forms, and the rules that a schema cannot say.

`python -m data.validate.schema FILE...` checks dataset files, or all of a folder, line by line, and the files of
one folder against each other; it prints `file:line: sentence` for each problem and fails if there is one.
`check_row` is the same check for one row.
"""

from __future__ import annotations

import argparse
import functools
import json
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from data.record import Split
from data.validate.native import NotJson, decode_texts, is_native, native_problems
from data.validate.pairing import pairing_problems
from data.validate.preferences import check_preference, is_preference, metadata_of
from data.validate.rows import DatasetError, dataset_files, read_lines, split_of
from data.validate.shape import fits

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator

SCHEMA = Path(__file__).with_name("row.schema.json")
NATIVE_SCHEMA = Path(__file__).with_name("native.schema.json")
SHOWN = 50  # problems printed; the rest is counted

_CONTROL = re.compile(r"<\|[^\s|<>]+\|>")

Turns = Sequence[Mapping[str, Any]]


def check_row(row: Any) -> list[str]:
    """Every problem of a row, one sentence each; an empty list where it keeps the contract."""
    if is_preference(row):
        return check_preference(row)
    try:
        row = decode_texts(row) if is_native(row) else row
    except NotJson as problem:
        return [str(problem)]
    return schema_problems(row) or row_problems(row)


def schema_problems(row: Any) -> list[str]:
    """What the JSON Schema says against a row, a native one with its texts decoded."""
    if fits(row):
        return []
    errors = sorted(validator(is_native(row)).iter_errors(row), key=lambda error: error.json_path)
    return [f"{error.json_path.removeprefix('$.')}: {_shorten(error.message)}" for error in errors]


def row_problems(row: Mapping[str, Any]) -> list[str]:
    """What is wrong with a row that keeps the schema: order, flags, pairing, contents and counts."""
    if is_native(row):
        messages = row["messages"]
        return [*native_problems(messages, row["tools"]), *_metadata_problems(messages, row["metadata"])]
    turns: Turns = row["conversations"]
    return [
        *_order_problems(turns),
        *_value_problems(turns),
        *pairing_problems(turns),
        *_metadata_problems(turns, row["metadata"]),
    ]


@functools.cache
def validator(native: bool = False) -> Draft202012Validator:
    """The schema of a row, ready to check with. That of native rows takes its metadata from the other."""
    from jsonschema import Draft202012Validator
    from referencing import Registry, Resource

    schemas = [json.loads(path.read_text("utf-8")) for path in (SCHEMA, NATIVE_SCHEMA)]
    registry: Registry[Any] = Registry().with_resources((s["$id"], Resource.from_contents(s)) for s in schemas)
    return Draft202012Validator(schemas[native], registry=registry)


class Build:
    """What the rows of one folder may say only once, collected while they pass by.

    The combined files and the files of single roles hold the same rows, so a row may stand once in each family
    of files, but always in the same split.
    """

    def __init__(self) -> None:
        self._row_of: dict[str, str] = {}
        self._split_of: dict[str, Split] = {}
        self._rows: defaultdict[str, set[str]] = defaultdict(set)

    def problems(self, metadata: Mapping[str, Any], family: str, split: Split | None) -> Iterator[str]:
        """What a row contradicts in the rows before it."""
        row, session = metadata["id"], metadata["session_id"]
        if row in self._rows[family]:
            yield f"row {row} stands twice in the {family} files"
        self._rows[family].add(row)
        for trained in metadata.get("trained_ids", ()):  # a row of preferences judges what another row trains
            if (other := self._row_of.setdefault(trained, row)) != row:
                yield f"message {trained} is trained in row {other} too"
        if split and (other_split := self._split_of.setdefault(session, split)) != split:
            yield f"session {session} is in {other_split} too; a session must not stand in two splits"


def check_files(paths: Iterable[Path]) -> Iterator[str | None]:
    """For each row of the files None, and each problem as `file:line: sentence`."""
    builds: defaultdict[Path, Build] = defaultdict(Build)
    for path in chain.from_iterable(map(dataset_files, paths)):
        family, split = split_of(path)
        build = builds[path.resolve().parent]
        for number, raw in read_lines(path):
            for problem in _line_problems(raw, build, family, split):
                yield f"{path}:{number}: {problem}."
            yield None


def _line_problems(raw: bytes, build: Build, family: str, split: Split | None) -> Iterator[str]:
    try:
        row = msgspec.json.decode(raw)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        yield f"not JSON: {error}"
        return
    if problems := check_row(row):
        yield from problems
    else:
        metadata = metadata_of(row) if is_preference(row) else row["metadata"]
        yield from build.problems(metadata, family, split)


def _order_problems(turns: Turns) -> Iterator[str]:
    speakers = [turn["from"] for turn in turns]
    if speakers[1] != "human":
        yield f"message 1 is {speakers[1]}; after the system message comes a human message"
    for index, (before, after) in enumerate(pairwise(speakers)):
        if before == after:
            yield f"messages {index} and {index + 1} are both {after}; human and gpt must take turns"
    if speakers[-1] != "gpt" or not turns[-1]["train"]:
        yield "the last message must be a gpt message that is trained"
    for index, turn in enumerate(turns):
        if turn["train"] and turn["from"] != "gpt":
            yield f"message {index} is {turn['from']} and is trained; only gpt messages may be"


def _value_problems(turns: Turns) -> Iterator[str]:
    for index, turn in enumerate(turns):
        value = turn["value"]
        if value != value.strip():
            yield f"message {index} begins or ends with white space"
        if control := _CONTROL.search(value):
            yield f"message {index} holds the control token {control[0]}; it must be escaped"


def _metadata_problems(turns: Turns, metadata: Mapping[str, Any]) -> Iterator[str]:
    yield from _count_problems(turns, metadata)
    try:
        msgspec.json.decode(metadata["about"], type=dict[str, str])
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        yield "about is not a JSON object of texts"


def _count_problems(turns: Turns, metadata: Mapping[str, Any]) -> Iterator[str]:
    """Several messages of a transcript may make one trained turn, so ids may outnumber turns."""
    trained = sum(turn["train"] for turn in turns)
    tokens, trained_tokens, ids = metadata["tokens"], metadata["trained_tokens"], len(metadata["trained_ids"])
    if trained_tokens > tokens:
        yield f"trained_tokens is {trained_tokens}, more than the row's {tokens} tokens"
    if ids < trained:
        yield f"trained_ids names {ids} messages, but {trained} are trained"


def _shorten(message: str, limit: int = 200) -> str:
    return message if len(message) <= limit else f"{message[: limit // 2]} ... {message[-limit // 2 :]}"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m data.validate.schema", description="Check dataset files.")
    parser.add_argument(
        "files", nargs="+", type=Path, metavar="FILE", help="a <role>_<split>.jsonl file, or a folder of them"
    )
    options = parser.parse_args(arguments)
    rows = problems = 0
    try:
        for outcome in check_files(options.files):
            rows += outcome is None
            problems += outcome is not None
            if outcome and problems <= SHOWN:
                print(outcome, file=sys.stderr)
    except DatasetError as error:
        print(error, file=sys.stderr)
        return 1
    if problems > SHOWN:
        print(f"... and {problems - SHOWN:,} more", file=sys.stderr)
    print(f"checked {rows:,} rows: {f'{problems:,} problems' if problems else 'no problem'}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
