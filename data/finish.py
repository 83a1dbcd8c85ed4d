"""Windows become finished rows: rendered, fingerprinted, and checked as somebody else would check them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import Any

import msgspec

from data.config import DataConfig
from data.finished import Finished
from data.record import Conversation, replies, weigh
from data.trace import trace_of
from data.transform.chat_formatter import format_row
from data.transform.deduplicator import Fingerprint, fingerprints
from data.validate.schema import check_row
from data.validate.secrets import describe, findings


def finish(windows: Sequence[Conversation], config: DataConfig) -> tuple[list[Finished], list[str]]:
    """The rows of some windows, and everything that is wrong with them, a sentence each."""
    marks = fingerprints(windows, config.dedup)
    rows = [_finish_one(window, mark, config) for window, mark in zip(windows, marks, strict=True)]
    return rows, [problem for row in rows for problem in _problems(row, config)]


def _finish_one(window: Conversation, mark: Fingerprint, config: DataConfig) -> Finished:
    trained = list(replies(window))
    return Finished(
        id=window.id,
        role=window.role,
        group=window.origin.group,
        session=window.origin.session,
        started=window.origin.started,
        tally=weigh(trained, conversations=1),
        tokens=window.tokens,
        line=msgspec.json.encode(format_row(window, config.tool_format)),
        trace=msgspec.json.encode(trace_of(window)),
        exact=mark.exact,
        shingles=mark.shingles,
        bands=mark.bands,
        trained=b"".join(blake2b(reply.id.encode(), digest_size=8).digest() for reply in trained),
    )


def _problems(row: Finished, config: DataConfig) -> Iterator[str]:
    """What breaks the contract, and what looks like a secret to another scanner than the one that redacted."""
    value = msgspec.json.decode(row.line)
    for problem in check_row(value):
        yield f"row {row.id}: {problem}."
    for finding in findings(_texts_of(value), config.audit.allow):
        yield describe(finding, row.id)


def _texts_of(row: dict[str, Any]) -> list[str]:
    """The texts of a row in either form, and last what its source said about it."""
    said = [turn["value"] for turn in row.get("conversations", ())] or [row["messages"], row["tools"]]
    return [*said, row["metadata"]["about"]]
