"""Makes rows of preferences from windows: what stands before a reply, and the reply with what came in its place.

A pair is {messages, chosen, rejected}, as Axolotl's `chat_template.default` reads it for DPO; a judged reply is
{completion, label}, whose completion is the whole conversation up to the reply, as `argilla_chat` reads it for KTO.
Windows are redacted, cut to size and carry their role's prompt, so rows made from them do as well. Nothing of a window
that comes after the judged reply is in a prompt.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from enum import StrEnum
from itertools import groupby
from typing import Any, Literal

import msgspec
from msgspec.structs import replace

from data.extract.preferences import DESIRABLE, Candidate
from data.forms import Form
from data.record import Assistant, Conversation, Message, System, Tool, User, UserKind
from data.render import LEFT_OUT, render_call, reply_value

STAGE = "preferences"

Speaker = Literal["system", "user", "assistant"]


class Reason(StrEnum):
    """Why a candidate makes no row."""

    NOT_SHOWN = "stands in no window with what came instead"
    TOO_LONG = "longer than the limit"
    TOO_SHORT = "a reply of a word or two"
    EQUAL = "what came instead says the same"
    OVERLAPS = "overlaps a scenario"


class Limits(msgspec.Struct, frozen=True):
    """In tokens: of a row with the longer of its replies, of an opening, and the least of a reply."""

    row: int
    opening: int
    reply: int


class Said(msgspec.Struct, frozen=True):
    """One message of a row. No other key: Axolotl reads these two, and by these names alone."""

    role: Speaker
    content: str


class Pair(msgspec.Struct, frozen=True):
    """A row for DPO. `metadata` is JSON as text, so that no key in it can clash with that of another row."""

    messages: tuple[Said, ...]
    chosen: Said
    rejected: Said
    metadata: str


class Judged(msgspec.Struct, frozen=True):
    """A row for KTO. `label` says whether the last message of the completion is one to learn."""

    completion: tuple[Said, ...]
    label: bool
    metadata: str


class Exchange(msgspec.Struct, frozen=True):
    """One human side of a window and what was replied to it."""

    human: tuple[Message, ...]
    replies: tuple[Assistant, ...]


class Found(msgspec.Struct, frozen=True):
    """A candidate in its window: what is shown before the judged reply, and both sides as text.

    `human` is what the judged reply answered; `chosen` is empty for a single judged reply. `better` are the replies of
    the chosen side.
    """

    window: Conversation
    before: tuple[Exchange, ...]
    human: tuple[Message, ...]
    judged: tuple[Assistant, ...]
    better: tuple[Assistant, ...]
    chosen: str


def find(candidate: Candidate, messages: Sequence[Message], windows: Sequence[Conversation]) -> Found | None:
    """The first window in which a candidate stands whole. `messages` are those of its conversation."""
    wanted = [messages[at] for at in (candidate.at, candidate.instead) if at >= 0]
    for window in windows:
        exchanges = exchanges_of(window.messages)
        places = [place for reply in wanted for place in _places_of(reply, exchanges)]
        if len(places) == len(wanted) and places == sorted(set(places)):
            return _found(candidate, window, exchanges, places)
    return None


def _found(candidate: Candidate, window: Conversation, exchanges: list[Exchange], places: list[int]) -> Found:
    judged, better = exchanges[places[0]], exchanges[places[1]].replies if len(places) > 1 else ()
    chosen = render_call(candidate.own) if candidate.own else reply_value(better)
    return Found(window, tuple(exchanges[: places[0]]), judged.human, judged.replies, better, chosen)


def as_trained(candidate: Candidate, found: Found) -> Conversation:
    """What a row would show, with both replies as replies that train: for whoever compares what is trained."""
    before = [message for one in found.before for message in (*one.human, *one.replies)]
    own = [Assistant("", calls=(candidate.own,))] if candidate.own else []
    trained = [replace(reply, train=True) for reply in (*found.judged, *found.better, *own)]
    return replace(found.window, messages=(found.window.messages[0], *before, *found.human, *trained))


def exchanges_of(messages: Sequence[Message]) -> list[Exchange]:
    """The exchanges of a window that begins with its system message."""
    sides = [list(side) for _, side in groupby(messages[1:], lambda message: isinstance(message, Assistant))]
    return [
        Exchange(tuple(human), tuple(reply for reply in replies if isinstance(reply, Assistant)))
        for human, replies in zip(sides[::2], sides[1::2], strict=False)
    ]


def _places_of(reply: Message, exchanges: Sequence[Exchange]) -> list[int]:
    """The exchange that holds a reply, none where the window does not show it."""
    return [at for at, one in enumerate(exchanges) if any(_is_same(reply, other) for other in one.replies)]


def _is_same(reply: Message, other: Assistant) -> bool:
    """Stages change what a reply says and whether it trains, and not where it came from."""
    return isinstance(reply, Assistant) and (reply.id, reply.file, reply.line) == (other.id, other.file, other.line)


def make(candidate: Candidate, found: Found, id: str, limits: Limits, form: Form) -> Pair | Judged | Reason:
    """The row of a candidate, or why there is none."""
    judged = reply_value(found.judged)
    sides = [judged] if candidate.method == "kto" else [judged, found.chosen]
    sizes = form.counter.counts(sides)
    if len(set(sides)) < len(sides):
        return Reason.EQUAL
    # Axolotl looks for the text of a reply in the rendered template, where a word or two may stand already.
    if min(sizes) + form.loss_offset < limits.reply:
        return Reason.TOO_SHORT
    shown = shown_before(found, limits, limits.row - max(sizes), form)
    if shown is None:
        return Reason.TOO_LONG
    messages, tokens = shown
    about = _about(candidate, found, id) | {
        "tokens": tokens + max(sizes),
        "trained_tokens": sum(sizes) + len(sizes) * form.loss_offset,
    }
    metadata = json.dumps(about, ensure_ascii=False)
    reply = Said("assistant", judged)
    if candidate.method == "kto":
        return Judged((*messages, reply), candidate.kind in DESIRABLE, metadata)
    return Pair(messages, Said("assistant", found.chosen), reply, metadata)


def _about(candidate: Candidate, found: Found, id: str) -> dict[str, Any]:
    """The metadata but for the counts. A better reply that the model gave later had seen more than the pair shows."""
    origin = found.window.origin
    about = {"id": id, "role": found.window.role, "session_id": origin.session, "source": origin.source}
    about |= {"kind": candidate.kind.value, "judged_id": found.judged[-1].id}
    if candidate.method == "kto":
        return about
    chosen = found.better[0].id if found.better else ""
    by = "person" if candidate.own else "model"
    return about | {"chosen_id": chosen, "chosen_by": by, "chosen_saw": candidate.seen.value}


def shown_before(found: Found, limits: Limits, room: int, form: Form) -> tuple[tuple[Said, ...], int] | None:
    """The messages up to the judged reply and their tokens: as much of the window as there is room for, the latest.

    None where even the step before the reply does not fit: a reply without the results that it answers is none.
    """
    system = found.window.messages[0]
    assert isinstance(system, System)
    exchanges = [*found.before, Exchange(found.human, ())]
    texts = [text for one in exchanges for text in (form.human(one.human), reply_value(one.replies))]
    first, *sizes = form.counter.counts([form.system(system), *texts])
    for start in range(len(exchanges)):
        opening = _opening(exchanges, start, limits, form)
        if start == len(exchanges) - 1 and start and opening:
            return None
        opened = form.counter.count(opening) if opening else sizes[2 * start]
        tokens = form.opening + first + opened + sum(sizes[2 * start + 1 :])
        tokens += (len(exchanges) - start) * form.exchange
        if tokens <= room:
            said = [opening or texts[2 * start], *texts[2 * start + 1 : -1]]
            return (Said("system", form.system(system)), *_alternating(said)), tokens
    return None


def _opening(exchanges: Sequence[Exchange], start: int, limits: Limits, form: Form) -> str:
    """What a prompt opens with that starts inside a turn: the words that opened the turn. Empty where it does not."""
    if not start or not any(isinstance(message, Tool) for message in exchanges[start].human):
        return ""
    sides = ([m.text for m in one.human if isinstance(m, User)] for one in reversed(exchanges[: start + 1]))
    words = "\n\n".join(next(filter(None, sides), [])).removesuffix(LEFT_OUT).rstrip()
    [cut] = form.counter.cut_middle([words], [limits.opening])
    return form.human([User(f"{cut}\n\n{LEFT_OUT}", UserKind.RECALL)])


def _alternating(texts: Sequence[str]) -> list[Said]:
    return [Said("assistant" if at % 2 else "user", text) for at, text in enumerate(texts)]
