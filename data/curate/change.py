"""What an edit or a trim makes of an example: other texts in some turns, and the last turn that stays.

A change is always one of the original, never of an earlier change, so the original stays and any decision can be told
from the newest one alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from data.curate.turns import Turn, groups_of, with_text
from data.record import Assistant, Message


class Refused(ValueError):
    """Why a decision is not taken, in one sentence with the fix."""


class Change(msgspec.Struct, frozen=True, omit_defaults=True):
    """`texts` are the new texts by the number of their turn (0 is the system prompt), `last` the last turn kept."""

    texts: dict[int, str] = {}
    last: int | None = None

    def __bool__(self) -> bool:
        return bool(self.texts) or self.last is not None


def read_change(payload: bytes | str) -> Change:
    return msgspec.json.decode(payload, type=Change)


def change_from(value: Mapping[str, Any]) -> Change:
    """The change in a value from outside. Raises Refused."""
    try:
        return msgspec.convert({k: v for k, v in value.items() if k in ("texts", "last")}, Change, strict=False)
    except msgspec.ValidationError as error:
        raise Refused(f"The change cannot be read ({error}). Give texts by number of the turn, and last.") from None


def settle(turns: Sequence[Turn], change: Change) -> Change:
    """The change without what changes nothing, texts as they will stand in the row. Raises Refused."""
    last = change.last if change.last != len(turns) - 1 else None
    if last is not None:
        check_last(turns, last)
    texts = {}
    for index, text in sorted(change.texts.items()):
        if not 0 <= index < len(turns):
            raise Refused(f"There is no message {index}. The example has messages 0 to {len(turns) - 1}.")
        clean = text.replace("\r\n", "\n").replace("\r", "\n").strip()
        if clean != turns[index].text and (last is None or index <= last):
            _check_text(turns[index], index, clean)
            texts[index] = clean
    return Change(texts, last)


def check_last(turns: Sequence[Turn], last: int) -> None:
    """Raises Refused where an example cannot end with a turn."""
    if last not in ends_of(turns):
        could = ", ".join(map(str, ends_of(turns))) or "none"
        raise Refused(f"Message {last} cannot be the last: an example ends with a trained reply (here: {could}).")


def ends_of(turns: Sequence[Turn]) -> list[int]:
    """The turns with which the example can end: trained replies. The last of them is its end now."""
    return [index for index, turn in enumerate(turns) if turn.speaker == "gpt" and turn.train]


def _check_text(turn: Turn, index: int, text: str) -> None:
    if turn.speaker == "system":
        raise Refused("The system prompt is the configuration's: change it there, for all examples at once.")
    if not text and not turn.calls and not turn.results:
        raise Refused(f"Message {index} would be empty. Write something, or trim the example before it.")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise Refused(f"Message {index} holds half a character. Write it anew.")


def changed(turns: Sequence[Turn], change: Change) -> tuple[Turn, ...]:
    """The turns after a settled change."""
    kept = turns if change.last is None else turns[: change.last + 1]
    return tuple(replace(turn, text=change.texts.get(index, turn.text)) for index, turn in enumerate(kept))


def apply(messages: Sequence[Message], change: Change) -> tuple[tuple[Message, ...], list[Assistant]]:
    """The messages of a window after a settled change, and the trained replies that it took away."""
    groups = [part for _, part in groups_of(messages)]
    end = len(groups) if change.last is None else change.last + 1
    kept = [with_text(part, change.texts[i]) if i in change.texts else part for i, part in enumerate(groups[:end])]
    lost = [m for part in groups[end:] for m in part if isinstance(m, Assistant) and m.train]
    return tuple(message for part in kept for message in part), lost
