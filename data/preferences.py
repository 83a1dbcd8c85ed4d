"""Preferences become finished rows: found in conversations, made from their windows, and checked like any row.

Only rows in the form of tagged text are made: Axolotl reads role and content of preferences, and native calls are
neither.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b

import msgspec

from data.config import DataConfig
from data.extract.preferences import Candidate, candidates
from data.finished import Preferred
from data.forms import Form
from data.record import Assistant, Conversation, Drop
from data.stage import Ledger, Stage
from data.trace import Choice, Place
from data.transform.preferences import STAGE, Found, Judged, Limits, Pair, Reason, as_trained, find, make
from data.validate.preferences import check_preference, texts_of
from data.validate.secrets import describe, findings


def are_made(config: DataConfig) -> bool:
    return config.tool_format == "xml" and (config.preferences.dpo or config.preferences.kto)


class Maker(msgspec.Struct, frozen=True):
    """Makes rows. `compare` is the stage that drops what evaluation asks."""

    config: DataConfig
    form: Form
    compare: Stage

    def make(self, candidate: Candidate, found: Found, id: str) -> Pair | Judged | Reason:
        if any(isinstance(outcome, Drop) for outcome in self.compare(as_trained(candidate, found))):
            return Reason.OVERLAPS
        return make(candidate, found, id, limits_of(self.config), self.form)


def prefer(
    conversation: Conversation, windows: Sequence[Conversation], maker: Maker, ledger: Ledger
) -> Iterator[Preferred | Drop]:
    """The rows of a conversation and what made none, booked in the ledger. `windows` are all that were cut from it."""
    config = maker.config
    for candidate in candidates(conversation, config.outcome.repair_within):
        if getattr(config.preferences, candidate.method):
            books = ledger.choices(key_of(candidate.method, candidate.kind))
            books.found += 1
            made = _make(candidate, conversation, windows, maker)
            if isinstance(made, Drop):
                books.drop(made.reason)
            yield made


def limits_of(config: DataConfig) -> Limits:
    row = min(config.preferences.max_tokens, config.windows.max_tokens)
    return Limits(row, config.windows.opening_tokens, config.quality.min_trained_tokens)


def key_of(method: str, kind: str) -> str:
    """Under which name the ledger counts a kind of preference."""
    return f"{method}: {kind}"


def _make(
    candidate: Candidate, conversation: Conversation, windows: Sequence[Conversation], maker: Maker
) -> Preferred | Drop:
    id = f"{conversation.id}~{max(candidate.at, 0)}"
    found = None if candidate.why else find(candidate, conversation.messages, windows)
    why = candidate.why or (None if found else Reason.NOT_SHOWN)
    if found:
        made = maker.make(candidate, found, id)
        if not isinstance(made, Reason):
            return _finish(candidate, found, made, id)
        why = made
    reply = conversation.messages[candidate.at] if candidate.at >= 0 else None
    file, line = (reply.file, reply.line) if isinstance(reply, Assistant) else ("", 0)
    return Drop(STAGE, str(why), id, key_of(candidate.method, candidate.kind), file, line)


def _finish(candidate: Candidate, found: Found, row: Pair | Judged, id: str) -> Preferred:
    window, judged = found.window, found.judged[-1]
    sides = (row.messages, row.chosen, row.rejected) if isinstance(row, Pair) else (row.completion, row.label)
    replies = tuple(map(_place, (judged, *found.better[:1])))
    choice = Choice(id, window.role, candidate.method, candidate.kind, window.origin, replies)
    return Preferred(
        id=id,
        method=candidate.method,
        kind=candidate.kind,
        role=window.role,
        group=window.origin.group,
        started=window.origin.started,
        line=msgspec.json.encode(row),
        trace=msgspec.json.encode(choice),
        exact=blake2b(msgspec.json.encode(sides), digest_size=16).digest(),
        reply=blake2b(msgspec.json.encode((judged.id, judged.text, judged.calls)), digest_size=8).digest(),
    )


def _place(reply: Assistant) -> Place:
    return Place(reply.id, reply.file, reply.line, reply.tokens)


def problems_of(rows: Iterable[Preferred], config: DataConfig) -> Iterator[str]:
    """What breaks the contract, and what looks like a secret to another scanner than the one that redacted."""
    for row in rows:
        value = msgspec.json.decode(row.line)
        for problem in check_preference(value):
            yield f"row {row.id}: {problem}."
        for finding in findings(texts_of(value), config.audit.allow):
            yield describe(finding, row.id)
