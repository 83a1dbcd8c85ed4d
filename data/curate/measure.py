"""Counts the tokens of a changed window anew, as the chunker counted them before it was changed."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from data.curate.turns import groups_of
from data.forms import Form
from data.record import Assistant, Message, System


def measured(messages: Sequence[Message], form: Form) -> tuple[tuple[Message, ...], int]:
    """The messages with the exact sizes of their replies, and the tokens of the whole window."""
    groups = [part for _, part in groups_of(messages)]
    sizes = form.counter.counts([_text(part, form) for part in groups])
    counted: list[Message] = []
    exchanges = 0
    for part, size in zip(groups, sizes, strict=True):
        first, *rest = part
        if isinstance(first, Assistant):
            exchanges += 1
            first = replace(first, tokens=size + form.loss_offset)
        counted += [first, *rest]
    return tuple(counted), form.opening + sum(sizes) + exchanges * form.exchange


def _text(part: Sequence[Message], form: Form) -> str:
    first = part[0]
    if isinstance(first, System):
        return form.system(first)
    if isinstance(first, Assistant):
        return form.reply([m for m in part if isinstance(m, Assistant)])
    return form.human(part)
