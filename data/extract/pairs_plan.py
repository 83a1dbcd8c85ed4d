"""Decides which lines of a log become conversations and which of their replies are learned, before any is made.

A chat sends all that came before with each request, so most lines are the beginning of a later one. Only the longest
stays, and a reply in it is learned where the log has the request that it answered. Memory holds hashes alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b

import msgspec

from data import lenient_json
from data.chat_log import ChatMessage
from data.extract.pairs_line import Logged, Reason

_DIGEST = 16  # bytes


class Seen(msgspec.Struct, frozen=True):
    """One whole pair: where it stands, and the hash of the chat up to each reply in it; the last is its answer's."""

    id: str
    file: str
    line: int
    own: bool
    spots: tuple[bytes, ...]
    all_taught: bool = False


class Reply(msgspec.Struct, frozen=True):
    """What is known of a reply: the pair that it answered, and why it is not learned, if so."""

    owner: Seen
    reason: Reason | None = None


class Plan(msgspec.Struct, frozen=True):
    """What becomes of each pair, by its place in the log: a reason to set it aside, or the replies to learn.

    `replies` are by the place of the reply among those of the conversation; `first` is the id of the chat's first pair.
    """

    aside: dict[int, Reason]
    replies: dict[int, dict[int, Reply]]
    first: dict[int, str]


def seen_of(logged: Logged, file: str, line: int) -> Seen:
    return Seen(logged.id, file, line, logged.own, tuple(spots_of(logged.messages)), logged.all_taught)


def spots_of(messages: Iterable[ChatMessage]) -> Iterable[bytes]:
    """The hash of a chat up to each of its replies. Blanks at the ends and the form of arguments do not count."""
    chain = b""
    for message in messages:
        calls = [(call.name, _canonical(call.arguments)) for call in message.calls]
        content = msgspec.json.encode((message.role, message.text.strip(), calls, message.call_id))
        chain = blake2b(chain + content, digest_size=_DIGEST).digest()
        if message.role == "assistant":
            yield chain


def _canonical(arguments: str) -> str:
    try:
        return lenient_json.dumps(lenient_json.loads(arguments))
    except ValueError:
        return arguments


def plan(pairs: Sequence[Seen], forgotten: frozenset[str], own_limit: int | None) -> Plan:
    """What to do with the pairs of a log. `own_limit` is how many answers of our own are learned; None: all."""
    known = _first_by_end(pairs)
    aside: dict[int, Reason] = {}
    chats: dict[int, list[int]] = {}
    for at, pair in enumerate(pairs):
        before = [known[spot] for spot in pair.spots[:-1] if spot in known]
        if pair.id in forgotten or any(pairs[one].id in forgotten for one in before):
            aside[at] = Reason.FORGOTTEN
        elif known[pair.spots[-1]] != at:
            aside[at] = Reason.REPEATED
        else:
            chats[at] = before
    for at in [one for before in chats.values() for one in before]:
        aside.setdefault(at, Reason.CONTINUED)
    longest = {at: before for at, before in chats.items() if at not in aside}
    replies = _learned(pairs, longest, known)
    return Plan(
        aside,
        _without_own(replies, own_limit),
        {at: pairs[before[0]].id if before else pairs[at].id for at, before in longest.items()},
    )


def _first_by_end(pairs: Sequence[Seen]) -> dict[bytes, int]:
    known: dict[bytes, int] = {}
    for at, pair in enumerate(pairs):
        known.setdefault(pair.spots[-1], at)
    return known


def _learned(
    pairs: Sequence[Seen], longest: dict[int, list[int]], known: dict[bytes, int]
) -> dict[int, dict[int, Reply]]:
    """The replies of each conversation whose request is in the log. One that stands in several is learned in one."""
    taken: set[bytes] = set()
    found: dict[int, dict[int, Reply]] = {}
    for at in longest:
        pair, mine = pairs[at], {}
        for place, spot in enumerate(pair.spots):
            owner = known.get(spot, at if pair.all_taught else None)
            if owner is not None and spot not in taken:
                taken.add(spot)
                mine[place] = Reply(pairs[owner])
        found[at] = mine
    return found


def _without_own(replies: dict[int, dict[int, Reply]], limit: int | None) -> dict[int, dict[int, Reply]]:
    """The replies, those of our own adapters marked as not learned: all of them, or those over the limit.

    Which stay is decided by their ids, which are hashes, so that more captures change little of it.
    """
    if limit is None:
        return replies
    own = sorted({reply.owner.id for mine in replies.values() for reply in mine.values() if reply.owner.own})
    kept = frozenset(own[:limit])
    reason = Reason.OVER_LIMIT if limit else Reason.OWN
    return {
        at: {
            place: msgspec.structs.replace(reply, reason=reason)
            if reply.owner.own and reply.owner.id not in kept
            else reply
            for place, reply in mine.items()
        }
        for at, mine in replies.items()
    }
